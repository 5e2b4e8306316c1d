"""The contract between a method and the loop: stages of pure functions.

As an optax optimizer is a pair (init, update), a method is a short tuple of stages,
and a stage is a tuple of functions. The loop, the checkpoints and the command line
know nothing else of a paper.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxvision.typing import PyTree

State = dict[str, Any]
Metrics = dict[str, float]


@runtime_checkable
class Batches(Protocol):
  """Random access to the batches of a run; a `grain.MapDataset` satisfies it."""

  def __getitem__(self, i: int, /) -> PyTree:
    """Returns this process's rows of batch `i`: a pure function of `i`."""
    ...


class Stage(NamedTuple):
  """One phase of training.

  Attributes:
    name: names the checkpoint folder and the lines of `metrics.jsonl`.
    steps: number of steps.
    spec: `jax.ShapeDtypeStruct`s of one global batch, so that `plan` needs no data.
    batches: seed -> `Batches`; because batch i is pure in i, the step is the position
      in the data, and resuming needs no iterator state.
    frozen: {earlier stage: its state} -> what the step reads and never writes, such
      as a teacher or data that stay on the device. It is an argument of the step: a
      data set that is closed over becomes part of the program.
    init: (key, frozen, batch) -> state, a dict with "params" and "step"; jitted.
    step: (state, frozen, batch, key) -> (state, logs); pure. Logs are scalars, among
      them "loss". The loop jits it, donates the state and shards all of it.
    evaluate: (state, frozen, split) -> {metric: float}, on the host.
    monitor: the metric that decides the best checkpoint; a leading "-" minimises.
  """

  name: str
  steps: int
  spec: PyTree
  batches: Callable[[int], Batches]
  frozen: Callable[[Mapping[str, State]], PyTree]
  init: Callable[..., State]
  step: Callable[..., tuple[State, dict[str, Any]]]
  evaluate: Callable[[State, PyTree, str], Metrics]
  monitor: str = "-loss"

  def score(self, metrics: Metrics) -> float:
    """Returns the monitored metric, with the sign that makes larger better."""
    name = self.monitor.removeprefix("-")
    return -metrics[name] if self.monitor.startswith("-") else metrics[name]


def no_figures(state: State, folder: Path) -> None:
  """Draws nothing: the default of a method without figures of its own."""
  del state, folder


class Method(NamedTuple):
  """A paper: its stages and what is done with the result.

  Attributes:
    stages: run in order; the last one's state is the result.
    predict: (variables, inputs) -> outputs, pure; evaluation, prediction, export,
      attacks and notebooks all call it.
    variables: state -> variables for `predict` (averaged ones where EMA is on).
    inputs: `jax.ShapeDtypeStruct`s of `predict`'s inputs, with batch size 1.
    read: paths -> iterator over (name, one unbatched input).
    write: ({name: input}, {name: output}, folder) -> files, JSON and figures.
    figures: (state, folder) -> the method's own figures of a trained state.
    inserted: lines that say which transform was inserted where, for `plan`.
  """

  stages: tuple[Stage, ...]
  predict: Callable[[PyTree, PyTree], PyTree]
  variables: Callable[[State], PyTree]
  inputs: PyTree
  read: Callable[[Sequence[str]], Iterator[tuple[str, PyTree]]]
  write: Callable[[Mapping[str, PyTree], Mapping[str, PyTree], Path], None]
  figures: Callable[[State, Path], None] = no_figures
  inserted: tuple[str, ...] = ()
