"""The convolution with loop-safe gradients against `lax.conv_general_dilated`."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxvision.ops.convolution import convolution, loop_safe_convolution

LAYOUTS = {
  1: ("NWC", "WIO", "NWC"),
  2: ("NHWC", "HWIO", "NHWC"),
  3: ("NDHWC", "DHWIO", "NDHWC"),
}
# inputs, kernel, strides, padding, dilation
CASES = {
  "3x3": ((2, 6, 6, 3), (3, 3, 3, 4), (1, 1), "SAME", (1, 1)),
  "valid": ((2, 6, 7, 3), (3, 2, 3, 4), (1, 1), "VALID", (1, 1)),
  "stride": ((2, 8, 8, 3), (3, 3, 3, 4), (2, 2), "SAME", (1, 1)),
  "odd": ((2, 9, 7, 3), (4, 5, 3, 2), (3, 2), "SAME_LOWER", (1, 1)),
  "unread": ((2, 9, 9, 2), (2, 2, 2, 3), (4, 3), "VALID", (1, 1)),
  "explicit": ((2, 6, 5, 3), (3, 3, 3, 4), (2, 1), ((0, 3), (4, 1)), (1, 1)),
  "cropped": ((2, 9, 9, 2), (3, 3, 2, 3), (1, 2), ((-1, 0), (0, -2)), (1, 1)),
  "dilated": ((2, 9, 8, 3), (3, 2, 3, 4), (1, 2), "SAME", (2, 3)),
  "1x1": ((2, 5, 4, 3), (1, 1, 3, 4), (1, 1), "SAME", (1, 1)),
  "1x1_stride": ((2, 7, 6, 3), (1, 1, 3, 4), (2, 3), "VALID", (1, 1)),
  "1x1_padded": ((2, 4, 5, 3), (1, 1, 3, 4), (1, 1), ((0, 0), (1, 2)), (1, 1)),
  "tall": ((2, 8, 5, 3), (3, 1, 3, 4), (1, 1), "SAME", (2, 1)),
  "wide": ((2, 5, 8, 3), (1, 3, 3, 4), (2, 2), "SAME", (1, 1)),
  "batch1": ((1, 5, 5, 1), (3, 3, 1, 2), (1, 1), "SAME", (1, 1)),
  "batch0": ((0, 5, 5, 1), (3, 1, 1, 2), (1, 1), "SAME", (1, 1)),
  "1d": ((2, 11, 3), (3, 3, 4), (1,), "SAME", (1,)),
  "1d_stride": ((2, 11, 3), (5, 3, 4), (2,), "SAME", (2,)),
  "1d_point": ((2, 11, 3), (1, 3, 4), (1,), "VALID", (1,)),
  "3d": ((2, 4, 5, 4, 2), (2, 3, 1, 2, 3), (1, 2, 1), "SAME", (1, 1, 1)),
}
STEPS = 3


def arrays(case, dtype=jnp.float32):
  keys = jax.random.split(jax.random.key(0))
  return [
    jax.random.normal(key, s, dtype)
    for key, s in zip(keys, CASES[case][:2], strict=True)
  ]


def bind(function, case, **options):
  """`function` of two arrays, called as `lax.conv_general_dilated` is."""
  shape, _, strides, padding, dilation = CASES[case]
  options = {
    "rhs_dilation": dilation,
    "dimension_numbers": LAYOUTS[len(shape) - 2],
    **options,
  }
  return lambda x, kernel: function(x, kernel, strides, padding, **options)


def pair(case, **options):
  """Ours and lax's."""
  return bind(convolution, case, **options), bind(
    lax.conv_general_dilated, case, **options
  )


def gradient(conv):
  """Gradient of a curved function of the outputs in both arguments."""
  return jax.grad(lambda x, w: jnp.sum(jnp.sin(conv(x, w)).astype(jnp.float32)), (0, 1))


def assert_close(actual, expected, tolerance=1e-5):
  chex.assert_trees_all_equal_shapes_and_dtypes(actual, expected)
  chex.assert_trees_all_close(actual, expected, rtol=tolerance, atol=10 * tolerance)


def dimension_orders(hlo):
  """Dimension orders of the convolutions in a program."""
  return set(re.findall(r" convolution\(.*dim_labels=([\w>-]+)", hlo))


