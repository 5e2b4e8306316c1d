"""What a run says: JSON lines, TensorBoard, the terminal."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import jax
from rich.console import Console
from rich.progress import (
  BarColumn,
  MofNCompleteColumn,
  Progress,
  TextColumn,
  TimeRemainingColumn,
)
from rich.table import Table

from jaxvision import files
from jaxvision.errors import UserError


class Reports:
  """Writes the reports of one seed's run; only process 0 writes and prints."""

  def __init__(self, folder: Path, *, tensorboard: bool = False):
    """Opens `folder/metrics.jsonl` for appending."""
    self._lead = jax.process_index() == 0
    self.folder = folder
    self._file: TextIO | None = None
    self._board = _tensorboard(folder) if tensorboard and self._lead else None
    self._console = Console(quiet=not self._lead, highlight=False, soft_wrap=True)
    self._progress: Progress | None = None
    self._task = None
    if self._lead:
      folder.mkdir(parents=True, exist_ok=True)

  def rewind(self, stage: str, step: int) -> None:
    """Drops lines of a stage after `step`, which a resumed run writes again."""
    path = self.folder / "metrics.jsonl"
    if not self._lead or not path.exists():
      return
    text = path.read_text()
    kept = [line for line in text.splitlines() if _is_kept(line, stage, step)]
    whole = "".join(f"{line}\n" for line in kept)
    if whole != text:
      self._close_file()  # it would go on writing into the replaced one
      files.write_text(path, whole)

  def line(
    self, stage: str, step: int, split: str, values: Mapping[str, float]
  ) -> None:
    """Adds one line to `metrics.jsonl`, and one to the terminal if it is no tty."""
    if not self._lead:
      return
    if self._file is None:
      self._file = (self.folder / "metrics.jsonl").open("a")
    row = {"stage": stage, "step": step, "split": split, **values}
    self._file.write(json.dumps(row) + "\n")
    self._file.flush()
    if self._board:
      for name, value in values.items():
        self._board.add_scalar(f"{stage}/{split}/{name}", value, step)
    shown = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
    if split == "train" and self._progress:
      self._progress.update(self._task, shown=shown)
    else:
      self.say(f"{stage} {step:>6} {split:<5}  {shown}")

  def say(self, text: str) -> None:
    """Prints one line."""
    (self._progress.console if self._progress else self._console).print(
      text, markup=False
    )

  def start(self, stage: str, step: int, steps: int) -> None:
    """Begins a stage: a progress bar with rate and time left, on a tty only."""
    if self._lead and sys.stdout.isatty():
      self._progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[shown]}"),
        console=self._console,
      )
      self._task = self._progress.add_task(
        stage, total=steps, completed=step, shown="", rate=""
      )
      self._progress.start()

  def advance(self, step: int, rate: float) -> None:
    """Moves the progress bar."""
    if self._progress:
      self._progress.update(self._task, completed=step, rate=f"{rate:.0f} steps/s")

  def stop(self) -> None:
    """Ends the progress bar."""
    if self._progress:
      self._progress.stop()
      self._progress = None

  def close(self) -> None:
    """Closes all files."""
    self.stop()
    self._close_file()
    if self._board:
      self._board.close()

  def _close_file(self) -> None:
    if self._file:
      self._file.close()
      self._file = None


def show(text: str) -> None:
  """Prints one line, in the first process only."""
  if jax.process_index() == 0:
    print(text, flush=True)


def show_table(title: str, metrics: Mapping[str, object]) -> None:
  """Prints metrics as a table, in the first process only."""
  if jax.process_index() != 0:
    return
  table = Table("metric", "value", title=title)
  for name, value in metrics.items():
    if metrics.get(name.replace("best/", "")) != value or "best/" not in name:
      table.add_row(name, _cell(value))  # the best is the last: once is enough
  Console().print(table)


def _cell(value: object) -> str:
  if isinstance(value, Mapping):
    return f"{value['mean']:.4f} ± {value['ci95']:.4f}"
  return f"{value:.4f}" if isinstance(value, float) else str(value)


def _is_kept(line: str, stage: str, step: int) -> bool:
  try:
    row = json.loads(line)
  except json.JSONDecodeError:  # a line that a kill cut short
    return False
  return row["stage"] != stage or row["step"] <= step


def _tensorboard(folder: Path):
  try:
    from tensorboardX import SummaryWriter
  except ImportError as error:
    raise UserError(
      "config.log.tensorboard needs tensorboardX: pip install 'jaxvision[tb]'."
    ) from error
  return SummaryWriter(str(folder / "tensorboard"))
