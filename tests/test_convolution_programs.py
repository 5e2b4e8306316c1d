"""The convolution's compiled programs: what makes them fast, sharded, exportable.

Speed is measured by `experiments/benchmarks/convolution.py`; a test can see its cause.
"""

import jax
import jax.numpy as jnp
import pytest
from convolution_support import (
  arrays,
  assert_close,
  descend,
  dimension_orders,
  gradient,
  pair,
)
from jax.sharding import AxisType, NamedSharding, PartitionSpec

# What XLA's CPU backend has a kernel for, in the body of a loop too.
FAST = {"b0f_0io->b0f", "b01f_01io->b01f", "b012f_012io->b012f"}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
  "case", ["3x3", "stride", "dilated", "1x1", "tall", "1d", "shifts", "3d"]
)
def test_a_loop_holds_only_channels_last_convolutions(case, dtype):
  ours, plain = (jax.jit(descend(f)).lower(*arrays(case, dtype)) for f in pair(case))
  assert dimension_orders(ours.compile().as_text()) <= FAST
  assert not dimension_orders(plain.as_text("hlo")) <= FAST  # as lax writes them


@pytest.mark.parametrize(
  "case", ["tiny", "tiny_odd", "tiny_out", "overhang", "explicit"]
)
@pytest.mark.parametrize("of", [gradient, descend])
def test_operands_are_not_swapped(case, of):
  """XLA swaps them where a kernel is larger than a map, and then runs scalar code."""
  program = jax.jit(of(pair(case)[0])).lower(*arrays(case)).compile()
  assert dimension_orders(program.as_text()) <= FAST


@pytest.mark.parametrize("argument", [0, 1])
def test_no_gradient_is_computed_that_nobody_asked_for(argument):
  def convolutions(conv):
    loss = lambda x, w: jnp.sum(conv(x, w) ** 2)
    program = jax.make_jaxpr(jax.grad(loss, argument))(*arrays("3x3"))
    return str(program).count("= conv_general_dilated[")

  ours, plain = map(convolutions, pair("3x3"))
  assert ours == plain == 2  # one forward, one backward


@pytest.mark.parametrize("case", ["stride", "tall", "1d"])
def test_the_forward_pass_is_that_of_lax(case):
  ours, plain = (jax.jit(conv).lower(*arrays(case)).as_text() for conv in pair(case))
  assert ours == plain


@pytest.mark.parametrize("of", [lambda f: f, gradient], ids=["value", "gradient"])
@pytest.mark.parametrize("case", ["stride", "tall", "tiny", "overhang"])
def test_one_export_runs_on_every_platform(case, of):
  ours, plain = (jax.jit(of(conv)) for conv in pair(case))
  platforms = ("cpu", "cuda", "tpu")
  exported = jax.export.export(ours, platforms=platforms)(*arrays(case))
  restored = jax.export.deserialize(exported.serialize())
  assert restored.platforms == platforms
  assert_close(restored.call(*arrays(case)), plain(*arrays(case)))


def sharded(case, axis_type):
  """Inputs, their batch over four devices, and a kernel, whole on each."""
  mesh = jax.make_mesh((4,), ("data",), axis_types=(axis_type,))
  rows = NamedSharding(mesh, PartitionSpec("data"))
  whole = NamedSharding(mesh, PartitionSpec())
  x, w = arrays(case)
  x = jnp.concatenate([x, jnp.cos(x), jnp.sin(x), -x])
  return jax.device_put((x, w), (rows, whole))


@pytest.mark.parametrize("case", ["3x3", "stride", "1x1", "tall", "tiny"])
def test_a_sharded_batch_gives_the_same_and_is_never_gathered(case):
  arguments = sharded(case, AxisType.Auto)
  shardings = jax.tree.map(lambda a: a.sharding, arguments)
  ours, plain = pair(case)
  program = jax.jit(gradient(ours), out_shardings=shardings).lower(*arguments).compile()
  expected = jax.jit(gradient(plain))(*jax.device_get(arguments))
  assert_close(program(*arguments), expected)
  assert "all-gather" not in program.as_text()


def test_explicit_sharding_is_that_of_lax():
  ours, plain = (
    jax.jit(gradient(conv))(*sharded("3x3", AxisType.Explicit)) for conv in pair("3x3")
  )
  assert_close(ours, plain)
  assert [g.sharding for g in ours] == [g.sharding for g in plain]
