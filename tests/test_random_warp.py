"""Random warps: distributions, alternation, granularity, checks."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import random_warp
from jaxvision.ops.affine import affine_coordinates, affine_matrix, determinant
from jaxvision.ops.warp import WarpSpec, random_transform, sample_affine, warp

KEY = jax.random.key(0)
SIZE = (20, 40)
jit_sample = jax.jit(sample_affine, static_argnums=(1, 2, 3))
jit_transform = jax.jit(random_transform, static_argnums=2)
UNIFORM = {"angle": (-40.0, 20.0), "scale": (0.5, 1.5), "shift": (0.1, 0.3)}
GAUSSIAN = {"angle": 30.0, "scale": 0.1, "shift": (0.2, 0.1)}


def draws(spec, count=5000, key=KEY):
  return np.asarray(jit_sample(key, spec, SIZE, count), np.float64)


def parameters(matrix):
  """Angle, scale, and shift (down, right) in pixels of T = R S D."""
  angle = np.rad2deg(np.arctan2(matrix[:, 0, 1], matrix[:, 0, 0]))
  return angle, np.sqrt(np.linalg.det(matrix)), *matrix[:, 2, :2].T


def identities(spec):
  return np.mean(np.all(draws(spec) == np.eye(3), (1, 2)))


def images(shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def assert_uniform(values, low, high):
  assert low - 1e-3 <= values.min() and values.max() <= high + 1e-3
  np.testing.assert_allclose(values.mean(), (low + high) / 2, atol=0.02 * (high - low))
  np.testing.assert_allclose(values.std(), (high - low) / 12**0.5, rtol=0.03)


def test_uniform_draws_fill_their_ranges_independently():
  found = parameters(draws(WarpSpec(**UNIFORM)))
  ranges = [(-40, 20), (0.5, 1.5), (-0.1 * 20, 0.1 * 20), (-0.3 * 40, 0.3 * 40)]
  for values, ends in zip(found, ranges, strict=True):
    assert_uniform(values, *ends)
  correlation = np.corrcoef(np.stack(found)) - np.eye(4)
  assert np.abs(correlation).max() < 0.06


def test_gaussian_draws_have_their_deviations():
  found = parameters(draws(WarpSpec(**GAUSSIAN, distribution="gaussian")))
  means, deviations = (0, 1, 0, 0), (30, 0.1, 0.2 * 20, 0.1 * 40)
  for values, mean, deviation in zip(found, means, deviations, strict=True):
    np.testing.assert_allclose(values.mean(), mean, atol=0.06 * deviation)
    np.testing.assert_allclose(values.std(), deviation, rtol=0.04)


def test_gaussian_draws_are_clipped_at_the_limits():
  wide = WarpSpec(1e4, None, (50.0, 50.0), "gaussian")
  angle, _, down, right = parameters(draws(wide))
  np.testing.assert_allclose(np.abs(angle).max(), 180, rtol=1e-4)
  assert np.mean(np.abs(np.abs(angle) - 180) < 0.01) > 0.9  # nearly all at the limit
  for values, length in ((down, 20), (right, 40)):
    np.testing.assert_allclose(
      [values.min(), values.max()], [-0.9 * length, 0.9 * length]
    )
  scale = parameters(draws(WarpSpec(scale=100.0, distribution="gaussian")))[1]
  np.testing.assert_allclose([scale.min(), scale.max()], [0.1, 10], rtol=1e-5)


@pytest.mark.parametrize(
  ("name", "noise"), [("affine", (-0.3, 0.1)), ("affine_gaussian", (0.05, 0.2))]
)
def test_affine_noise_is_on_six_entries(name, noise):
  matrix = draws(WarpSpec(distribution=name, noise=noise)) - np.eye(3)
  np.testing.assert_array_equal(matrix[..., 2], 0)
  entries = matrix[..., :2] / np.array([[1], [1], [1]])
  entries[:, 2] /= np.array(SIZE)
  for values in entries.reshape(-1, 6).T:
    if name == "affine":
      assert_uniform(values, *noise)
    else:
      np.testing.assert_allclose(values.mean(), noise[0], atol=0.01)
      np.testing.assert_allclose(values.std(), noise[1], rtol=0.04)
  correlation = np.corrcoef(entries.reshape(-1, 6).T) - np.eye(6)
  assert np.abs(correlation).max() < 0.06


def test_a_singular_matrix_becomes_the_identity():
  # Constant noise: T = [[0, -1], [-1, 0]] is regular, [[.5, -.5], [-.5, .5]] is not.
  regular = draws(WarpSpec(distribution="affine", noise=(-1.0, -1.0)), 3)
  np.testing.assert_array_equal(regular[0, :2, :2], [[0, -1], [-1, 0]])
  singular = draws(WarpSpec(distribution="affine", noise=(-0.5, -0.5)), 3)
  np.testing.assert_array_equal(singular, np.broadcast_to(np.eye(3), (3, 3, 3)))
  many = jit_sample(KEY, WarpSpec(distribution="affine", noise=(-2, 2)), SIZE, 2000)
  least = np.abs(determinant(many)).min()
  assert least > random_warp.SMALLEST_DETERMINANT


@pytest.mark.parametrize("distribution", ["uniform", "gaussian"])
@pytest.mark.parametrize(
  ("types", "expected"),
  [
    (("angle",), 1 / 2),
    (("shift",), 1 / 2),
    (("angle", "scale"), 5 / 8),
    (("angle", "scale", "shift"), 9 / 16),
  ],
)
def test_alternation_skips_with_the_authors_frequency(distribution, types, expected):
  values = UNIFORM if distribution == "uniform" else GAUSSIAN
  chosen = {name: values[name] for name in types}
  spec = WarpSpec(**chosen, distribution=distribution, alternate=True)
  np.testing.assert_allclose(identities(spec), expected, atol=0.02)
  assert identities(WarpSpec(**chosen, distribution=distribution)) == 0


@pytest.mark.parametrize("distribution", ["affine", "affine_gaussian"])
def test_alternation_of_affine_noise(distribution):
  spec = WarpSpec(distribution=distribution, noise=(0.1, 0.3), alternate=True)
  np.testing.assert_allclose(identities(spec), 1 / 2, atol=0.02)


def test_alternation_keeps_types_independently():
  angle, scale, down, _ = parameters(draws(WarpSpec(**UNIFORM, alternate=True)))
  warped = ~((angle == 0) & (scale == 1) & (down == 0))
  for values, neutral in ((angle, 0), (scale, 1), (down, 0)):
    kept = np.abs(values - neutral)[warped] > 1e-6
    # Kept 1/2 of the time; of the warps that are not neutral anyway, 4/7.
    np.testing.assert_allclose(kept.mean(), 4 / 7, atol=0.03)


def test_alternation_frequency_over_single_keys():
  spec = WarpSpec(**UNIFORM, alternate=True)
  one = lambda key: sample_affine(key, spec, SIZE, 1)[0]
  matrices = jax.vmap(one)(jax.random.split(KEY, 5000))
  skipped = jnp.all(matrices == jnp.eye(3), (1, 2)).mean()
  np.testing.assert_allclose(skipped, 9 / 16, atol=0.02)


@pytest.mark.parametrize("shift", [(0.2, 0.0), (0.0, 0.2)])
def test_shifts_are_down_and_right(shift):
  *_, down, right = parameters(draws(WarpSpec(shift=shift), 100))
  assert (np.abs(down).max() > 0) == (shift[0] > 0)
  assert (np.abs(right).max() > 0) == (shift[1] > 0)


SPEC = WarpSpec(angle=(20.0, 90.0), scale=(0.8, 1.2), shift=(0.1, 0.1))


def spec_of(granularity, **settings):
  return WarpSpec(
    SPEC.angle, SPEC.scale, SPEC.shift, granularity=granularity, **settings
  )


def test_a_batch_shares_its_warp():
  x = jnp.tile(images((1, 8, 8, 1)), (3, 1, 1, 2))
  y = jit_transform(KEY, x, spec_of("batch"))
  chex.assert_trees_all_equal(y[0], y[1], y[2])
  chex.assert_trees_all_equal(y[..., 0], y[..., 1])
  assert not jnp.allclose(y, x)


def test_samples_have_their_own_warps():
  x = jnp.tile(images((1, 8, 8, 1)), (3, 1, 1, 2))
  y = jit_transform(KEY, x, spec_of("sample"))
  assert not jnp.allclose(y[0], y[1]) and not jnp.allclose(y[1], y[2])
  chex.assert_trees_all_equal(y[..., 0], y[..., 1])


def test_channels_have_their_own_warps():
  x = jnp.tile(images((1, 8, 8, 1)), (3, 1, 1, 2))
  y = jit_transform(KEY, x, spec_of("channel"))
  chex.assert_trees_all_equal(y[0], y[1], y[2])
  assert not jnp.allclose(y[..., 0], y[..., 1])


@pytest.mark.parametrize("granularity", ["batch", "sample", "channel"])
def test_the_transform_is_the_warp_by_the_drawn_matrices(granularity):
  x = images((3, 6, 8, 2))
  spec = spec_of(granularity, border="clamp")
  count = {"batch": 1, "sample": 3, "channel": 2}[granularity]
  matrix = jit_sample(KEY, spec, (6, 8), count)
  coordinates = affine_coordinates(matrix, (6, 8))
  if granularity == "channel":
    maps = [
      warp(x[..., i : i + 1], coordinates[i : i + 1], border="clamp") for i in (0, 1)
    ]
    expected = jnp.concatenate(maps, -1)
  else:
    expected = warp(x, coordinates, border="clamp")
  chex.assert_trees_all_close(jit_transform(KEY, x, spec), expected, atol=1e-5)


def test_deterministic_is_the_identity_without_a_key():
  x = images((2, 5, 5, 1))
  assert random_transform(None, x, SPEC, deterministic=True) is x
  with pytest.raises(ValueError, match="key is None"):
    random_transform(None, x, SPEC)


def test_a_spec_without_types_is_the_identity():
  x = images((2, 5, 5, 1))
  for spec in (WarpSpec(), WarpSpec(alternate=True)):
    chex.assert_trees_all_equal(jit_transform(KEY, x, spec), x)


def test_keys_decide():
  x = images((2, 8, 8, 1))
  y = jit_transform(KEY, x, SPEC)
  chex.assert_trees_all_equal(jit_transform(KEY, x, SPEC), y)
  chex.assert_trees_all_close(random_transform(KEY, x, SPEC), y, atol=1e-5)
  assert not jnp.allclose(jit_transform(jax.random.key(1), x, SPEC), y)
  low = jit_transform(KEY, x.astype(jnp.bfloat16), SPEC)
  assert low.dtype == jnp.bfloat16
  chex.assert_trees_all_close(low.astype(jnp.float32), y, atol=0.05)


def test_no_gradient_flows_through_the_draw():
  # The gradient to x is that of a fixed warp.
  x, gy = images((2, 6, 6, 1)), images((2, 6, 6, 1), 1)
  matrix = jit_sample(KEY, SPEC, (6, 6), 1)
  fixed = lambda x: warp(x, affine_coordinates(matrix, (6, 6)))
  pull = jax.vjp(lambda x: jit_transform(KEY, x, SPEC), x)[1]
  chex.assert_trees_all_close(pull(gy), jax.vjp(fixed, x)[1](gy), atol=1e-5)


def test_specs_are_values():
  assert hash(SPEC) == hash(spec_of("batch")) and spec_of("batch") == SPEC
  assert spec_of("sample") != SPEC


def test_scale_of_a_uniform_draw_is_about_the_centre():
  matrix = jit_sample(KEY, WarpSpec(scale=(2.0, 2.0)), SIZE, 1)[0]
  chex.assert_trees_all_close(matrix, affine_matrix(scale=2.0))


@pytest.mark.parametrize(
  ("settings", "named"),
  [
    ({"distribution": "cauchy"}, "'cauchy'.*uniform, gaussian"),
    ({"granularity": "pixel"}, "'pixel'.*batch, sample, channel"),
    ({"border": "wrap"}, "wrap"),
    ({"interpolation": "cubic"}, "cubic"),
    ({"angle": (-181.0, 0.0)}, r"angle is .*-180"),
    ({"angle": 30.0}, "angle is 30.0; it is two numbers"),
    ({"angle": (10.0, -10.0)}, "lower end comes first"),
    ({"scale": (0.0, 1.0)}, "scale 0"),
    ({"scale": (-1.0, 1.0)}, "scale is"),
    ({"shift": (0.1, 1.2)}, "shift is"),
    ({"angle": (-9.0, 9.0), "distribution": "gaussian"}, "standard deviation"),
    ({"scale": -0.1, "distribution": "gaussian"}, "at least 0"),
    ({"shift": (-0.1, 0.1), "distribution": "gaussian"}, "shift is"),
    ({"angle": (-9.0, 9.0), "distribution": "affine"}, "angle is set.*replaces"),
    ({"noise": (0.3, -0.3), "distribution": "affine"}, "lower end"),
    ({"noise": (0.0, -0.3), "distribution": "affine_gaussian"}, "noise"),
    ({"scale": (1.0, float("inf"))}, "scale is"),
  ],
)
def test_a_bad_spec_is_refused(settings, named):
  with pytest.raises(ValueError, match=named):
    WarpSpec(**settings)
