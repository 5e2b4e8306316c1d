"""Convolution with loop-safe gradients: the numbers of `lax.conv_general_dilated`."""

import chex
import jax
import jax.numpy as jnp
import pytest
from convolution_support import (
  CASES,
  LAYOUTS,
  arrays,
  assert_close,
  descend,
  gradient,
  pair,
)
from jax import lax

from jaxvision.ops import convolution_forms as forms
from jaxvision.ops.convolution import convolution, loop_safe_convolution


def all_of(conv):
  """Value, gradients and a tangent."""

  def compute(x, w):
    tangent = jax.jvp(conv, (x, w), (w.sum() * x, jnp.cos(w)))[1]
    return conv(x, w), gradient(conv)(x, w), tangent

  return compute


@pytest.mark.parametrize("case", CASES)
def test_value_gradients_and_tangent_are_those_of_lax(case):
  ours, plain = (jax.jit(all_of(conv))(*arrays(case)) for conv in pair(case))
  assert_close(ours, plain)


@pytest.mark.parametrize("case", ["3x3", "1x1", "tiny"])
def test_eager_equals_jit(case):
  compute = all_of(pair(case)[0])
  assert_close(compute(*arrays(case)), jax.jit(compute)(*arrays(case)))


@pytest.mark.parametrize("case", ["3x3", "stride", "1x1", "tall", "tiny", "overhang"])
def test_derivatives_of_derivatives_are_those_of_lax(case):
  def second_order(conv):
    first = gradient(conv)
    norms = lambda x, w: sum(jnp.sum(g**2) for g in first(x, w))
    reverse_over_reverse = jax.grad(norms, (0, 1))
    forward_over_reverse = lambda x, w: jax.jvp(first, (x, w), (x, w))[1]
    return jax.jit(
      lambda x, w: (reverse_over_reverse(x, w), forward_over_reverse(x, w))
    )

  ours, plain = (second_order(conv)(*arrays(case)) for conv in pair(case))
  assert_close(ours, plain, 1e-4)


def in_scan(conv):
  body = lambda carry, _: (descend(conv, 1)(*carry), conv(*carry).sum())
  return lambda x, w: lax.scan(body, (x, w), None, length=3)


def in_cond(conv):
  zeros = lambda x, w: (0 * x, 0 * w)
  return lambda x, w: lax.cond(x.sum() < jnp.inf, gradient(conv), zeros, x, w)


def through_scan(conv):
  """Gradient of a loop, where the others are gradients in a loop."""

  def total(x, w):
    body = lambda x, _: (0.5 * jnp.tanh(conv(x, w).mean(-1, keepdims=True)) + x, None)
    return lax.scan(body, x, None, length=3)[0].sum()

  return jax.grad(total, (0, 1))


@pytest.mark.parametrize("loop", [in_scan, descend, in_cond, through_scan])
def test_gradients_in_control_flow_are_those_of_lax(loop):
  ours, plain = (jax.jit(loop(conv))(*arrays("3x3")) for conv in pair("3x3"))
  assert_close(ours, plain)


@pytest.mark.parametrize("case", ["3x3", "1x1_stride", "wide", "overhang", "tiny"])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap(case, axes):
  double = lambda a, axis: a if axis is None else jnp.stack([a, jnp.cos(a)])
  x, w = map(double, arrays(case), axes)
  ours, plain = (jax.jit(jax.vmap(gradient(f), axes))(x, w) for f in pair(case))
  assert_close(ours, plain)


@pytest.mark.parametrize("case", ["3x3", "stride", "1x1", "tall", "tiny"])
@pytest.mark.parametrize("output", [None, jnp.float32])
def test_bfloat16_and_mixed_precision(case, output):
  both = lambda conv: lambda x, w: (conv(x, w), gradient(conv)(x, w))
  ours, plain = (
    jax.jit(both(conv))(*arrays(case, jnp.bfloat16))
    for conv in pair(case, preferred_element_type=output)
  )
  assert_close(ours, plain, 2e-2)


@pytest.mark.parametrize(
  "options",
  [
    {"feature_group_count": 3},
    {"batch_group_count": 2},
    {"lhs_dilation": (2, 1)},
    {"dimension_numbers": ("NCHW", "HWIO", "NCHW")},
    {"dimension_numbers": None},
  ],
  ids=str,
)
def test_unsupported_cases_are_plain_lax(options):
  kernel = (3, 3, 6 // options.get("feature_group_count", 1), 6)
  if options.get("dimension_numbers", LAYOUTS) is None:
    kernel = kernel[::-1]  # lax's default order is "OIHW"
  options = {"dimension_numbers": LAYOUTS[2], **options}

  def program(function):
    conv = lambda x, w: function(x, w, (2, 1), ((1, 1), (0, 2)), **options)
    return str(jax.make_jaxpr(gradient(conv))(jnp.ones((2, 6, 6, 6)), jnp.ones(kernel)))

  assert program(convolution) == program(lax.conv_general_dilated)


def test_integers_are_plain_lax():
  x, w = (jnp.round(10 * a).astype(jnp.int8) for a in arrays("3x3"))
  ours, plain = pair("3x3", preferred_element_type=jnp.int32)
  assert_close(ours(x, w), plain(x, w))


def test_other_backends_are_plain_lax(monkeypatch):
  program = lambda conv: str(jax.make_jaxpr(gradient(conv))(*arrays("3x3")))
  ours, plain = pair("3x3")
  assert program(ours) != program(plain)
  monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  assert program(ours) == program(plain)


def test_loop_safe_convolution_takes_lists_and_refuses_nonsense():
  x, w = arrays("dilated")
  ours = loop_safe_convolution(x, w, strides=[1, 2], padding="SAME", dilation=[2, 3])
  assert_close(ours, pair("dilated")[1](x, w))
  with pytest.raises(RuntimeError, match="FULL"):
    loop_safe_convolution(x, w, strides=(1, 1), padding="FULL")
  with pytest.raises(ValueError, match="window_strides"):
    loop_safe_convolution(x, w, strides=(1,), padding=((1, 1), (1, 1)))


@pytest.mark.parametrize(
  "examples, pixels, expected",
  [
    (100, 64, 1),
    (100, 196, 10),
    (64, 256, 8),
    (64, 1024, 16),
    (7, 4096, 7),
    (13, 9000, 13),
  ],
)
def test_a_batch_is_cut_into_equal_chunks(examples, pixels, expected):
  assert forms.chunks(examples, pixels) == expected
  assert examples % expected == 0


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_gradients_of_a_batch_that_is_cut(strides):
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (12, 40, 40, 2))
  kernel = jax.random.normal(keys[1], (3, 3, 2, 3))
  assert forms.chunks(12, 40 * 40) > 1

  def gradients(function):
    def loss(x, kernel):
      y = function(x, kernel, strides, "SAME", dimension_numbers=LAYOUTS[2])
      return jnp.sum(jnp.sin(y))

    return jax.jit(jax.grad(loss, (0, 1)))(x, kernel)

  expected = gradients(lax.conv_general_dilated)
  chex.assert_trees_all_close(gradients(convolution), expected, rtol=1e-4, atol=1e-3)
