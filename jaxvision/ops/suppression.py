"""Non-maximum suppression of segments: greedy, soft, and voting.

Every function works on the candidates of one video and has static shapes: pad the
candidates with scores of -inf and `jax.vmap` over videos. Suppression is class-wise if
`classes` is given, else class-agnostic. Segments of zero length overlap nothing, so
nothing suppresses them; give them a score of -inf too where they are to be dropped.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxvision.ops.overlap import pair_iou
from jaxvision.ops.suppression_decays import (
  Decay,
  gaussian_decay,
  linear_decay,
  opentad_decay,
)
from jaxvision.ops.voting import vote
from jaxvision.typing import Array, Bool, Float, Int

__all__ = [
  "Decay",
  "gaussian_decay",
  "linear_decay",
  "nms",
  "opentad_decay",
  "soft_nms",
  "suppress",
  "take_kept",
  "vote",
]


def nms(
  segments: Float[Array, "n 2"],
  scores: Float[Array, " n"],
  *,
  threshold: ArrayLike,
  max_keep: int,
  classes: Int[Array, " n"] | None = None,
  min_score: ArrayLike = -math.inf,
  strict: bool = False,
  length_offset: ArrayLike = 0.0,
) -> Int[Array, " k"]:
  """Keeps the best candidate, drops those it overlaps, and repeats.

  Args:
    segments: (start, end).
    scores: in any range; -inf marks padding. Of equal scores the first wins.
    threshold: the IoU from which a candidate is dropped.
    max_keep: length of the result.
    classes: if given, a candidate is only dropped for one of its own class.
    min_score: only candidates with scores above it take part (ActionFormer, OpenTAD).
    strict: whether an IoU *equal* to the threshold is kept, as in TensorFlow and
      AherNet; the C++ code of ActionFormer and OpenTAD drops it.
    length_offset: see `pair_iou`; 1e-6 in that C++ code.

  Returns:
    Indices of the kept candidates (int32), best first, then -1 where nothing is left.
  """

  def suppress_rivals(
    scores: Array, iou: Array, _: Array
  ) -> tuple[Float[Array, " n"], Bool[Array, " n"]]:
    return scores, iou <= threshold if strict else iou < threshold

  alive = scores > min_score
  return _select(
    segments, scores, alive, suppress_rivals, classes, max_keep, length_offset
  )[0]


def soft_nms(
  segments: Float[Array, "n 2"],
  scores: Float[Array, " n"],
  *,
  sigma: ArrayLike,
  max_keep: int,
  low: ArrayLike = 0.0,
  high: ArrayLike = 0.0,
  min_score: ArrayLike = 0.0,
  classes: Int[Array, " n"] | None = None,
  length_offset: ArrayLike = 0.0,
) -> tuple[Int[Array, " k"], Float[Array, " k"]]:
  """`suppress` with `gaussian_decay`: the soft-NMS of ActionFormer, BSN and BMN."""
  return suppress(
    segments,
    scores,
    gaussian_decay(sigma=sigma, low=low, high=high),
    max_keep=max_keep,
    min_score=min_score,
    classes=classes,
    length_offset=length_offset,
  )


def suppress(
  segments: Float[Array, "n 2"],
  scores: Float[Array, " n"],
  decay: Decay,
  *,
  max_keep: int,
  min_score: ArrayLike = 0.0,
  classes: Int[Array, " n"] | None = None,
  length_offset: ArrayLike = 0.0,
) -> tuple[Int[Array, " k"], Float[Array, " k"]]:
  """Selects the best candidate, lowers the scores of those it overlaps, and repeats.

  Bodla et al. (2017), "Soft-NMS: Improving Object Detection With One Line of Code".
  Selected class-wise, the result equals that of each class alone, merged by score.

  Two departures from published loops: the C++ code of ActionFormer and OpenTAD never
  tests its first selection against `min_score`, here it is tested as all others are;
  and BMN's Python stops when one candidate is left or 101 are selected, which
  `max_keep=min(n - 1, 101)` reproduces.

  Args:
    segments: (start, end).
    scores: not negative; negative ones, -inf for instance, mark padding.
    decay: from the IoU [n] with the selected segment and that one's length [] to
      factors [n] in [0, 1]: `gaussian_decay`, `opentad_decay`, `linear_decay`, yours.
    max_keep: length of the result.
    min_score: a candidate is gone as soon as its score is below this.
    classes: if given, a candidate only decays for one of its own class.
    length_offset: see `pair_iou`; 1e-6 in that C++ code.

  Returns:
    Indices of the selected candidates (int32) in the order of selection, then -1 where
    nothing is left; and their decayed scores, there 0.
  """

  def lower_scores(
    scores: Array, iou: Array, length: Array
  ) -> tuple[Float[Array, " n"], Bool[Array, " n"]]:
    scores = scores * decay(iou, length)
    return scores, scores >= min_score

  # Padding gets a finite score: -inf times a factor of 0 would be NaN.
  alive = (scores >= min_score) & (scores >= 0)
  scores = jnp.where(alive, scores, 0)
  return _select(
    segments, scores, alive, lower_scores, classes, max_keep, length_offset
  )


def take_kept(values: Array, index: Int[Array, " k"], *, fill: ArrayLike = 0) -> Array:
  """Takes `values[index]` along the first axis, and `fill` where the index is -1.

  Plain indexing would read the last value there.
  """
  values = jnp.asarray(values)
  last = jnp.full((1, *values.shape[1:]), fill, values.dtype)
  return jnp.concatenate([values, last])[index]  # so -1 reads the fill


def _select(
  segments: Float[Array, "n 2"],
  scores: Float[Array, " n"],
  alive: Bool[Array, " n"],
  update: Callable[[Array, Array, Array], tuple[Array, Array]],
  classes: Int[Array, " n"] | None,
  max_keep: int,
  length_offset: ArrayLike,
) -> tuple[Int[Array, " k"], Float[Array, " k"]]:
  """Selects the best `max_keep` times; `update` says what that does to the others."""
  # NumPy arrays, which cannot be indexed by the loop's own selection, are welcome.
  segments, scores = jnp.asarray(segments), jnp.asarray(scores)
  classes = None if classes is None else jnp.asarray(classes)
  if not scores.size:
    return jnp.full(max_keep, -1, jnp.int32), jnp.zeros(max_keep, scores.dtype)

  def step(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], tuple]:
    scores, alive = state
    best = jnp.argmax(jnp.where(alive, scores, -jnp.inf)).astype(jnp.int32)
    found, score = alive[best], scores[best]
    iou = pair_iou(segments[best], segments, length_offset=length_offset)
    length = segments[best, 1] - segments[best, 0] + length_offset
    lowered, survives = update(scores, iou, length)
    if classes is not None:
      rival = classes == classes[best]
      lowered, survives = jnp.where(rival, lowered, scores), survives | ~rival
    alive = (alive & survives).at[best].set(False)
    return (lowered, alive), (jnp.where(found, best, -1), jnp.where(found, score, 0))

  _, selected = lax.scan(step, (scores, alive), length=max_keep)
  return selected
