"""Skeletons on the device: the authors' normalization, streams, importance."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skeleton_support import GOLDEN, NAMES

from jaxvision.data.skeletons import read_clip
from jaxvision.ops import skeletons
from jaxvision.ops.graphs import NTU_PARENTS, skeleton
from jaxvision.ops.skeleton_augment import mirror_order

# compiled as a whole: operation by operation costs seconds for each shape
normalize_frames = jax.jit(skeletons.normalize_frames)
rotation_onto = jax.jit(skeletons.rotation_onto)
normalize = jax.jit(skeletons.normalize, static_argnames="kind")


def clip(seed=0, shape=(2, 6, 25, 3)):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


class Golden(chex.TestCase):
  """The authors' code, run on the three golden files."""

  @chex.variants(with_jit=True, without_jit=True)
  def test_normalization_of_frames(self):
    arrays = np.load(GOLDEN / "stigcn_ntu.npz", allow_pickle=False)
    x = jnp.stack([read_clip(GOLDEN / f"{name}.skeleton") for name in NAMES])
    found = self.variant(lambda x: skeletons.normalize(x, kind="frame"))(x)
    for name, y in zip(NAMES, found, strict=True):
      expected = arrays[f"{name}/prenormalised"].transpose(3, 1, 2, 0)
      np.testing.assert_allclose(y, expected, atol=2e-6, rtol=0)

  @chex.variants(with_jit=True, without_jit=True)
  def test_streams(self):
    arrays = np.load(GOLDEN / "stigcn_ntu.npz", allow_pickle=False)
    bone = self.variant(lambda x: skeletons.stream(x, "bone", NTU_PARENTS))
    motion = self.variant(lambda x: skeletons.stream(x, "joint_motion", NTU_PARENTS))
    for name in NAMES:
      x = jnp.asarray(arrays[f"{name}/prenormalised"].transpose(3, 1, 2, 0))
      for stream, key in ((bone, "bone_first64"), (motion, "motion_first64")):
        expected = arrays[f"{name}/{key}"].transpose(3, 1, 2, 0)
        np.testing.assert_allclose(stream(x)[:, :64], expected, atol=1e-6)
      assert not np.asarray(motion(x))[:, -1].any()


def test_translation_of_any_frame_is_removed():
  x, shift = clip(1), clip(2, (1, 6, 1, 3))
  a, b = (normalize_frames(x) for x in (x, x + shift))
  np.testing.assert_allclose(a, b, atol=1e-5)


def test_shoulders_lie_on_x_and_the_spine_is_centred():
  x = normalize_frames(clip(3))
  shoulders = x[0, 0, 8] - x[0, 0, 4]
  assert shoulders[0] > 0
  np.testing.assert_allclose(shoulders[1:], 0, atol=1e-5)
  np.testing.assert_array_equal(x[0, :, 1], 0)


def test_bones_keep_their_lengths():
  x = clip(4)
  y = normalize_frames(x)
  a, b = (
    jnp.linalg.norm(skeletons.bone_stream(v, NTU_PARENTS), axis=-1) for v in (x, y)
  )
  np.testing.assert_allclose(a, b, atol=1e-4)


def frames(*present):
  """A person whose frame t holds t + 1 where it is present."""
  values = np.array([(t + 1) * p for t, p in enumerate(present)], np.float32)
  return np.broadcast_to(values[:, None, None], (len(values), 25, 3))


@pytest.mark.parametrize(
  "present, expected",
  [
    ((1, 1, 1, 1, 1, 1), (1, 2, 3, 4, 5, 6)),
    ((1, 1, 0, 0, 0, 0), (1, 2, 1, 2, 1, 2)),
    ((1, 0, 1, 1, 0, 0), (1, 0, 3, 4, 1, 0)),  # inner gap stays
    ((0, 1, 0, 1, 1, 0), (2, 4, 5, 2, 4, 5)),  # and is removed
    ((0, 0, 0, 0, 0, 1), (6, 6, 6, 6, 6, 6)),
    ((0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0)),
  ],
)
def test_repeated_frames(present, expected):
  x = np.stack((frames(*present), frames(1, 1, 1, 0, 0, 0)))
  found = jax.jit(skeletons.repeat_frames)(jnp.asarray(x))
  np.testing.assert_array_equal(found[0, :, 0, 0], expected)
  np.testing.assert_array_equal(found[1, :, 0, 0], (1, 2, 3, 1, 2, 3))


