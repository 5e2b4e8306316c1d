"""Continuous dropout: the authors' layer, sampling, moments, gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxvision.ops import masks
from jaxvision.ops.masks import MaskSpec

KEY = jax.random.key(0)
KINDS = ("bernoulli", "gaussian", "uniform")  # as numbered in the golden arrays
SPECS = {
  "bernoulli": MaskSpec(rate=0.2),
  "uniform": MaskSpec("uniform"),
  "negative": MaskSpec("uniform", low=-1.0, high=0.5),
  "gaussian": MaskSpec("gaussian"),
  "shifted": MaskSpec("gaussian", mean=0.7, std=0.5),
  "unclipped": MaskSpec("gaussian", mean=0.7, std=0.5, clip=False),
}
all_specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def golden_spec(kind, rate, low, high, mean, std):
  values = (float(v) for v in (rate, low, high, mean, std))
  return MaskSpec(KINDS[int(kind)], *values)


def test_output_and_gradient_match_the_authors_layer(golden, variant):
  g = golden("dropout")
  x, gy = jnp.asarray(g["layer/x"]), jnp.asarray(g["layer/gy"])
  for i, row in enumerate(g["layer/settings"]):
    kind, rate, low, high, mean, std, _ = row
    spec = golden_spec(kind, rate, low, high, mean, std)
    raw = jnp.asarray(g[f"layer/case{i:02d}/raw"])
    mask = raw.reshape(raw.shape + (1,) * (x.ndim - raw.ndim))

    def layer(x, mask=mask, spec=spec):
      return masks.continuous_dropout(None, x, spec, mask=mask)

    y, pullback = jax.vjp(variant(layer), x)
    chex.assert_trees_all_close(y, g[f"layer/case{i:02d}/y"], rtol=1e-6, atol=1e-6)
    (gx,) = pullback(gy)
    chex.assert_trees_all_close(gx, g[f"layer/case{i:02d}/gx"], rtol=1e-6, atol=1e-6)


@all_specs
def test_samples_have_the_stated_moments_and_atoms(spec):
  m = np.asarray(masks.sample_mask(KEY, (2_000_000,), spec), np.float64)
  mean, variance = masks.mask_moments(spec)
  np.testing.assert_allclose(m.mean(), mean, atol=1e-3)
  np.testing.assert_allclose(m.var(), variance, atol=1e-3)
  for value, probability in masks.mask_atoms(spec):
    np.testing.assert_allclose(np.mean(m == value), probability, atol=1e-3)


def test_limits_of_the_gaussian():
  x = jnp.arange(6.0).reshape(2, 3)
  for std in (0.0, 1e-9):
    still = MaskSpec("gaussian", mean=0.3, std=std)
    assert masks.mask_moments(still) == pytest.approx((0.3, std**2), abs=1e-24)
    chex.assert_trees_all_close(masks.continuous_dropout(KEY, x, still), x, rtol=1e-6)
  m = masks.sample_mask(KEY, (100_000,), MaskSpec("gaussian", std=1e3))
  np.testing.assert_allclose([(m == 0).mean(), (m == 1).mean()], 0.5, atol=0.01)
  assert masks.mask_moments(MaskSpec("gaussian", mean=-9.0, std=0.1))[1] == 0.0


@all_specs
def test_output_is_unbiased_with_variance_rho_x_squared(spec):
  x = jnp.full((400_000,), 1.5)
  y = masks.continuous_dropout(KEY, x, spec, mean_mode="exact")
  rho = masks.noise_strength(spec)
  np.testing.assert_allclose(y.mean(), 1.5, atol=6 * 1.5 * (rho / x.size) ** 0.5)
  np.testing.assert_allclose(y.var(), rho * 1.5**2, rtol=0.02)


def test_the_nominal_mean_is_biased_after_clipping():
  y = masks.continuous_dropout(KEY, jnp.ones(200_000), SPECS["shifted"])
  np.testing.assert_allclose(y.mean(), 0.634 / 0.7, atol=3e-3)


@all_specs
def test_expected_loss_of_a_linear_net_is_a_ridge_penalty(spec):
  x, t = jax.random.normal(jax.random.key(1), (4,)), jnp.ones((3,))
  w = jax.random.normal(jax.random.key(2), (4, 3))
  copies = jnp.broadcast_to(x, (200_000, 4))
  y = masks.continuous_dropout(KEY, copies, spec, mean_mode="exact") @ w
  loss = jnp.sum((t - y) ** 2, axis=-1).mean()
  penalty = masks.noise_strength(spec) * (x**2 @ w**2).sum()
  np.testing.assert_allclose(loss, ((t - x @ w) ** 2).sum() + penalty, rtol=0.02)


@pytest.mark.parametrize("axes", [(), (1, 2), (-1,), (1, 2, 3), (0, 1, 2, 3)])
def test_mask_is_shared_along_broadcast_axes_only(axes):
  shape = (3, 4, 5, 6)
  spec = MaskSpec("uniform")
  y = masks.continuous_dropout(KEY, jnp.ones(shape), spec, broadcast_axes=axes)
  shared = {axis % 4 for axis in axes}
  distinct = int(np.prod([n for i, n in enumerate(shape) if i not in shared]))
  assert len(np.unique(y)) == distinct
  for axis in shared:
    chex.assert_trees_all_equal(y, jnp.flip(y, axis))


def test_inference_needs_no_key():
  x, spec = jnp.arange(4.0), SPECS["shifted"]
  infer = lambda **kw: masks.continuous_dropout(None, x, spec, deterministic=True, **kw)
  chex.assert_trees_all_equal(infer(), x)
  chex.assert_trees_all_close(infer(rescale="test"), x * 0.7)
  exact = masks.mask_moments(spec)[0]
  chex.assert_trees_all_close(infer(rescale="test", mean_mode="exact"), x * exact)


def test_rescaling_at_test_time_leaves_the_masked_values():
  x = jnp.ones(100)
  y = masks.continuous_dropout(KEY, x, MaskSpec("uniform"), rescale="test")
  chex.assert_trees_all_close(y, masks.sample_mask(KEY, (100,), MaskSpec("uniform")))


@all_specs
def test_gradient_is_the_mask(spec, variant):
  f = lambda x: masks.continuous_dropout(KEY, x, spec)
  x = jnp.linspace(1.0, 2.0, 64)
  y, gradient = f(x), variant(jax.grad(lambda x: f(x).sum()))(x)
  chex.assert_trees_all_close(gradient, y / x, rtol=1e-6, atol=1e-6)
  assert jnp.all((gradient == 0) == (y == 0))
  assert jnp.any(y == 0) == (spec.kind == "bernoulli" or spec == SPECS["shifted"])


@all_specs
def test_same_key_same_output(spec):
  x = jnp.ones((8, 16))
  f = jax.jit(masks.continuous_dropout, static_argnums=2)
  y = f(KEY, x, spec)
  chex.assert_trees_all_equal(y, f(KEY, x, spec))
  eager = masks.continuous_dropout(KEY, x, spec)  # rounds otherwise
  chex.assert_trees_all_close(y, eager, rtol=1e-6, atol=1e-6)
  assert not jnp.allclose(y, f(jax.random.key(1), x, spec))
  rows = jax.vmap(masks.continuous_dropout, (0, 0, None))(
    jax.random.split(KEY, 8), x, spec
  )
  assert len(np.unique(rows, axis=0)) == 8


def test_sharding_changes_no_value_and_repeats_no_mask():
  mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
  x = jnp.ones((8, 32))
  f = jax.jit(lambda x: masks.continuous_dropout(KEY, x, MaskSpec("uniform")))
  y = f(jax.device_put(x, NamedSharding(mesh, PartitionSpec("data"))))
  chex.assert_trees_all_close(y, f(x), rtol=1e-6)
  assert len(np.unique(y, axis=0)) == 8


def test_bfloat16_masks_are_drawn_in_float32():
  spec = MaskSpec("uniform")
  m = masks.sample_mask(KEY, (10_000,), spec, jnp.bfloat16)
  expected = masks.sample_mask(KEY, (10_000,), spec).astype(jnp.bfloat16)
  chex.assert_trees_all_equal(m, expected)
  x = jnp.ones(4, jnp.bfloat16)
  for deterministic in (False, True):
    y = masks.continuous_dropout(
      KEY, x, spec, rescale="test", deterministic=deterministic
    )
    assert y.dtype == jnp.bfloat16


def test_monte_carlo_mean_averages_over_folded_keys():
  sample = lambda key: {"y": jax.random.normal(key, (3,))}
  mean = jax.jit(lambda key: masks.monte_carlo_mean(key, sample, 5))(KEY)
  draws = [sample(jax.random.fold_in(KEY, k))["y"] for k in range(5)]
  chex.assert_trees_all_close(mean["y"], np.mean(draws, axis=0), rtol=1e-5)
  # A sum of 300 ones stops at 256 in bfloat16.
  ones = masks.monte_carlo_mean(KEY, lambda key: jnp.ones(2, jnp.bfloat16), 300)
  chex.assert_trees_all_equal(ones, jnp.ones(2, jnp.float32))
  with pytest.raises(ValueError, match="samples is 0"):
    masks.monte_carlo_mean(KEY, sample, 0)


@pytest.mark.parametrize(
  ("arguments", "named"),
  [
    ({"key": None}, "key is None"),
    ({"rescale": "both"}, "both"),
    ({"mean_mode": "median"}, "median"),
    ({"broadcast_axes": (2,)}, r"\(2,\)"),
    ({"mask": jnp.ones((3, 1))}, r"\(3, 1\)"),
    ({"spec": MaskSpec("gaussian", mean=0.0)}, "nominal mean 0.0"),
    ({"spec": MaskSpec("gaussian", mean=-0.5)}, "nominal mean -0.5"),
  ],
)
def test_a_bad_call_is_refused(arguments, named):
  call = {"key": KEY, "x": jnp.ones((1, 2)), "spec": MaskSpec()} | arguments
  with pytest.raises(ValueError, match=named):
    masks.continuous_dropout(**call)
