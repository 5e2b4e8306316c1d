"""Distorted variants of image sets: the same objects, moved on a larger canvas.

The tasks are those on which invariance is judged: random poses as in Jaderberg et al.
(2015), "Spatial Transformer Networks"; full rotations as in mnist-rot-12k; training on
one pose and testing on others, as in our experiments with Shen et al. (2016), TICNN,
and Shen et al. (2017), patch reordering.
"""

import dataclasses
from numbers import Real

import jax
import jax.numpy as jnp

from jaxvision.ops.affine import affine_coordinates, affine_matrix
from jaxvision.ops.warp_sampling import warp
from jaxvision.typing import Array, Float, Int, PRNGKey

QUADRANTS = {  # (down, right) of a quadrant's centre, in half canvases
  "top_left": (-0.5, -0.5),
  "top_right": (-0.5, 0.5),
  "bottom_left": (0.5, -0.5),
  "bottom_right": (0.5, 0.5),
}


@dataclasses.dataclass(frozen=True)
class Distortion:
  """Distribution of an object's pose on a canvas; hashable. Draws are uniform.

  Attributes:
    canvas: side of the square canvas in pixels; zero outside of the object.
    object_size: what the longer side of an image becomes, in pixels, before `scale`.
    angle: (low, high) in degrees, counter-clockwise.
    scale: (low, high), times `object_size`.
    places: where the object's centre is: "center"; "anywhere", where the unrotated
      image remains whole; or one or several of `QUADRANTS`, equally likely.
    jitter: largest further displacement along each axis, in pixels.

  Raises:
    ValueError: a value outside its range.
  """

  canvas: int
  object_size: int
  angle: tuple[Real, Real] = (0.0, 0.0)
  scale: tuple[Real, Real] = (1.0, 1.0)
  places: tuple[str, ...] = ("center",)
  jitter: Real = 0.0

  def __post_init__(self):
    """Checks all fields."""
    if self.canvas < 1 or self.object_size < 1:
      raise ValueError(
        f"canvas is {self.canvas} and object_size {self.object_size}; both are pixels."
      )
    if not self.angle[0] <= self.angle[1]:
      raise ValueError(f"angle is {self.angle}; the lower end comes first.")
    if not 0 < self.scale[0] <= self.scale[1]:
      raise ValueError(f"scale is {self.scale}; it is (low, high) above 0.")
    if not self.jitter >= 0:
      raise ValueError(f"jitter is {self.jitter}; it is a distance.")
    known = self.places in (("center",), ("anywhere",))
    if not known and not (self.places and set(self.places) <= set(QUADRANTS)):
      raise ValueError(
        f"places are {self.places}; choose center, anywhere or some of "
        f"{', '.join(QUADRANTS)}."
      )


_SPATIAL_TRANSFORMER = Distortion(canvas=42, object_size=28)
_SMALL = Distortion(canvas=32, object_size=20)
_HALF = Distortion(canvas=32, object_size=14, jitter=1.5)
_FULL = Distortion(canvas=28, object_size=28)
_change = dataclasses.replace

# All variants of a task share a canvas, so that one network sees them all.
TASKS: dict[str, dict[str, Distortion]] = {
  "spatial_transformer": {
    "identity": _SPATIAL_TRANSFORMER,
    "translated": _change(_SPATIAL_TRANSFORMER, places=("anywhere",)),
    "rotated": _change(_SPATIAL_TRANSFORMER, angle=(-90, 90)),
    "scaled": _change(_SPATIAL_TRANSFORMER, scale=(0.7, 1.2)),
    "rts": _change(
      _SPATIAL_TRANSFORMER, angle=(-45, 45), scale=(0.7, 1.2), places=("anywhere",)
    ),
  },
  "mnist_rot": {"identity": _FULL, "mnist_rot": _change(_FULL, angle=(-180, 180))},
  "unseen_pose": {
    "identity": _SMALL,
    "translated": _change(_SMALL, jitter=6),
    "rotated": _change(_SMALL, angle=(-90, 90)),
    "scaled": _change(_SMALL, scale=(0.7, 1.3)),
    "rst": _change(_SMALL, angle=(-90, 90), scale=(0.7, 1.3), jitter=6),
  },
  "unseen_quadrant": {
    "top_left": _change(_HALF, places=("top_left",)),
    "unseen": _change(_HALF, places=tuple(QUADRANTS)[1:]),
  },
}