@pytest.mark.parametrize("kind", ["frame", "clip"])
def test_nobody_stays_nobody(kind):
  x = jnp.zeros((1, 2, 4, 25, 3))
  np.testing.assert_array_equal(normalize(x, kind=kind), 0)
  one = clip(5, (1, 2, 4, 25, 3)).at[:, 1].set(0)
  np.testing.assert_array_equal(normalize(one, kind=kind)[:, 1], 0)
  gradient = jax.jit(jax.grad(lambda x: normalize(x, kind=kind).sum()))(x)
  assert jnp.isfinite(gradient).all()


def test_second_person_is_not_centred_where_the_first_is_absent():
  x = clip(6).at[0, 2].set(0)
  y = normalize_frames(x)
  lengths = (jnp.linalg.norm(v[1, 2], axis=-1) for v in (x, y))
  np.testing.assert_allclose(*lengths, atol=1e-5)


def test_centring_of_the_clip_keeps_motion():
  x = clip(7).at[0, 0].set(0)
  y = normalize(x[None], kind="clip")[0]
  np.testing.assert_array_equal(y[0, 1, 1], 0)
  np.testing.assert_array_equal(y[0, 0], 0)
  np.testing.assert_allclose(y[1], x[1] - x[0, 1, 1], atol=1e-6)


def test_unknown_names():
  with pytest.raises(ValueError, match="kind is 'frames'"):
    skeletons.normalize(clip(shape=(1, 2, 4, 25, 3)), kind="frames")
  with pytest.raises(ValueError, match="name is 'bones'"):
    skeletons.stream(clip(), "bones", NTU_PARENTS)


@pytest.mark.parametrize("seed", range(4))
def test_rotation_onto(seed):
  vector, target = clip(seed, (2, 3))
  target = target / jnp.linalg.norm(target)
  turn = rotation_onto(vector, target)
  length = jnp.linalg.norm(vector)
  np.testing.assert_allclose(turn @ vector, length * target, atol=1e-5)
  np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-5)
  np.testing.assert_allclose(jnp.linalg.det(turn), 1, atol=1e-5)
  axis = jnp.cross(vector, target)  # the smallest rotation keeps it
  np.testing.assert_allclose(turn @ axis, axis, atol=1e-5)


@pytest.mark.parametrize("vector", [(0, 0, 0), (0, 0, 2), (0, 0, -2), (1e-8, 0, 0)])
def test_rotation_without_an_axis_is_the_identity(vector):
  turn = rotation_onto(jnp.array(vector, jnp.float32), jnp.array([0.0, 0, 1]))
  np.testing.assert_array_equal(turn, np.eye(3))


def test_almost_opposite_vectors():
  vector = jnp.array([1e-3, 0, -1.0])
  turn = rotation_onto(vector, jnp.array([0.0, 0, 1]))
  np.testing.assert_allclose(turn @ vector, (0, 0, 1), atol=1e-4)
  np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)


def test_streams_of_lines():
  t = jnp.arange(5.0)[None, :, None, None]
  x = t * jnp.ones((2, 1, 25, 3))
  np.testing.assert_array_equal(skeletons.motion_stream(x)[:, :-1], 1)
  np.testing.assert_array_equal(skeletons.motion_stream(x)[:, -1], 0)
  np.testing.assert_array_equal(skeletons.bone_stream(x, NTU_PARENTS), 0)
  x = clip(8)
  both = skeletons.stream(x, "bone_motion", NTU_PARENTS)
  np.testing.assert_allclose(
    both, skeletons.bone_stream(skeletons.motion_stream(x), NTU_PARENTS), atol=1e-6
  )
  np.testing.assert_array_equal(skeletons.stream(x, "joint", NTU_PARENTS), x)


@pytest.mark.parametrize("name", ["ntu", "ntu_hand", "openpose", "coco"])
def test_mirror_is_a_symmetry_of_the_tree(name):
  graph = skeleton(name)
  parents, mirror = np.array(graph.parents), np.array(mirror_order(graph.names))
  np.testing.assert_array_equal(mirror[mirror], np.arange(graph.joints))
  joints = [i for i, p in enumerate(parents) if p >= 0]
  links = {(mirror[i], mirror[parents[i]]) for i in joints}
  assert links == {(i, parents[i]) for i in joints}
  bones = skeletons.bone_stream(clip(9, (1, 1, graph.joints, 3)), graph.parents)
  np.testing.assert_array_equal(bones[:, :, graph.root], 0)


def test_importance_adds_up_to_a_linear_score():
  x, weight = clip(10, (3, 2, 4, 5, 3)), clip(11, (2, 4, 5, 3))
  score = lambda x: jnp.einsum("bmtvc,mtvc->b", x, weight)
  found = jax.jit(lambda x: skeletons.joint_importance(score, x))(x)
  np.testing.assert_allclose(found.sum((1, 2, 3)), score(x), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(found, (x * weight).sum(-1), atol=1e-5)
