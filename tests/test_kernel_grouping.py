"""Grouping of kernels: solved by hand, the specification's arrays, properties."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import gaussian


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


@pytest.mark.parametrize("case", range(8))
def test_grouping_solved_by_hand(golden, variant, case):
  g = golden("gaussian_pooling")
  of = lambda name: g[f"group_hand{case}/{name}"]
  f = functools.partial(gaussian.group_kernels, threshold=float(of("eps")))
  centers, sigmas, valid, group = variant(f)(
    jnp.float32(of("center")), jnp.float32(of("sigma"))
  )
  np.testing.assert_array_equal(valid, of("valid"))
  np.testing.assert_array_equal(group, of("group_id"))
  np.testing.assert_allclose(centers, of("merged_center"), rtol=1e-5)
  np.testing.assert_allclose(sigmas, of("merged_sigma"), rtol=1e-5)
  assert group.dtype == jnp.int32


@pytest.mark.parametrize("case", range(3))
def test_grouping_of_batches_matches_the_specification(golden, variant, case):
  g = golden("gaussian_pooling")
  of = lambda name: g[f"group{case}/{name}"]
  sigmas = jnp.float32(of("sigma"))
  f = functools.partial(gaussian.group_kernels, threshold=float(of("eps")))
  mapped = variant(jax.vmap(f, (None, 0)))
  centers, merged, valid, group = mapped(gaussian.cell_centers(sigmas.shape[1]), sigmas)
  np.testing.assert_array_equal(valid, of("valid"))
  np.testing.assert_array_equal(group, of("group_id"))
  np.testing.assert_allclose(centers, of("merged_center"), rtol=1e-5)
  np.testing.assert_allclose(merged, of("merged_sigma"), rtol=1e-5)


@functools.partial(jax.jit, static_argnames="t")
def group_random(seed, threshold, t=12):
  key = jax.random.key(seed)
  centers = gaussian.cell_centers(t)
  sigmas = jax.random.uniform(key, (t,), minval=0.02, maxval=0.6)
  return centers, sigmas, *gaussian.group_kernels(centers, sigmas, threshold=threshold)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(st.integers(0, 10**6), st.floats(0, 1))
def test_a_merged_kernel_is_the_union_of_its_members(seed, threshold):
  centers, sigmas, merged_centers, merged_sigmas, valid, group = map(
    np.asarray, group_random(seed, threshold)
  )
  assert np.all(np.isin(np.diff(group), [0, 1])) and group[0] == 0
  for number in range(group[-1] + 1):
    members = np.flatnonzero(group == number)
    slot = members[-1]
    assert valid[slot] == (members.size > 1) and not valid[members[:-1]].any()
    if valid[slot]:
      low, high = merged_centers[slot] + merged_sigmas[slot] * np.array([-1, 1])
      start = (centers - sigmas)[members].min()
      end = (centers + sigmas)[members].max()
      np.testing.assert_allclose([low, high], [start, end], atol=1e-6)
  np.testing.assert_array_equal(merged_sigmas[~valid], 0)


def test_extremes_of_grouping():
  same, wide = jnp.full(5, 0.5), jnp.full(5, 0.2)
  for threshold in (1.0, 2.0):
    _, _, valid, group = gaussian.group_kernels(same, wide, threshold=threshold)
    assert not valid.any()
    np.testing.assert_array_equal(group, jnp.arange(5))
  centers, sigmas, valid, group = gaussian.group_kernels(same, wide, threshold=0.99)
  np.testing.assert_array_equal(valid, [False] * 4 + [True])
  np.testing.assert_allclose([centers[4], sigmas[4]], [0.5, 0.2], rtol=1e-6)
  # Points and no kernels at all.
  *_, valid, group = gaussian.group_kernels(same, jnp.zeros(5), threshold=0.0)
  assert not valid.any()
  for result in gaussian.group_kernels(jnp.zeros(0), jnp.zeros(0), threshold=0.5):
    assert result.shape == (0,)


def test_grouping_again_changes_nothing_if_no_pair_exceeds_the_threshold():
  centers, sigmas, merged, widths, valid, group = group_random(5, 0.4)
  counts = jnp.bincount(group, length=12)[group]
  left = valid | (counts == 1)
  centers = jnp.where(valid, merged, centers)[left]
  sigmas = jnp.where(valid, widths, sigmas)[left]
  assert valid.any()
  again = gaussian.group_kernels(centers, sigmas, threshold=0.4)[2]
  overlap = gaussian.group_kernels(centers, sigmas, threshold=1.0)[3]
  assert overlap[-1] == left.sum() - 1
  assert not again.any()


def test_gradient_of_grouping_flows_through_the_ends_alone():
  centers = jnp.array([0.25, 0.5, 0.75, 2.0])
  sigmas = jnp.array([0.4, 0.3, 0.5, 0.1])

  def merged(sigmas):
    return gaussian.group_kernels(centers, sigmas, threshold=0.1)

  assert merged(sigmas)[2].tolist() == [False, False, True, False]
  # The union runs from the first start to the third end; the second lies inside.
  jacobian = jax.jit(jax.jacobian(lambda s: jnp.stack(merged(s)[:2])))(sigmas)
  np.testing.assert_allclose(jacobian[0, 2], [-0.5, 0, 0.5, 0])
  np.testing.assert_allclose(jacobian[1, 2], [0.5, 0, 0.5, 0])
  np.testing.assert_array_equal(jacobian[:, [0, 1, 3]], 0)