def descend(conv, count=STEPS):
  """Gradient steps in a loop: what training steps and attacks do."""
  step = lambda carry: jax.tree.map(
    lambda a, d: a - 0.01 * d, carry, gradient(conv)(*carry)
  )
  return lambda x, w: lax.fori_loop(0, count, lambda _, carry: step(carry), (x, w))


@pytest.mark.parametrize("jit", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("case", CASES)
def test_value_gradient_and_tangent_are_those_of_lax(case, jit):
  x, w = arrays(case)
  ours, plain = pair(case)
  assert_close(jit(ours)(x, w), plain(x, w))
  assert_close(jit(gradient(ours))(x, w), jax.jit(gradient(plain))(x, w))
  tangent = lambda f: jit(lambda x, w: jax.jvp(f, (x, w), (w.sum() * x, jnp.cos(w))))
  assert_close(tangent(ours)(x, w), tangent(plain)(x, w))


@pytest.mark.parametrize("argument", [0, 1])
def test_no_gradient_is_computed_that_nobody_asked_for(argument):
  x, w = arrays("3x3")
  ours, plain = pair("3x3")
  count = lambda f: str(jax.make_jaxpr(jax.grad(f, argument))(x, w)).count(
    "= conv_general_dilated["
  )
  loss = lambda conv: lambda x, w: jnp.sum(conv(x, w) ** 2)
  assert count(loss(ours)) == count(loss(plain)) == 2  # one forward, one backward


@pytest.mark.parametrize("case", ["3x3", "stride", "dilated", "1x1", "tall", "1d"])
def test_derivatives_of_derivatives_are_those_of_lax(case):
  x, w = arrays(case)

  def penalty(conv):  # reverse over reverse
    norms = lambda x, w: sum(jnp.sum(g**2) for g in gradient(conv)(x, w))
    return jax.jit(jax.grad(norms, (0, 1)))

  def product(conv):  # forward over reverse: a Hessian-vector product
    return jax.jit(lambda x, w: jax.jvp(gradient(conv), (x, w), (x, w))[1])

  ours, plain = pair(case)
  assert_close(penalty(ours)(x, w), penalty(plain)(x, w), 1e-4)
  assert_close(product(ours)(x, w), product(plain)(x, w), 1e-4)


def in_scan(conv):
  body = lambda carry, _: (descend(conv, 1)(*carry), conv(*carry).sum())
  return lambda x, w: lax.scan(body, (x, w), None, length=STEPS)


def in_cond(conv):
  zeros = lambda x, w: (0 * x, 0 * w)
  return lambda x, w: lax.cond(x.sum() < jnp.inf, gradient(conv), zeros, x, w)


def through_scan(conv):
  """Gradient of a loop, where the others are gradients in a loop."""

  def total(x, w):
    body = lambda x, _: (0.5 * jnp.tanh(conv(x, w).mean(-1, keepdims=True)) + x, None)
    return lax.scan(body, x, None, length=STEPS)[0].sum()

  return jax.grad(total, (0, 1))


@pytest.mark.parametrize("loop", [in_scan, descend, in_cond, through_scan])
def test_gradients_in_control_flow_are_those_of_lax(loop):
  x, w = arrays("3x3")
  ours, plain = pair("3x3")
  assert_close(jax.jit(loop(ours))(x, w), jax.jit(loop(plain))(x, w))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
  "case", ["3x3", "stride", "dilated", "explicit", "1x1", "tall", "1d_stride", "3d"]
)
def test_a_loop_holds_only_channels_last_convolutions(case, dtype):
  """Others are what XLA's CPU backend runs as scalar code in a loop's body."""
  x, w = arrays(case, dtype)
  ours, plain = pair(case)
  lower = lambda conv: jax.jit(descend(conv)).lower(x, w)
  axes = "012"[: x.ndim - 2]
  fast = {f"b{axes}f_{axes}io->b{axes}f"}
  assert dimension_orders(lower(ours).compile().as_text()) == fast
  assert dimension_orders(lower(plain).as_text("hlo")) > fast  # the trap avoided