def find_distortion(name: str) -> Distortion:
  """Returns a variant of `TASKS` by "task/variant", as "unseen_pose/rst".

  Raises:
    ValueError: there is none of that name.
  """
  task, _, variant = name.partition("/")
  if variant not in TASKS.get(task, {}):
    names = [f"{task}/{variant}" for task in TASKS for variant in TASKS[task]]
    raise ValueError(f"the distortion is {name!r}; choose one of {', '.join(names)}.")
  return TASKS[task][variant]


def distort(
  key: PRNGKey, image: Float[Array, "b h w c"], distortion: Distortion
) -> Float[Array, "b n n c"]:
  """Puts each image onto its canvas in a fresh random pose, for training.

  One bilinear interpolation, straight from the image. Shrinking does not blur first.

  Args:
    key: of the batch.
    image: objects on a background of 0.
    distortion: distribution of the poses.
  """
  return _posed(jax.random.split(key, image.shape[0]), image, distortion)


def distort_rows(
  seed: int | Int[Array, ""],
  index: Int[Array, " b"],
  image: Float[Array, "b h w c"],
  distortion: Distortion,
) -> Float[Array, "b n n c"]:
  """As `distort`, but example i of a split always has the same pose, for evaluation.

  Args:
    seed: of the split; training and test examples need different ones.
    index: number of each example in its split, whatever batch it comes in.
    image: objects on a background of 0.
    distortion: distribution of the poses.
  """
  keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), index)
  return _posed(keys, image, distortion)


def place_still(
  image: Float[Array, "b h w c"], distortion: Distortion
) -> Float[Array, "b n n c"]:
  """Puts images onto their canvas as the middle of what `distort` draws, for use.

  Upright, in their own size, and at the centre or the first of `places`: one pose for
  all images, and nothing random in the program.

  Args:
    image: objects on a background of 0.
    distortion: distribution of the poses.
  """
  size, canvas = image.shape[1:3], distortion.canvas
  place = jnp.array(QUADRANTS.get(distortion.places[0], (0.0, 0.0))) * canvas / 2
  scale = jnp.float32(distortion.object_size / max(size))
  matrix = affine_matrix(jnp.float32(0.0), scale, place)
  return warp(image, affine_coordinates(matrix[None], (canvas, canvas), source=size))


def sample_pose(
  key: PRNGKey, distortion: Distortion, size: tuple[int, int]
) -> Float[Array, "3 3"]:
  """Draws the matrix that puts one image of `size` (height, width) onto the canvas."""
  angle_key, scale_key, place_key, jitter_key = jax.random.split(key, 4)
  uniform = lambda k, ends: jax.random.uniform(k, minval=ends[0], maxval=ends[1])
  scale = uniform(scale_key, distortion.scale) * distortion.object_size / max(size)
  place = _place(place_key, distortion, jnp.array(size) * scale)
  jitter = distortion.jitter * jax.random.uniform(jitter_key, (2,), minval=-1.0)
  return affine_matrix(uniform(angle_key, distortion.angle), scale, place + jitter)


def _place(
  key: PRNGKey, distortion: Distortion, size: Float[Array, "2"]
) -> Float[Array, "2"]:
  """Draws (down, right) from the centre of the canvas for an object of `size`."""
  if distortion.places == ("center",):
    return jnp.zeros(2)
  if distortion.places == ("anywhere",):
    room = jnp.maximum(distortion.canvas - size, 0.0) / 2
    return room * jax.random.uniform(key, (2,), minval=-1.0)
  centers = jnp.array([QUADRANTS[name] for name in distortion.places])
  return jax.random.choice(key, centers) * distortion.canvas / 2


def _posed(
  keys: Array, image: Float[Array, "b h w c"], distortion: Distortion
) -> Float[Array, "b n n c"]:
  size = image.shape[1:3]
  matrix = jax.vmap(lambda key: sample_pose(key, distortion, size))(keys)
  canvas = (distortion.canvas, distortion.canvas)
  return warp(image, affine_coordinates(matrix, canvas, source=size))
