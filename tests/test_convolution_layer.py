"""The convolution layer: a drop-in for `flax.linen.Conv`."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from convolution_support import descend, dimension_orders
from jax import lax

from jaxvision.layers.convolution import Conv
from jaxvision.ops.convolution import convolution

IMAGE = (2, 7, 6, 4)
SEQUENCE = (2, 15, 4)


@pytest.mark.parametrize(
  ("shape", "arguments"),
  [
    (IMAGE, {"kernel_size": (3, 3)}),
    (IMAGE, {"kernel_size": (3, 3), "strides": 2, "use_bias": False}),
    (IMAGE, {"kernel_size": (3, 2), "padding": "CIRCULAR"}),
    (IMAGE, {"kernel_size": (3, 3), "padding": ((1, 0), (2, 1))}),
    (IMAGE, {"kernel_size": (3, 3), "kernel_dilation": 2}),
    (IMAGE, {"kernel_size": (3, 3), "feature_group_count": 4}),
    (IMAGE, {"kernel_size": (3, 3), "input_dilation": 2, "padding": 1}),
    (IMAGE, {"kernel_size": (1, 1), "strides": (2, 1), "dtype": jnp.bfloat16}),
    (IMAGE[1:], {"kernel_size": (3, 3)}),
    ((2, *IMAGE), {"kernel_size": (3, 3)}),
    (SEQUENCE, {"kernel_size": (5,), "padding": "CAUSAL"}),
    (SEQUENCE, {"kernel_size": (3,), "padding": "VALID", "strides": 3}),
  ],
  ids=str,
)
def test_parameters_outputs_and_gradients_are_those_of_flax(shape, arguments):
  x = jax.random.normal(jax.random.key(1), shape)

  def run(layer):
    net = layer(8, **arguments, bias_init=nn.initializers.normal())
    variables = jax.jit(net.init)(jax.random.key(0), x)
    loss = lambda v: (net.apply(v, x).astype(jnp.float32) ** 2).sum()
    return (
      variables,
      jax.jit(net.apply)(variables, x),
      jax.jit(jax.grad(loss))(variables),
    )

  (ours, *results), (flax, *expected) = run(Conv), run(nn.Conv)
  chex.assert_trees_all_equal(ours, flax)
  tolerance = 2e-2 if "dtype" in arguments else 1e-4
  chex.assert_trees_all_close(results, expected, rtol=tolerance, atol=tolerance)


X = jnp.ones(IMAGE)


class Net(nn.Module):
  layer: type[nn.Module]

  @nn.compact
  def __call__(self, x):
    x = self.layer(4, (3, 3), name="first")(x)
    return self.layer(4, (3, 3))(x)


def test_names_and_interception_are_those_of_flax():
  def seen(layer):
    calls = []

    def record(f, args, kwargs, context):
      is_conv = isinstance(context.module, nn.Conv)
      calls.append((context.module.path, context.method_name, is_conv))
      return f(*args, **kwargs)

    with nn.intercept_methods(record):
      variables = Net(layer).init(jax.random.key(0), X)
    return calls, jax.tree.structure(variables)

  assert seen(Conv) == seen(nn.Conv)
  assert (("Conv_0",), "__call__", True) in seen(Conv)[0]


def test_it_is_a_module_as_others_are():
  net = Conv(4, (3, 3))
  assert repr(net).startswith("Conv(") and "features = 4" in repr(net)
  assert net == Conv(4, (3, 3)) != Conv(5, (3, 3))
  assert net.clone().conv_general_dilated is convolution
  assert "Conv" in nn.tabulate(Net(Conv), jax.random.key(0))(X)


@pytest.mark.parametrize("plain", [False, True])
def test_the_loop_is_fast_unless_plain_lax_is_asked_for(plain):
  chosen = {"conv_general_dilated": lax.conv_general_dilated} if plain else {}
  net = Conv(4, (3, 3), use_bias=False, **chosen)
  variables = net.init(jax.random.key(0), X)
  apply = lambda x, kernel: net.apply({"params": {"kernel": kernel}}, x)
  program = jax.jit(descend(apply)).lower(X, variables["params"]["kernel"])
  channels_last = dimension_orders(program.as_text("hlo")) == {"b01f_01io->b01f"}
  assert channels_last != plain
