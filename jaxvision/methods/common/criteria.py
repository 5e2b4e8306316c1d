"""What teachers may teach: the baselines, and inheritance and exploration."""

from collections.abc import Callable, Sequence
from typing import Any

from flax.core import FrozenDict
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.losses import distillation as losses
from jaxvision.losses import relational_distillation as relations
from jaxvision.methods.common.distillation import Criterion, Features, Guide, Parts
from jaxvision.models.coders import Adapters
from jaxvision.ops.channels import take_channels
from jaxvision.ops.feature_maps import same_resolution
from jaxvision.typing import Array, PyTree

FeatureLoss = Callable[[Parts, Guide], tuple[Array, dict[str, Array]]]
HALVES = ("inherit", "explore")
# Those that compare factors, so that the teacher needs an auto-encoder.
FACTORED = ("ie", "ft")


def uses_coder(config: ConfigDict) -> bool:
  """Whether the teacher's auto-encoder takes part: if it is on and has a use."""
  return config.coder.use and config.distill.kind in FACTORED


def build(config: ConfigDict, shapes: Sequence[tuple[int, ...]]) -> Criterion:
  """Makes the criterion that `config.distill` describes.

  Args:
    config: `distill`, `coder` and `dtype` are read.
    shapes: of the teacher's features at its taps, channels last.

  Raises:
    UserError: an unknown kind or distance, or taps that do not suit it.
  """
  fields = config.distill
  _check(fields, len(shapes))
  widths = [shape[-1] for shape in shapes]
  if uses_coder(config):
    widths = [config.coder.width]
  names, kind, loss = KINDS[fields.kind](fields)
  adapter = None
  if loss is not None and kind:
    own = FrozenDict(dict(zip(names, widths * len(names), strict=False)))
    adapter = Adapters(own, kind, config.coder.norm, config.dtype)
  soft = None
  if fields.soft_weight:
    soft = lambda student, teacher: (
      fields.soft_weight
      * losses.soft_target_kl(student, teacher, temperature=fields.temperature).mean()
    )
  return Criterion(
    taps=tuple(fields.taps),
    parts=_parts(names),
    adapter=adapter,
    loss=loss,
    outputs=soft,
    task_weight=1.0 - fields.soft_weight,
    split_kind=fields.split,
    ratio=fields.ratio,
  )


def _check(fields: ConfigDict, taps: int) -> None:
  if fields.kind not in KINDS:
    raise UserError(
      f"config.distill.kind is {fields.kind!r}; choose one of {', '.join(KINDS)}, dml, "
      "ie_dml."
    )
  if fields.distance not in losses.DISTANCES:
    raise UserError(
      f"config.distill.distance is {fields.distance!r}; "
      f"choose one of {', '.join(losses.DISTANCES)}."
    )
  if taps != len(fields.taps):
    raise UserError(
      f"config.distill has {len(fields.taps)} taps and {taps} teacher_taps; give each "
      "tap of the student one of the teacher."
    )
  if fields.kind in FACTORED and taps != 1:
    raise UserError(
      f"config.distill.kind {fields.kind!r} compares one feature; give one tap, not "
      f"{taps}."
    )


def _parts(names: Sequence[str]) -> Callable[[Features, PyTree], Parts]:
  """Names whole features "tap0", "tap1", ..., or the halves of the channels."""

  def parts(features: Features, split: PyTree) -> Parts:
    if not set(names) & set(HALVES):
      return {f"tap{i}": f for i, f in enumerate(features)}
    return {
      half if len(features) == 1 else f"{half}{i}": take_channels(
        f, split[f"tap{i}"][half]
      )
      for i, f in enumerate(features)
      for half in HALVES
      if half in names
    }

  return parts


def _halves(fields: ConfigDict) -> tuple[str, ...]:
  """The halves that have a weight."""
  weights = (fields.inherit_weight, fields.explore_weight)
  return tuple(half for half, weight in zip(HALVES, weights, strict=True) if weight)


def _nothing(fields: ConfigDict):
  del fields
  return (), "", None


def _inheritance_exploration(fields: ConfigDict):
  """Factors of the halves by the teacher's factor (Huang et al., 2021, 3.3)."""
  names = _halves(fields)
  distance = losses.DISTANCES[fields.distance]

  def loss(parts: Parts, guide: Guide) -> tuple[Array, dict[str, Array]]:
    pairs = {half: same_resolution(parts[half], guide.features[0]) for half in names}
    logs = {half: distance.inherit(*pair).mean() for half, pair in pairs.items()}
    return _opposed(fields, pairs), logs

  return names, "coder", loss if names else None


