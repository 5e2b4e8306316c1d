"""Quantization Networks: limits, symmetries, gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantization_support import each_set, sample, soft

from jaxvision.ops import quantization as q


@each_set
def test_soft_becomes_hard_as_the_temperature_grows(levels):
  x, own = sample(levels)
  off = jnp.abs(own["beta"] * x[:, None] - own["biases"]).min(1) > 0.02
  hard = q.hard_quantize(x, **own, levels=levels)
  assert off.sum() > 50
  chex.assert_trees_all_close(soft(x, own, levels, 2000.0)[off], hard[off], atol=1e-5)
  gaps = [float(jnp.abs(soft(x, own, levels, t) - hard).mean()) for t in (1, 5, 50)]
  assert gaps[0] > gaps[1] > gaps[2] > 0


@each_set
def test_soft_becomes_a_constant_as_the_temperature_vanishes(levels):
  x, own = sample(levels)
  middle = own["alpha"] * (levels[0] + levels[-1]) / 2
  expected = jnp.full_like(x, middle)
  chex.assert_trees_all_close(soft(x, own, levels, 1e-6), expected, atol=1e-4)


@each_set
def test_monotone_within_range_and_on_levels(levels):
  _, own = sample(levels)
  x = jnp.linspace(-3.0, 3.0, 801)
  hard = q.hard_quantize(x, **own, levels=levels)
  low, high = (own["alpha"] * level for level in (levels[0], levels[-1]))
  for y in (soft(x, own, levels, 7.0), hard):
    assert jnp.all(jnp.diff(y) >= -1e-6 * high)
    assert y.min() >= low - 1e-6 * high and y.max() <= high * (1 + 1e-6)
  expected = own["alpha"] * jnp.asarray(levels, jnp.float32)
  chex.assert_trees_all_equal(jnp.unique(hard), expected)


@pytest.mark.parametrize("name", [name for name in q.LEVELS if name[0] == "w"])
def test_odd_symmetry(name):
  levels = q.LEVELS[name]
  x, own = sample(levels)
  flipped = soft(-x, own, levels, 9.0)
  chex.assert_trees_all_close(flipped, -soft(x, own, levels, 9.0), atol=1e-6)
  hard = q.hard_quantize(x, **own, levels=levels)
  chex.assert_trees_all_equal(q.hard_quantize(-x, **own, levels=levels), -hard)


@each_set
def test_hard_is_idempotent_if_scales_are_inverse(levels):
  x, own = sample(levels)
  own["alpha"] = 1.0 / own["beta"]
  once = q.hard_quantize(x, **own, levels=levels)
  chex.assert_trees_all_equal(q.hard_quantize(once, **own, levels=levels), once)


@each_set
@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.01, 100.0))
def test_equivariance_to_scale(levels, scale):
  x, own = sample(levels, 40)
  scaled = {**own, "alpha": scale * own["alpha"], "beta": own["beta"] / scale}
  y = soft(x, own, levels, 5.0)
  chex.assert_trees_all_close(
    soft(scale * x, scaled, levels, 5.0), scale * y, atol=1e-5 * scale
  )


@pytest.mark.parametrize("backward", ["exact", "t1"])
def test_binary_is_ternary_with_both_thresholds_at_zero(backward):
  x, own = sample((-1, 1))
  one = {**own, "biases": jnp.zeros(1)}
  two = {**own, "biases": jnp.zeros(2)}

  def slopes(own, levels):
    fn = lambda x: soft(x, own, levels, 5.0, backward=backward).sum()
    return fn(x), jax.grad(fn)(x), q.hard_quantize(x, **own, levels=levels)

  chex.assert_trees_all_close(slopes(one, (-1, 1)), slopes(two, (-1, 0, 1)), rtol=1e-5)


@each_set
def test_gradients_are_finite_differences(levels):
  x, own = sample(levels, 30)
  weights = jnp.cos(jnp.arange(30.0))

  def loss(*arguments):  # given numpy arrays by the finite differences
    own, x, temperature = jax.tree.map(jnp.asarray, arguments)
    return jnp.sum(weights * soft(x, own, levels, temperature))

  with jax.enable_x64(True):
    wide = jax.tree.map(lambda v: jnp.asarray(v, jnp.float64), (own, x, 3.0))
    jax.test_util.check_grads(loss, wide, order=1, modes=("fwd", "rev"), eps=1e-5)


def test_t1_is_the_derivative_at_one_times_the_temperature():
  levels = q.LEVELS["w3pm4"]
  x, own = sample(levels)
  slope = lambda t, b: jax.grad(lambda x: soft(x, own, levels, t, backward=b).sum())(x)
  chex.assert_trees_all_close(slope(8.0, "t1"), 8.0 * slope(1.0, "exact"), rtol=1e-5)
  chex.assert_trees_all_close(slope(1.0, "t1"), slope(1.0, "exact"), rtol=1e-5)
  assert not jnp.allclose(slope(8.0, "t1"), slope(8.0, "exact"), rtol=0.1)


def test_hard_trains_only_the_output_scale():
  levels = (-1, 0, 1)
  x, own = sample(levels)
  loss = lambda own, x: q.hard_quantize(x, **own, levels=levels).sum()
  slopes, dx = jax.grad(loss, (0, 1))(own, x)
  expected = loss(own, x) / own["alpha"]
  np.testing.assert_allclose(slopes["alpha"], expected, rtol=1e-5)
  assert not slopes["beta"] and not slopes["biases"].any() and not dx.any()


@pytest.mark.parametrize("backward", ["exact", "t1"])
def test_one_program_serves_all_temperatures(backward):
  levels = (-2, -1, 0, 1, 2)
  x, own = sample(levels)
  chex.clear_trace_counter()

  @jax.jit
  @chex.assert_max_traces(1)
  def step(x, own, epoch):
    temperature = q.annealed_temperature(epoch, rate=5.0)
    fn = lambda x: soft(x, own, levels, temperature, backward=backward).sum()
    return jax.value_and_grad(fn)(x)

  values = [step(x, own, epoch)[0] for epoch in range(1, 5)]
  assert len(np.unique(values)) == 4


def test_shape_and_order_of_values_do_not_matter():
  levels = q.LEVELS["w3pm2"]
  x, own = sample(levels, 24)
  y = soft(x, own, levels, 5.0)
  cube = soft(x.reshape(2, 3, 4), own, levels, 5.0)
  chex.assert_trees_all_close(cube.reshape(-1), y)
  rows = jax.vmap(lambda x: soft(x, own, levels, 5.0))(x.reshape(6, 4))
  chex.assert_trees_all_close(rows.reshape(-1), y)
  first, second = q.init_quantizer(x, levels), q.init_quantizer(x[::-1], levels)
  chex.assert_trees_all_equal(first, second)


def test_bfloat16_is_computed_in_float32():
  levels = q.LEVELS["w3pm4"]
  x, own = sample(levels)
  low = x.astype(jnp.bfloat16)
  expected = soft(low.astype(jnp.float32), own, levels, 500.0).astype(jnp.bfloat16)
  y = soft(low, own, levels, 500.0)
  assert y.dtype == jnp.bfloat16
  chex.assert_trees_all_equal(y, expected)
  assert q.hard_quantize(low, **own, levels=levels).dtype == jnp.bfloat16
  assert q.init_quantizer(low, levels).beta.dtype == jnp.float32
