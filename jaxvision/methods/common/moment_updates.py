"""AherNet's ordered updates: what each sees, what it changes, in which order.

Long, Yao, Qiu, Tian, Luo, Mei (2020), "Learning to Localize Actions from Moments",
ECCV, section 3.4, as its released code has them. Every update has an optimizer of its
own, ten in all.
"""

from jaxvision.methods.common.moment_objective import Objective
from jaxvision.methods.common.ordered import ADVERSARIAL, Logs, Loss, Update
from jaxvision.typing import Array, PyTree

TRUNK = ("backbone", "heads")
GENERATORS = ("gen_start", "gen_end")


def source_updates(objective: Objective) -> list[Update]:
  """Steps 2 and 3: classify clips of the source, localize in its videos."""
  return [
    Update("2", "foreground", ("regv_source",), _clips(objective, "source")),
    *_localize(objective, "3", "source", TRUNK, ("backbone", *_cells(objective)[0])),
  ]


def all_updates(objective: Objective) -> list[Update]:
  """The six steps, as far as the config has them.

  | step | data | changes |
  |---|---|---|
  | 1 | moments | backbone, their classifier |
  | 2 | source actions | their classifier |
  | 3 | source videos | backbone, heads, transfer |
  | 4 | synthetic videos | generators |
  | 5 | backgrounds | discriminators, then generators, twice |
  | 6 | synthetic videos | backbone, heads |

  Without generated contexts there is neither 4 nor 5, without synthetic videos no 6. An
  oracle's step 6 sees annotated videos, and trains all that classifies their cells.
  """
  config = objective.config
  moments = ("backbone", "regv_target")
  updates = [
    Update("1", "moments", moments, _clips(objective, "target")),
    *source_updates(objective),
  ]
  kind = config.context.kind
  if kind == "off":
    return updates
  if kind == "generated":
    updates += _localize(objective, "4", "synthetic", GENERATORS, GENERATORS)
    if config.adversarial.weight:
      updates += _compete(objective, config.adversarial.rounds)
  cells = _cells(objective)
  own = ("regv_target", *cells[0], *cells[1]) if kind == "videos" else cells[1]
  own = tuple(name for name in own if name != "clsa_source")
  return updates + _localize(objective, "6", "synthetic", TRUNK, ("backbone", *own))


def _cells(objective: Objective) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """What classifies cells beside the clips' classifiers: trained in steps 3, and 6."""
  kind = objective.config.model.class_weights
  return {
    "transfer": (("transfer",), ()),
    "direct": (("clsa_source",), ("clsa_target",)),
  }.get(kind, ((), ()))


def _clips(objective: Objective, domain: str) -> Loss:
  name = "foreground" if domain == "source" else "moments"

  def loss(params: PyTree, batch: PyTree, drawn: PyTree) -> tuple[Array, Logs]:
    return objective.clips(params, batch[name], drawn["dropout"], domain), {}

  return loss


def _localize(
  objective: Objective,
  number: str,
  data: str,
  heads: tuple[str, ...],
  cells: tuple[str, ...],
) -> list[Update]:
  """Losses on proposals and on cells, two optimizers: what each of them changes."""
  domain = "source" if data == "source" else "target"

  def video(params: PyTree, batch: PyTree, drawn: PyTree) -> PyTree:
    if data == "source":
      return batch["source"]
    return objective.synthetic(params, batch, drawn)

  def of_proposals(params: PyTree, batch: PyTree, drawn: PyTree):
    seen = video(params, batch, drawn)
    return objective.proposals(params, seen, drawn["dropout"]), {}

  def of_cells(params: PyTree, batch: PyTree, drawn: PyTree):
    seen = video(params, batch, drawn)
    return objective.cells(params, seen, drawn["dropout"], domain), {}

  return [
    Update(number, "proposals", heads, of_proposals),
    Update(number, "cells", cells, of_cells),
  ]


def _compete(objective: Objective, rounds: int) -> list[Update]:
  """The discriminators' step, and `rounds` of the generators against them."""

  def losses(params: PyTree, batch: PyTree, drawn: PyTree):
    fake = objective.synthetic(params, batch, drawn)
    return objective.backgrounds(params, batch["source"], fake, drawn["dropout"])

  def tell(params: PyTree, batch: PyTree, drawn: PyTree) -> tuple[Array, Logs]:
    found = losses(params, batch, drawn)
    loss = found.real.mean() + found.fake.mean()
    return loss, {"discriminator_accuracy": found.correct}

  def deceive(params: PyTree, batch: PyTree, drawn: PyTree) -> tuple[Array, Logs]:
    return losses(params, batch, drawn).generator.mean(), {}

  return [
    Update("5a", "discriminators", ("disc",), tell, ADVERSARIAL),
    *(
      Update(f"5b{i}", "generators", GENERATORS, deceive, ADVERSARIAL)
      for i in range(rounds)
    ),
  ]