def _opposed(fields: ConfigDict, pairs: dict[str, tuple[Array, Array]]) -> Array:
  """The loss of both halves, or of the one that has a weight."""
  distance = losses.DISTANCES[fields.distance]
  if len(pairs) == 2:
    (inherited, teacher), (explored, _) = (pairs[half] for half in HALVES)
    return losses.inheritance_exploration(
      inherited,
      explored,
      teacher,
      inherit_weight=fields.inherit_weight,
      explore_weight=fields.explore_weight,
      distance=fields.distance,
      both_inherit=fields.both_inherit,
    ).mean()
  if "inherit" in pairs:
    return fields.inherit_weight * distance.inherit(*pairs["inherit"]).mean()
  explore = distance.inherit if fields.both_inherit else distance.explore
  return fields.explore_weight * explore(*pairs["explore"]).mean()


def _attention_halves(fields: ConfigDict):
  """IE-AT: attention maps of the halves, at every tap. Ours (specification, 3.7)."""
  names = _halves(fields)
  signs = {"inherit": 1.0, "explore": 1.0 if fields.both_inherit else -1.0}
  weights = {h: signs[h] * fields[f"{h}_weight"] for h in names}

  def loss(parts: Parts, guide: Guide) -> tuple[Array, dict[str, Array]]:
    logs = {}
    for half in names:
      own = [f for name, f in parts.items() if name.startswith(half)]
      pairs = zip(own, guide.features, strict=True)
      logs[half] = sum(
        losses.attention_transfer(s, t, form=fields.form).mean() for s, t in pairs
      )
    return sum(weights[half] * value for half, value in logs.items()), logs

  return names, "", loss if names else None


def _by_tap(
  loss_of: Callable[..., Array], adapter: str = "", *, halving: bool = False
) -> Callable[[ConfigDict], Any]:
  """A baseline: a weighted sum over taps of a loss of (student, teacher, guide, i)."""

  def make(fields: ConfigDict):
    count = len(fields.taps)
    shares = losses.stage_weights(count) if halving else (1.0,) * count

    def loss(parts: Parts, guide: Guide) -> tuple[Array, dict[str, Array]]:
      total = 0.0
      for i, (share, target) in enumerate(zip(shares, guide.features, strict=True)):
        pair = same_resolution(parts[f"tap{i}"], target)
        total = total + share * loss_of(fields, *pair, guide, i).mean()
      return fields.weight * total, {"distance": total}

    names = tuple(f"tap{i}" for i in range(count))
    return names, adapter, loss if fields.weight else None

  return make


def _overhaul(fields: ConfigDict, s: Array, t: Array, guide: Guide, i: int) -> Array:
  """OFD; the margin is that of the teacher's batch norm at the tap."""
  place = (fields.teacher_taps or fields.taps)[i]
  norm = guide.variables["params"]
  for name in place.split("/"):
    norm = norm.get(name, {})
  if "scale" not in norm:
    raise UserError(
      f"config.distill.kind 'ofd' takes the batch norms before activations as taps; "
      f"{place} is none."
    )
  margin = losses.overhaul_margin(norm["scale"], norm["bias"])
  return losses.overhaul(s, t, margin=margin)


# name -> fields -> (names of the parts, kind of their adapters, loss)
KINDS: dict[str, Callable[[ConfigDict], Any]] = {
  "none": _nothing,
  "ie": _inheritance_exploration,
  "ie_at": _attention_halves,
  "ft": _by_tap(lambda fields, s, t, *_: losses.factor_transfer(s, t), "coder"),
  "at": _by_tap(
    lambda fields, s, t, *_: losses.attention_transfer(s, t, form=fields.form)
  ),
  "fitnet": _by_tap(lambda fields, s, t, *_: losses.fitnet(s, t), "connector"),
  "ab": _by_tap(
    lambda fields, s, t, *_: losses.activation_boundary(s, t),
    "connector",
    halving=True,
  ),
  "ofd": _by_tap(_overhaul, "connector", halving=True),
  "sp": _by_tap(lambda fields, s, t, *_: relations.similarity_preserving(s, t)),
  "rkd": _by_tap(lambda fields, s, t, *_: relations.relational(s, t)),
  "pkt": _by_tap(lambda fields, s, t, *_: relations.probabilistic_transfer(s, t)),
}
