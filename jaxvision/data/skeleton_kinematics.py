"""Forward kinematics: a standing person of NTU's 25 joints whose bones are turned."""

import numpy as np
from jaxtyping import Float, Float64

from jaxvision.ops.graphs import skeleton

NTU = skeleton("ntu")

# Metres from the parent, x to the subject's right, y up, z forward; the right limbs are
# the left ones mirrored.
_TRUNK = {1: (0, -0.22, 0), 0: (0, -0.25, 0), 2: (0, 0.08, 0), 3: (0, 0.16, 0)}
_LEFT = {
  4: (-0.17, -0.02, 0), 5: (-0.05, -0.26, 0), 6: (-0.02, -0.24, 0),
  7: (-0.01, -0.08, 0), 22: (-0.02, -0.03, 0.04), 21: (0, -0.09, 0),
  12: (-0.09, -0.05, 0), 13: (-0.02, -0.40, 0), 14: (0, -0.38, 0),
  15: (0, -0.06, 0.12),
}  # fmt: skip
_RIGHT = {4: 8, 5: 9, 6: 10, 7: 11, 22: 24, 21: 23, 12: 16, 13: 17, 14: 18, 15: 19}
OFFSETS = (
  _TRUNK | _LEFT | {_RIGHT[joint]: (-x, y, z) for joint, (x, y, z) in _LEFT.items()}
)


def forward_kinematics(
  about_x: dict[int, Float[np.ndarray, "n t"]],
  about_z: dict[int, Float[np.ndarray, "n t"]],
  yaw: Float[np.ndarray, " n"],
  scale: Float[np.ndarray, " n"],
) -> Float64[np.ndarray, "n t 25 3"]:
  """Positions of the joints of turned bones.

  A joint turns what hangs on it: its rotation is its parent's times its own, and its
  position is its parent's plus its offset turned by the parent's rotation.

  Args:
    about_x: {joint: radians about its x axis}, in each frame.
    about_z: as well, of other joints.
    yaw: radians by which the whole body is turned about y.
    scale: of all bones.

  Returns:
    Metres; the root, the spine between the shoulders, is at 0.
  """
  n, t = next(iter(about_x.values())).shape
  rotation = {NTU.root: _rotation(1, np.broadcast_to(yaw[:, None], (n, t)))}
  position = np.zeros((n, t, len(NTU.parents), 3))
  for joint in _outwards():
    turned = rotation[NTU.parents[joint]]
    offset = scale[:, None, None] * np.array(OFFSETS[joint], np.float64)
    moved = np.einsum("ntij,nkj->nti", turned, offset)
    position[:, :, joint] = position[:, :, NTU.parents[joint]] + moved
    own = [
      _rotation(axis, angles[joint])
      for axis, angles in ((0, about_x), (2, about_z))
      if joint in angles
    ]
    rotation[joint] = turned @ own[0] if own else turned
  return position


def _outwards() -> list[int]:
  """All joints but the root, each after its parent."""

  def depth(joint: int) -> int:
    return 0 if joint == NTU.root else 1 + depth(NTU.parents[joint])

  return sorted(OFFSETS, key=depth)


def _rotation(
  axis: int, angle: Float[np.ndarray, "n t"]
) -> Float64[np.ndarray, "n t 3 3"]:
  """Right-handed rotation matrices about x, y or z (axis 0, 1 or 2)."""
  matrix = np.zeros((*angle.shape, 3, 3))
  i, j = (axis + 1) % 3, (axis + 2) % 3
  matrix[..., axis, axis] = 1
  matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
  matrix[..., j, i] = np.sin(angle)
  matrix[..., i, j] = -matrix[..., j, i]
  return matrix
