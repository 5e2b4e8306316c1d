"""The papers of one call: what is planned for each, run, and put together."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments import claims
from experiments.reproduction import markdown, page, report, runs
from jaxvision import files
from jaxvision.errors import UserError


class Paper(NamedTuple):
  """A protocol with its runs."""

  method: str
  title: str
  protocol: claims.Protocol
  folder: Path
  seeds: range
  runs: list[runs.Run]
  command: str


def plan(
  method: str, workdir: Path, *, seeds: int | None = None, pilot: bool = False
) -> Paper:
  """Plans all runs of a paper.

  Args:
    method: that has claims.
    workdir: of all papers.
    seeds: how many; by default the protocol's.
    pilot: whether to plan the runs that some numbers were chosen by instead.

  Raises:
    UserError: no such claims or pilot, less than one seed, or an override that the
      config refuses.
  """
  protocol = claims.load(method, pilot=pilot)
  if seeds is not None and seeds < 1:
    raise UserError(f"--seeds={seeds}: give 1 or more.")
  first, count = protocol.first_seed, seeds or protocol.seeds
  folder = workdir / f"{method}{'_pilot' if pilot else ''}"
  flags = ["--pilot"] * pilot + [f"--seeds={count}"] * (count != protocol.seeds)
  return Paper(
    method,
    claims.title(method),
    protocol,
    folder,
    range(first, first + count),
    runs.plan_runs(protocol, folder, range(first, first + count)),
    shlex.join(["python", "experiments/reproduce.py", method, *flags]),
  )


def outline(papers: Sequence[Paper]) -> str:
  """Says how much there is to do."""
  states = [runs.status(run) for paper in papers for run in paper.runs]
  finished = states.count(runs.FINISHED)
  return (
    f"{len(papers)} papers, {len(states)} runs: "
    f"{finished} are finished, {len(states) - finished} are not"
  )


def run(
  paper: Paper, train: Callable[..., Any], *, arms: Sequence[str] = (), place: str = ""
) -> None:
  """Runs what is not finished.

  Args:
    paper: whose runs they are.
    train: `jaxvision.experiment.run`.
    arms: to run; none is all.
    place: which paper it is, as "paper 3 of 10 (gtan), ".

  Raises:
    UserError: an arm that the protocol does not have.
  """
  for name in arms:
    if name not in paper.protocol.arms:
      raise UserError(
        f"--only: there is no arm {name!r}; choose of {', '.join(paper.protocol.arms)}."
      )
  todo = [run for run in paper.runs if not arms or run.arm in arms]
  runs.run_unfinished(todo, train, place=place)


def write_report(paper: Paper) -> dict[str, Any]:
  """Writes the report on the finished runs of a paper into its folder; returns it."""
  found = report.build(
    paper.protocol,
    runs.collect(paper.runs),
    paper.seeds,
    method=paper.method,
    title=paper.title,
    command=paper.command,
  )
  report.write(found, paper.folder)
  files.write_text(paper.folder / "report.md", markdown.render(found))
  html = page.render([found], {paper.method: paper.folder})
  files.write_text(paper.folder / "report.html", html)
  return found


def write_overview(
  papers: Sequence[Paper], found: Sequence[dict[str, Any]], workdir: Path
) -> None:
  """Writes one report on several papers beside their folders."""
  folders = {paper.method: paper.folder for paper in papers}
  files.write_text(workdir / "report.md", markdown.render_all(found))
  files.write_text(workdir / "report.html", page.render(found, folders))
