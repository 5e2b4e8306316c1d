"""Generated skeletons: bodies that hold together, bits that are where they belong."""

import numpy as np

from jaxvision.data.generated_skeletons import CLASSES, generate_skeletons
from jaxvision.data.skeleton_kinematics import OFFSETS, forward_kinematics
from jaxvision.ops.graphs import skeleton
from jaxvision.ops.skeleton_augment import mirror_order

NTU = skeleton("ntu")
CLIPS = generate_skeletons(400, seed=3, noise=0.0)


def bits(name):
  return CLIPS.label >> ("near", "tempo", "far").index(name) & 1


def flexion(joint):
  """Angle about x of the bone that hangs on a joint, in the parent's yawed frame."""
  x = CLIPS.skeleton[:, 0]
  child = {4: 5, 5: 6, 8: 9, 12: 13}[joint]
  bone = x[:, :, child] - x[:, :, joint]
  across = x[:, 0, 8] - x[:, 0, 4]
  across[:, 1] = 0
  forward = np.cross(across / np.linalg.norm(across, axis=-1, keepdims=True), (0, 1, 0))
  return np.arctan2((bone * forward[:, None]).sum(-1), -bone[..., 1])


def coherence(a, b):
  a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
  return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def test_rest_pose_and_lengths_of_bones():
  still = {0: np.zeros((1, 2))}
  rest = forward_kinematics(still, {}, np.zeros(1), np.ones(1))[0, 0]
  np.testing.assert_array_equal(rest[NTU.root], 0)
  np.testing.assert_allclose(rest[1], (0, -0.22, 0))
  np.testing.assert_allclose(rest[7], (-0.25, -0.60, 0))  # left hand
  np.testing.assert_allclose(rest[15], (-0.11, -1.36, 0.12))  # left foot
  np.testing.assert_allclose(rest[list(mirror_order(NTU.names))], rest * (-1, 1, 1))
  for clip in CLIPS.skeleton[:5, 0]:
    lengths = np.linalg.norm(clip - clip[:, list(NTU.parents)], axis=-1)
    lengths[:, NTU.root] = 0
    true = np.array([np.linalg.norm(OFFSETS.get(j, (0, 0, 0))) for j in range(25)])
    scale = lengths[0, 1] / true[1]
    assert 0.85 <= scale <= 1.15
    np.testing.assert_allclose(lengths, np.tile(scale * true, (32, 1)), atol=1e-5)


def test_a_shoulder_moves_the_whole_arm_and_nothing_else():
  turned = {4: np.full((1, 1), np.pi / 2)}
  still = {0: np.zeros((1, 1))}
  rest, arm = (
    forward_kinematics(x, {}, np.zeros(1), np.ones(1))[0, 0] for x in (still, turned)
  )
  moved = np.linalg.norm(arm - rest, axis=-1) > 1e-9
  assert set(np.flatnonzero(moved)) == {5, 6, 7, 21, 22}
  np.testing.assert_allclose(arm[5] - arm[4], (-0.05, 0, -0.26), atol=1e-12)


def test_clips_are_centred_and_of_eight_equal_classes():
  assert CLIPS.skeleton.shape == (400, 1, 32, 25, 3)
  np.testing.assert_allclose(CLIPS.skeleton[:, 0, 0, 1], 0, atol=1e-7)
  assert np.bincount(CLIPS.label, minlength=8).min() > 25
  assert CLASSES[5] == "near1 tempo0 far1"


def test_far_is_the_phase_between_shoulder_and_hip():
  phase = coherence(flexion(8), flexion(12))
  np.testing.assert_array_equal(phase < 0, bits("far") == 1)
  assert np.abs(phase).min() > 0.9


def test_far_shows_in_no_single_joint():
  """Mean, spread and speed of each joint are the same for both values of the bit."""
  x, far = CLIPS.skeleton[:, 0], bits("far") == 1
  for value in (x.mean(1), x.std(1), np.abs(np.diff(x, axis=1)).mean(1)):
    ones, zeros = value[far], value[~far]
    error = np.sqrt(ones.var(0) / len(ones) + zeros.var(0) / len(zeros)) + 1e-6
    assert (np.abs(ones.mean(0) - zeros.mean(0)) / error).max() < 4.5


def test_tempo_is_the_frequency_of_the_left_shoulder():
  angle = flexion(4)
  angle = angle - angle.mean(1, keepdims=True)
  t = np.arange(32)
  grid = np.linspace(0.05, 0.13, 81)
  waves = np.exp(-2j * np.pi * grid[:, None] * t)
  best = grid[np.abs(angle @ waves.T).argmax(1)]
  assert ((best > 0.0845) == (bits("tempo") == 1)).mean() > 0.97


def test_near_is_the_phase_between_shoulder_and_elbow():
  elbow = flexion(5) - flexion(4)  # the elbow's own angle
  phase = coherence(flexion(4), elbow)
  np.testing.assert_array_equal(phase < 0, bits("near") == 1)


def test_noise_and_seeds():
  a, b = (generate_skeletons(50, seed=3, noise=n).skeleton for n in (0.0, 0.01))
  assert 0.0095 < (a - b).std() < 0.0105
  again = generate_skeletons(50, seed=3, noise=0.01).skeleton
  np.testing.assert_array_equal(b, again)
  assert (generate_skeletons(50, seed=4).skeleton != again).any()
