"""Baseline quantizers: values and gradients, golden arrays and closed forms."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import lq_nets
from jaxvision.ops import straight_through as through
from jaxvision.ops import uniform_quantizers as uniform
from jaxvision.ops import weight_quantizers as weight
from jaxvision.ops.quantization import LEVELS, hard_quantize
from jaxvision.ops.quantizers import ACTIVATIONS, WEIGHTS, make_scheme

W = 0.6 * jax.random.normal(jax.random.key(0), (3, 3, 4, 5))
X = jax.nn.relu(2.0 * jax.random.normal(jax.random.key(1), (2, 5, 5, 3)))
G = jax.random.normal(jax.random.key(2), W.shape)


def pull(fn, *arguments, g=G):
  y, pullback = jax.vjp(fn, *arguments)
  return y, pullback(g)


def test_straight_through_has_one_value_and_another_gradient():
  x = jnp.asarray([0.2, 0.7, 1.5])
  fn = lambda x: through.straight_through(jnp.round(x), x**2)
  y, (dx,) = pull(fn, x, g=jnp.ones(3))
  chex.assert_trees_all_equal(y, jnp.round(x))
  chex.assert_trees_all_close(dx, 2 * x)
  _, tangent = jax.jvp(jax.jit(fn), (x,), (jnp.ones(3),))
  chex.assert_trees_all_close(tangent, 2 * x)


def test_scaled_gradient():
  fn = jax.jit(lambda x: through.scale_gradient(x, 0.25) ** 2)
  y, (dx,) = pull(fn, jnp.float32(3.0), g=jnp.float32(1.0))
  assert (float(y), float(dx)) == (9.0, 1.5)


def test_clipping_counts_the_ends_as_inside():
  x = jnp.asarray([-2.0, -1.0, 0.3, 1.0, 2.0])
  y, (dx,) = pull(lambda x: through.clip_inclusive(x, -1.0, 1.0), x, g=jnp.ones(5))
  np.testing.assert_allclose(y, [-1.0, -1.0, 0.3, 1.0, 1.0])
  np.testing.assert_array_equal(dx, [0, 1, 1, 1, 0])


def test_rounding_is_the_identity_backward():
  x = jnp.asarray([0.5, 1.5, -0.6])
  y, (dx,) = pull(through.round_through, x, g=jnp.ones(3))
  np.testing.assert_array_equal(y, [0.0, 2.0, -1.0])
  np.testing.assert_array_equal(dx, 1.0)


def test_bwn():
  y, (dw,) = pull(weight.bwn, W)
  scale = np.abs(W).mean((0, 1, 2))
  np.testing.assert_allclose(y, scale * np.sign(W), rtol=1e-5)
  expected = G * (1 / 36 + scale * (np.abs(W) <= 1))
  chex.assert_trees_all_close(dw, expected, rtol=1e-5)
  assert (np.abs(W) > 1).any()
  chex.assert_trees_all_close(weight.bwn(y), y, rtol=1e-5)  # a fixed point
  assert weight.sign(jnp.zeros(())) == 1


def test_twn_is_the_best_scale_for_its_threshold():
  y, (dw,) = pull(weight.twn, W)
  large = np.abs(W) > 0.7 * np.abs(W).mean()
  scale = np.abs(W)[large].mean()
  np.testing.assert_allclose(y, np.where(large, scale * np.sign(W), 0.0), rtol=1e-5)
  chex.assert_trees_all_equal(dw, G)
  error = lambda a: float(((W - a * jnp.sign(y)) ** 2).sum())
  assert error(scale) < min(error(0.99 * scale), error(1.01 * scale))
  assert len(np.unique(y)) == 3


def test_ttq():
  scales = weight.init_ttq(W)
  positive, negative = jnp.float32(0.7), jnp.float32(0.4)
  y, (dw, dpositive, dnegative) = pull(weight.ttq, W, positive, negative)
  above, below = weight.ttq_sides(W)
  expected = np.where(above, 0.7, np.where(below, -0.4, 0.0))
  np.testing.assert_allclose(y, expected, rtol=1e-6)
  slope = np.where(above, 0.7, np.where(below, 0.4, 1.0))
  chex.assert_trees_all_close(dw, G * slope, rtol=1e-6)
  np.testing.assert_allclose(dpositive, G[above].sum(), rtol=1e-5)
  np.testing.assert_allclose(dnegative, -G[below].sum(), rtol=1e-5)
  for name, side in (("positive", above), ("negative", below)):
    np.testing.assert_allclose(scales[name], np.abs(W[side]).mean(), rtol=1e-5)
  assert not (above | below).all()


@pytest.mark.parametrize("bits", [2, 3])
def test_dorefa_weights(bits):
  steps = 2**bits - 1
  y, (dw,) = pull(lambda w: weight.dorefa_weights(w, LEVELS[f"s{bits}"]), W)
  unit = np.tanh(W) / np.abs(np.tanh(W)).max() / 2 + 0.5
  np.testing.assert_allclose(y, 2 * np.round(steps * unit) / steps - 1, atol=1e-6)
  assert len(np.unique(y)) <= 2**bits and np.abs(y).max() == 1
  smooth = lambda w: jnp.tanh(w) / jnp.max(jnp.abs(jnp.tanh(w)))
  chex.assert_trees_all_close(dw, pull(smooth, W)[1][0], atol=1e-5)


def test_dorefa_weights_of_one_bit():
  y, (dw,) = pull(lambda w: weight.dorefa_weights(w, (-1, 1)), W)
  np.testing.assert_allclose(y, np.abs(W).mean() * np.sign(W), rtol=1e-5)
  chex.assert_trees_all_equal(dw, G)


def test_dorefa_activations():
  x = jnp.asarray([-0.5, 0.0, 0.2, 0.9, 1.0, 3.0])
  y, (dx,) = pull(lambda x: uniform.dorefa_activations(x, LEVELS["a2"]), x, g=x + 1)
  np.testing.assert_allclose(y, np.asarray([0, 0, 1, 3, 3, 3]) / 3, rtol=1e-6)
  np.testing.assert_allclose(dx, [0, 1, 1.2, 1.9, 2.0, 0], rtol=1e-6)


def test_pact():
  x, clip = jnp.asarray([-1.0, 0.0, 0.7, 1.9, 2.0, 5.0]), jnp.float32(2.0)
  g = jnp.asarray([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
  fn = lambda x, clip: uniform.pact(x, clip, LEVELS["a2"])
  y, (dx, dclip) = pull(fn, x, clip, g=g)
  np.testing.assert_allclose(y, np.asarray([0, 0, 1, 3, 3, 3]) * 2 / 3, rtol=1e-6)
  np.testing.assert_array_equal(dx, [0, 2, 4, 8, 0, 0])
  assert dclip == 48


@pytest.mark.parametrize("case", ["w2", "w3", "w4", "w8", "a2", "a4"])
@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_lsq_is_the_golden_one(golden, case, variant):
  arrays = golden("quantization")
  g = {k: jnp.asarray(arrays[f"lsq/{case}/{k}"]) for k in ("x", "step", "g")}
  at = lambda name: arrays[f"lsq/{case}/{name}"]
  levels = tuple(range(int(at("qn")), int(at("qp")) + 1))
  assert levels == LEVELS[f"{'s' if case[0] == 'w' else 'a'}{case[1]}"]
  fn = variant(lambda x, step: uniform.lsq(x, step, levels))
  y, (dx, dstep) = pull(fn, g["x"], g["step"], g=g["g"])
  np.testing.assert_allclose(y, at("y"), rtol=0, atol=1e-6 * np.abs(at("y")).max())
  np.testing.assert_array_equal(dx, at("dx"))
  np.testing.assert_allclose(dstep, at("dstep"), rtol=1e-5)
  step = uniform.init_lsq(g["x"], levels)["step"]
  np.testing.assert_allclose(step, at("init_step"), rtol=1e-6)


@pytest.mark.parametrize("target", [WEIGHTS, ACTIVATIONS])
def test_ste_is_hard_with_the_gradient_of_a_clipped_line(target):
  levels = LEVELS["w2" if target == WEIGHTS else "a2"]
  x = W if target == WEIGHTS else X
  g = jax.random.normal(jax.random.key(3), x.shape)
  params = make_scheme("ste", levels, target=target).init(x)
  fn = lambda x, own: uniform.ste_quantize(x, **own, levels=levels)
  y, (dx, own) = pull(fn, x, params, g=g)
  chex.assert_trees_all_equal(y, hard_quantize(x, **params, levels=levels))
  scaled = params["beta"] * x
  inside = (scaled >= levels[0]) & (scaled <= levels[-1])
  slope = params["alpha"] * g * inside
  chex.assert_trees_all_close(dx, slope * params["beta"], rtol=1e-5)
  np.testing.assert_allclose(own["beta"], (slope * x).sum(), rtol=1e-4)
  np.testing.assert_allclose(own["alpha"], (g * y).sum() / params["alpha"], rtol=1e-4)
  assert not inside.all() and not own["biases"].any()


@pytest.mark.parametrize("signed", [True, False])
def test_lq_codes_are_the_nearest_levels(signed):
  x = W.reshape(-1, 5) if signed else X.reshape(-1)
  basis = lq_nets.init_basis(x, 2, signed=signed)
  levels = np.tensordot(lq_nets.codes(2, signed=signed), basis, 1)
  y = lq_nets.lq_quantize(x, basis, signed=signed)
  distances = np.abs(np.asarray(x)[None] - levels[:, None])
  np.testing.assert_allclose(np.abs(y - x), distances.min(0), atol=1e-6)
  chex.assert_trees_all_close(lq_nets.lq_quantize(y, basis, signed=signed), y)


def test_lq_init_is_the_authors_for_standard_values():
  n = 72
  w = jnp.sqrt(2.0 / n) * jnp.where(jnp.arange(200) % 2 == 0, 1.0, -1.0)
  expected = 0.6745 * np.sqrt(2 / n) / 2 * np.asarray([1, 2])
  np.testing.assert_allclose(lq_nets.init_basis(w, 2, signed=True), expected, rtol=1e-5)
  x = jnp.where(jnp.arange(200) % 2 == 0, 1.0, 0.0)  # mean square 1/2
  expected = 0.6745 * 2 / 3 * np.asarray([1, 2])
  found = lq_nets.init_basis(x, 2, signed=False)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("signed", [True, False])
def test_lq_fit_lowers_the_error_and_recovers_a_basis(signed):
  x = W.reshape(-1, 5) if signed else X.reshape(-1)
  start = lq_nets.init_basis(x, 2, signed=signed)
  error = lambda b: float(((lq_nets.lq_quantize(x, b, signed=signed) - x) ** 2).sum())
  fit = lambda n: lq_nets.fit_basis(x, start, signed=signed, iterations=n)
  errors = [error(fit(n)) for n in (0, 1, 5)]
  assert errors[0] > errors[1] >= errors[2] * (1 - 1e-5)
  truth = jnp.asarray([0.5, 1.3])
  exact = jnp.asarray(lq_nets.codes(2, signed=signed)) @ truth
  near = truth * jnp.asarray([1.1, 0.95])
  found = lq_nets.fit_basis(jnp.tile(exact, 10), near, signed=signed, iterations=3)
  chex.assert_trees_all_close(found, truth, rtol=1e-3)


def test_lq_gradients():
  w, basis = W.reshape(-1, 5), lq_nets.init_basis(W.reshape(-1, 5), 2, signed=True)
  fn = lambda x, b, signed: lq_nets.lq_quantize(x, b, signed=signed)
  g = G.reshape(-1, 5)
  _, (dw, db) = pull(lambda w, b: fn(w, b, True), w, basis, g=g)
  chex.assert_trees_all_equal(dw, g)
  x, basis = jnp.asarray([0.0, 0.4, 2.9, 3.1]), jnp.asarray([1.0, 2.0])
  _, (dx, dbasis) = pull(lambda x, b: fn(x, b, False), x, basis, g=jnp.ones(4))
  np.testing.assert_array_equal(dx, [1, 1, 1, 0])
  assert not db.any() and not dbasis.any()
