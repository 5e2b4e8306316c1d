"""Skeletons as graphs of joints, and the adjacencies that graph convolutions use.

All matrices are [source, target]: y[w] = sum over v of x[v] * matrix[v, w].
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.errors import UserError
from jaxvision.typing import Array, Float, Int

Pairs = tuple[tuple[int, int], ...]

# Joints of Kinect v2, as in NTU RGB+D.
NTU_NAMES = (
  "spine_base", "spine_mid", "neck", "head", "left_shoulder", "left_elbow",
  "left_wrist", "left_hand", "right_shoulder", "right_elbow", "right_wrist",
  "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "right_hip",
  "right_knee", "right_ankle", "right_foot", "spine_shoulder", "left_tip",
  "left_thumb", "right_tip", "right_thumb",
)  # fmt: skip
OPENPOSE_NAMES = (
  "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
  "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip",
  "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
COCO_NAMES = (
  "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder",
  "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
  "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
# The parent of each joint, -1 for the root.
NTU_PARENTS = (
  1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, -1, 22, 7, 24,
  11,
)  # fmt: skip
# Tip and thumb both hang from the hand, as in pyskl and mmaction2.
NTU_HAND_PARENTS = (*NTU_PARENTS[:21], 7, 7, 11, 11)
OPENPOSE_PARENTS = (1, -1, 1, 2, 3, 1, 5, 6, 2, 8, 9, 5, 11, 12, 0, 0, 14, 15)
COCO_PARENTS = (-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14)
SKELETONS = {
  "ntu": (NTU_NAMES, NTU_PARENTS),
  "ntu_hand": (NTU_NAMES, NTU_HAND_PARENTS),
  "openpose": (OPENPOSE_NAMES, OPENPOSE_PARENTS),
  "coco": (COCO_NAMES, COCO_PARENTS),
}
MODES = ("elementwise", "matrix", "khop")


class SkeletonGraph(NamedTuple):
  """A tree of joints.

  Attributes:
    names: of the joints.
    parents: of the joints, -1 for the root.
  """

  names: tuple[str, ...]
  parents: tuple[int, ...]

  @property
  def joints(self) -> int:
    """Number of joints."""
    return len(self.names)

  @property
  def root(self) -> int:
    """The joint without a parent."""
    return self.parents.index(-1)

  @property
  def inward(self) -> Pairs:
    """Links (child, parent), which point to the root."""
    return tuple((i, p) for i, p in enumerate(self.parents) if p >= 0)


def skeleton(name: str) -> SkeletonGraph:
  """Returns a known skeleton.

  Args:
    name: "ntu", 25 joints of NTU RGB+D as STIGCN, ST-GCN and 2s-AGCN link them, from
      the spine between the shoulders outwards; "ntu_hand", where the tip of a hand
      hangs from the hand, not from the thumb; "openpose", 18 joints of
      Kinetics-Skeleton; "coco", 17 joints.

  Raises:
    UserError: another name.
  """
  if name not in SKELETONS:
    known = ", ".join(SKELETONS)
    raise UserError(f"there is no skeleton {name!r}; choose one of {known}.")
  return SkeletonGraph(*SKELETONS[name])


def spatial_adjacency(graph: SkeletonGraph) -> Float[Array, "3 v v"]:
  """Stacks identity, inward and outward links, columns divided by their sums.

  Shi et al. (2019), "Two-Stream Adaptive Graph Convolutional Networks", CVPR, in their
  code, which STIGCN and CTR-GCN follow. Aggregated by the second matrix a joint
  gets its parent's feature (the root zero), by the third the mean of its children's
  (a leaf zero).

  Args:
    graph: the skeleton.
  """
  return normalize_columns(_links(graph))


def configuration_adjacency(graph: SkeletonGraph) -> Float[Array, "3 v v"]:
  """Stacks the three subsets of ST-GCN: a joint itself, its children, its parent.

  Yan, Xiong, Lin (2018), "Spatial Temporal Graph Convolutional Networks for
  Skeleton-Based Action Recognition", AAAI, "spatial configuration", for a tree whose
  root is the center. Unlike in `spatial_adjacency`, columns are divided by the sum over
  all three subsets.

  Args:
    graph: the skeleton.
  """
  identity, inward, outward = links = _links(graph)
  return jnp.stack([identity, outward, inward]) / links.sum((0, 1))


def _links(graph: SkeletonGraph) -> Float[Array, "3 v v"]:
  """Identity, inward and outward links as ones."""
  child, parent = np.array(graph.inward).T
  inward = np.zeros((graph.joints, graph.joints), np.float32)
  inward[parent, child] = 1
  identity = np.eye(graph.joints, dtype=np.float32)
  return jnp.asarray(np.stack([identity, inward, inward.T]))


def normalize_columns(adjacency: Float[Array, "*k v v"]) -> Float[Array, "*k v v"]:
  """Divides columns by their sums; columns of zeros remain."""
  total = adjacency.sum(-2, keepdims=True)
  return adjacency / jnp.where(total == 0, 1, total)


def inception_adjacency(
  adjacency: Float[Array, "3 v v"],
  *,
  mode: str = "elementwise",
  hops: tuple[int, ...] = (0, 1, 2, 4),
) -> Float[Array, "4 v v"]:
  """Stacks the four fixed graphs of STIGCN: joint, bone, "Chebyshev" and high order.

  Huang et al. (2020), "Spatio-Temporal Inception Graph Convolutional Networks for
  Skeleton-Based Action Recognition", ACM MM. With P = inward + outward they are I,
  I - inward (at the level of features, bones), 4 P^2 - P - 2 I, and the softmax over
  sources of (8 P^4 - 4 P^2 - 4 P + I) / v.

  The paper speaks of neighbors up to order 4. In the authors' code, the default here,
  the powers are taken element by element, so that the third graph reaches one hop and
  the last is nearly the mean over all joints.

  Args:
    adjacency: as of `spatial_adjacency`.
    mode: "elementwise"; "matrix", the same with powers of matrices; or "khop", joints
      at exactly so many links, columns divided by their sums, four times.
    hops: the four numbers of links of "khop".

  Raises:
    UserError: another mode, or not four hops.
  """
  if mode not in MODES:
    known = ", ".join(MODES)
    raise UserError(f"the order mode is {mode!r}; choose one of {known}.")
  if mode == "khop":
    if len(hops) != 4:
      raise UserError(f"hops are {hops}; STIGCN has four graphs, so give four.")
    distance = hop_distance(adjacency)
    exact = jnp.stack([distance == k for k in hops])
    return normalize_columns(exact.astype(adjacency.dtype))
  identity, inward, outward = adjacency
  links = inward + outward
  if mode == "matrix":
    square = _product(links, links)
    fourth = _product(square, square)
  else:
    square, fourth = links**2, links**4
  chebyshev = 4 * square - links - 2 * identity
  high = (8 * fourth - 4 * square - 4 * links + identity) / len(links)
  return jnp.stack([identity, identity - inward, chebyshev, jax.nn.softmax(high, 0)])


def neighborhood(adjacency: Float[Array, "3 v v"]) -> Float[Array, "v v"]:
  """Mean of identity, inward and outward: the one graph of a single-scale network."""
  return adjacency.mean(0)


def hop_distance(adjacency: Float[Array, "3 v v"]) -> Int[Array, "v v"]:
  """Counts the links between joints; joints without a path are v links apart."""
  joints = adjacency.shape[-1]
  near = (adjacency != 0).any(0)
  near = (near | near.T | jnp.eye(joints, dtype=bool)).astype(jnp.float32)
  within = jnp.eye(joints)
  distance = jnp.zeros((joints, joints), jnp.int32)
  for _ in range(joints):
    distance += within == 0
    within = (_product(within, near) > 0).astype(jnp.float32)
  return distance


def _product(a: Array, b: Array) -> Array:
  """Full float32: accelerators round by default, and powers would show it."""
  return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