@pytest.mark.parametrize("case", ["3x3", "1x1_stride", "wide"])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap(case, axes):
  x, w = arrays(case)
  double = lambda a, axis: a if axis is None else jnp.stack([a, jnp.cos(a)])
  x, w = double(x, axes[0]), double(w, axes[1])
  ours, plain = (jax.jit(jax.vmap(gradient(conv), axes)) for conv in pair(case))
  assert_close(ours(x, w), plain(x, w))


@pytest.mark.parametrize("case", ["3x3", "stride", "1x1", "tall"])
@pytest.mark.parametrize("output", [None, jnp.float32])
def test_bfloat16_and_mixed_precision(case, output):
  x, w = arrays(case, jnp.bfloat16)
  ours, plain = pair(case, preferred_element_type=output)
  assert_close(jax.jit(ours)(x, w), jax.jit(plain)(x, w), 1e-2)
  assert_close(jax.jit(gradient(ours))(x, w), jax.jit(gradient(plain))(x, w), 2e-2)


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
  keys = jax.random.split(jax.random.key(0))
  groups = options.get("feature_group_count", 1)
  x, w = jax.random.normal(keys[0], (2, 6, 6, 6)), (3, 3, 6 // groups, 6)
  w = jax.random.normal(keys[1], w if options.get("dimension_numbers", w) else w[::-1])
  options = {"dimension_numbers": LAYOUTS[2], **options}
  one, two = (
    lambda x, w, f=f: f(x, w, (2, 1), ((1, 1), (0, 2)), **options)
    for f in (convolution, lax.conv_general_dilated)
  )
  assert str(jax.make_jaxpr(gradient(one))(x, w)) == str(
    jax.make_jaxpr(gradient(two))(x, w)
  )


def test_integers_and_other_backends_are_plain_lax(monkeypatch):
  x, w = (a.astype(jnp.int8) for a in arrays("3x3"))
  ours, plain = pair("3x3", preferred_element_type=jnp.int32)
  assert_close(ours(x, w), plain(x, w))
  monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  ours, plain = (jax.make_jaxpr(gradient(f))(*arrays("3x3")) for f in pair("3x3"))
  assert str(ours) == str(plain)


def test_the_forward_pass_has_no_overhead():
  x, w = arrays("stride")
  ours, plain = (jax.jit(conv).lower(x, w).as_text() for conv in pair("stride"))
  assert ours == plain


@pytest.mark.parametrize("of", [lambda f: f, gradient], ids=["value", "gradient"])
@pytest.mark.parametrize("case", ["stride", "tall"])
def test_one_export_runs_on_every_platform(case, of):
  x, w = arrays(case)
  ours, plain = pair(case)
  exported = jax.export.export(jax.jit(of(ours)), platforms=["cpu", "cuda", "tpu"])(
    x, w
  )
  restored = jax.export.deserialize(exported.serialize())
  assert restored.platforms == ("cpu", "cuda", "tpu")
  assert_close(restored.call(x, w), of(plain)(x, w))


@pytest.mark.parametrize("case", ["3x3", "stride", "1x1", "tall"])
def test_a_sharded_batch_gives_the_same_and_stays_sharded(case):
  mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
  rows, whole = (NamedSharding(mesh, PartitionSpec(*p)) for p in (("data",), ()))
  x, w = arrays(case)
  x = jnp.concatenate([x, jnp.cos(x), jnp.sin(x), x])
  step = functools.partial(
    jax.jit, in_shardings=(rows, whole), out_shardings=(rows, whole)
  )
  ours, plain = pair(case)
  compiled = step(gradient(ours)).lower(x, w).compile()
  assert_close(compiled(jax.device_put(x, rows), w), gradient(plain)(x, w))
  assert "all-gather" not in compiled.as_text()


def test_loop_safe_convolution_takes_names_and_refuses_nonsense():
  x, w = arrays("dilated")
  _, _, strides, padding, dilation = CASES["dilated"]
  ours = loop_safe_convolution(
    x, w, strides=list(strides), padding=padding, dilation=list(dilation)
  )
  assert_close(ours, bind(lax.conv_general_dilated, "dilated")(x, w))
  with pytest.raises(ValueError, match="padding"):
    loop_safe_convolution(x, w, strides=strides, padding="FULL")
  with pytest.raises(TypeError, match="window_strides"):
    loop_safe_convolution(x, w, strides=(1,), padding=((1, 1), (1, 1)))
