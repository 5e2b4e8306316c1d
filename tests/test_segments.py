"""Overlap of segments, boxes, offsets from anchors."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis.extra import numpy as hnp

from jaxvision.ops import segments

# Ends of segments that float32 holds exactly, zero lengths and backward ones included.
ends = hnp.arrays(np.int32, (5, 2), elements=st.integers(0, 16))


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def boxes(seed, shape):
  center, width = np.random.default_rng(seed).uniform(0.05, 1, (2, *shape))
  return jnp.asarray(np.stack([center, width], axis=-1), jnp.float32)


def test_iou_and_coverage_of_known_segments(variant):
  a = jnp.array([[0.0, 4.0], [1.0, 2.0]])
  b = jnp.array([[2.0, 6.0], [0.0, 4.0], [4.0, 5.0]])
  iou = variant(segments.segment_iou)(a, b)
  np.testing.assert_allclose(iou, [[1 / 3, 1, 0], [0, 1 / 4, 0]], rtol=1e-6)
  coverage = variant(segments.segment_coverage)(a, b)
  np.testing.assert_allclose(coverage, [[1 / 2, 1, 0], [0, 1, 0]], rtol=1e-6)
  np.testing.assert_array_equal(
    segments.segment_coverage(b, a), [[0.5, 0], [1, 0.25], [0, 0]]
  )


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(ends, ends, st.integers(-8, 8), st.sampled_from([0.25, 1.0, 4.0]))
def test_iou_is_symmetric_bounded_and_free_of_unit_and_origin(a, b, shift, scale):
  f = jax.jit(segments.segment_iou)
  a, b = jnp.float32(a), jnp.float32(b)
  iou = f(a, b)
  chex.assert_trees_all_equal(iou, f(b, a).T)
  chex.assert_trees_all_equal(iou, f(a * scale + shift, b * scale + shift))
  chex.assert_trees_all_equal(iou, f(-a[:, ::-1], -b[:, ::-1]))  # time reversed
  assert jnp.all((iou >= 0) & (iou <= 1))
  same = jnp.all(a[:, None] == b[None], axis=-1) & (a[:, 1] > a[:, 0])[:, None]
  assert jnp.all((iou == 1) == same)


@pytest.mark.parametrize("empty", [[0.5, 0.5], [0.7, 0.2]])
def test_segments_without_length_overlap_nothing(empty):
  a = jnp.array([empty])
  others = jnp.array([empty, [0.0, 1.0], [0.5, 0.5]])
  f = lambda a: segments.segment_iou(a, others) + segments.segment_coverage(a, others)
  np.testing.assert_array_equal(f(a), jnp.zeros((1, 3)))
  assert np.all(np.isfinite(jax.jit(jax.jacobian(f))(a)))


def test_length_offset_is_added_to_both_lengths():
  a, b = jnp.array([[0.0, 2.0]]), jnp.array([[1.0, 3.0]])
  iou = segments.segment_iou(a, b, length_offset=0.5)
  np.testing.assert_allclose(iou, [[1 / 4]])


def test_leading_axes_broadcast_and_sets_may_be_empty():
  a, b = boxes(0, (2, 1, 3)), boxes(1, (4, 5))
  iou = segments.segment_iou(a, b)
  chex.assert_shape(iou, (2, 4, 3, 5))
  chex.assert_trees_all_equal(iou[1, 2], segments.segment_iou(a[1, 0], b[2]))
  mapped = jax.vmap(segments.segment_iou, (None, 0))(a[0, 0], b)
  chex.assert_trees_all_equal(mapped, iou[0])
  for n, m in [(0, 2), (2, 0), (0, 0)]:
    empty = segments.segment_iou(jnp.zeros((n, 2)), jnp.zeros((m, 2)))
    chex.assert_shape(empty, (n, m))


def test_center_and_width():
  a = jnp.array([[1.0, 4.0], [0.0, 0.0]])
  box = segments.to_center_width(a)
  np.testing.assert_array_equal(box, [[2.5, 3.0], [0.0, 0.0]])
  np.testing.assert_array_equal(segments.to_start_end(box), a)


def test_decoding_follows_equation_5(golden, variant):
  g = golden("gaussian_pooling")
  for i in range(3):
    widths = jnp.asarray(g[f"pool{i}/box_width_window"], jnp.float32)
    centers = jnp.asarray(g[f"pool{i}/box_center"], jnp.float32)[:, None]
    centers = jnp.broadcast_to(centers, widths.shape)
    offsets = jnp.asarray(g[f"pool{i}/offsets"], jnp.float32)
    box = variant(segments.decode)(offsets, jnp.stack([centers, widths], axis=-1))
    for part, name in enumerate(["center", "width"]):
      expected = g[f"pool{i}/decoded_{name}"]
      np.testing.assert_allclose(box[..., part], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scales", [{}, {"center_scale": 1.0, "width_scale": 0.2}])
def test_encode_and_decode_are_inverse(scales, variant):
  box, anchors = boxes(0, (3, 7, 4)), boxes(1, (7, 4))
  offsets = variant(lambda b, a: segments.encode(b, a, **scales))(box, anchors)
  decoded = variant(lambda o, a: segments.decode(o, a, **scales))(offsets, anchors)
  np.testing.assert_allclose(decoded, box, rtol=1e-5)
  again = segments.encode(decoded, anchors, **scales)
  np.testing.assert_allclose(again, offsets, rtol=1e-4, atol=1e-4)


def test_offsets_of_known_boxes():
  anchor = jnp.array([0.5, 0.2])
  np.testing.assert_array_equal(segments.encode(anchor, anchor), [0, 0])
  moved = segments.encode(jnp.array([0.6, 0.2 * np.e]), anchor)
  np.testing.assert_allclose(moved, [5, 10], rtol=1e-5)
  assert segments.encode(jnp.array([0.5, 0.0]), anchor)[1] == -jnp.inf
