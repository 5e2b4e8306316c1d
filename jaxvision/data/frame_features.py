"""Features of frames: a small network that learns to tell garments, and is cut off.

It sees garments of the training images as the frames show them: on their way in, on
their way out, and turned; and frames without any. The activations of its last layer
but one are the features, as those of a network for images or clips are in the
literature of temporal action localisation.
"""

import functools
from collections.abc import Iterable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float32, Int32, UInt8

from jaxvision import interruption
from jaxvision.data.frame_actions import draw_looks, show
from jaxvision.data.frame_pixels import SIDE, clutter, cover, noisy
from jaxvision.layers import insertion
from jaxvision.models.cnn import CNN
from jaxvision.typing import Array, Float, PyTree

WIDTHS = (16, 32)  # channels
FEATURE = "relu_dense"
BATCH, RATE = 128, 3e-3
NOTHING = 0.3  # share of frames without a garment
CHECKED, CHUNK = 2048, 256  # frames that are measured; at a time
TRAIN, STATISTICS, HELD_OUT = range(3)  # independent random numbers of one seed
Frames = tuple[Float32[np.ndarray, "b h w 1"], Int32[np.ndarray, " b"]]


class Garments(NamedTuple):
  """Images g of garments, 28 x 28 grey pixels, and their classes."""

  image: UInt8[np.ndarray, "g h w"]
  label: Int32[np.ndarray, " g"]


class Backbone(NamedTuple):
  """A trained network.

  Attributes:
    model: of classes + 1 logits, the last one for frames without a garment.
    variables: its parameters and batch statistics.
    mean: of each feature over frames of training images.
    deviation: likewise; 1 for a feature that never changes.
    accuracy: share of frames of held-out images that it classifies correctly.
  """

  model: CNN
  variables: PyTree
  mean: Float[Array, " d"]
  deviation: Float[Array, " d"]
  accuracy: float


def train_backbone(
  train: Garments,
  held_out: Garments,
  *,
  classes: int,
  width: int,
  steps: int,
  noise: float,
  seed: int = 0,
) -> Backbone:
  """Trains a network on frames of garments; a pure function of its arguments.

  Args:
    train: garments.
    held_out: others, to measure the accuracy with.
    classes: of the images.
    width: number d of features.
    steps: of Adam, each on 128 frames that are drawn anew.
    noise: standard deviation of a pixel of the frames.
    seed: of parameters and frames.

  Returns:
    The network with the statistics of its features.
  """
  model = CNN(WIDTHS, dense_width=width, classes=classes + 1)
  draw = functools.partial(random_frames, nothing=classes, noise=noise)
  batches = (
    draw(np.random.default_rng((seed, TRAIN, i)), train, BATCH) for i in range(steps)
  )
  variables = _fit(model, batches, steps=steps, seed=seed)
  seen, right = [], []
  for i in range(CHECKED // CHUNK):
    frames, _ = draw(np.random.default_rng((seed, STATISTICS, i)), train, CHUNK)
    seen.append(_outputs(model, variables, frames)[1])
    frames, label = draw(np.random.default_rng((seed, HELD_OUT, i)), held_out, CHUNK)
    right.append(_outputs(model, variables, frames)[0].argmax(-1) == label)
  seen = jnp.concatenate(seen)
  deviation = jnp.where(seen.std(0) > 0, seen.std(0), 1)
  accuracy = float(jnp.stack(right).mean())
  return Backbone(model, variables, seen.mean(0), deviation, accuracy)


def extract(
  backbone: Backbone, frames: Float32[np.ndarray, "b h w 1"]
) -> Float[Array, "b d"]:
  """The features of frames, each with mean 0 and deviation 1 over training frames."""
  _, features = _outputs(backbone.model, backbone.variables, frames)
  return (features - backbone.mean) / backbone.deviation


def random_frames(
  rng: np.random.Generator,
  garments: Garments,
  count: int,
  *,
  nothing: int,
  noise: float,
) -> Frames:
  """Draws single frames: a garment at some phase of its action, or none.

  Args:
    rng: source of the random numbers.
    garments: of which random ones are shown.
    count: number of frames b.
    nothing: the class of frames without a garment, of which three in ten are.
    noise: standard deviation of a pixel.

  Returns:
    The frames and their classes.
  """
  row = rng.integers(len(garments.label), size=count)
  there = rng.random(count) >= NOTHING
  looks = draw_looks(rng, (count,))
  frames = clutter(rng, count, 1)[:, 0]
  shown = show(garments.image[row], looks, rng.random(count))
  frames[there] = cover(frames, shown)[there]
  classes = np.where(there, garments.label[row], nothing).astype(np.int32)
  return noisy(rng, frames, noise)[..., None], classes


def _fit(model: CNN, batches: Iterable[Frames], *, steps: int, seed: int) -> PyTree:
  """Trains by Adam with a falling rate; returns parameters and batch statistics."""
  optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))
  blank = jnp.zeros((1, SIDE // 2, SIDE // 2, 1))
  variables = jax.jit(model.init)(jax.random.key(seed), blank)

  def loss(params: PyTree, statistics: PyTree, frames: Array, label: Array) -> PyTree:
    logits, changed = model.apply(
      {"params": params, **statistics},
      _halved(frames),
      train=True,
      mutable=["batch_stats"],
    )
    each = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return each.mean(), changed

  @jax.jit
  def update(variables: PyTree, state: PyTree, frames: Array, label: Array) -> PyTree:
    params = variables["params"]
    statistics = {"batch_stats": variables["batch_stats"]}
    slope, changed = jax.grad(loss, has_aux=True)(params, statistics, frames, label)
    updates, state = optimizer.update(slope, state, params)
    return {"params": optax.apply_updates(params, updates), **changed}, state

  state = optimizer.init(variables["params"])
  for batch in batches:
    interruption.check()
    variables, state = update(variables, state, *batch)
  return variables


@functools.partial(jax.jit, static_argnums=0)
def _outputs(
  model: CNN, variables: PyTree, frames: Float[Array | np.ndarray, "b h w 1"]
) -> tuple[Float[Array, "b k"], Float[Array, "b d"]]:
  """Logits and features."""
  logits, found = insertion.features(model, variables, _halved(frames), [FEATURE])
  return logits, found[FEATURE]


def _halved(frames: Float[Array | np.ndarray, "b h w 1"]) -> Float[Array, "b p q 1"]:
  """Means of 2 x 2 pixels: a quarter of the work, and half of the noise."""
  return nn.avg_pool(frames, (2, 2), strides=(2, 2))
