"""Convolution at several scales: shapes, parameters, the maximum, magnification."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_support import KEY, filled

from jaxvision.layers.scale_invariant import scale_invariant_conv
from jaxvision.ops.convolution import convolution
from jaxvision.ops.scale_invariance import scale_invariant_convolution

IMAGES = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))


def test_scale_invariant_layer_has_the_plain_layers_variables():
  layer = scale_invariant_conv(3, (3, 3), scales=(1, 0.5))
  variables = filled(layer, IMAGES)
  assert {k: v.shape for k, v in variables["params"].items()} == {
    "kernel": (3, 3, 1, 3),
    "bias": (3,),
  }
  params = variables["params"]
  responses = scale_invariant_convolution(
    IMAGES, params["kernel"], (1, 1), "SAME", scales=(1, 0.5)
  )
  found = jax.jit(layer.apply)(variables, IMAGES)
  chex.assert_trees_all_close(found, responses + params["bias"], atol=1e-5)


def test_a_response_is_the_largest_over_scales():
  kernel = jax.random.normal(KEY, (3, 3, 1, 2))
  at = functools.partial(scale_invariant_convolution, IMAGES, kernel, (1, 1))
  for padding, size in (("SAME", 8), ("VALID", 6)):
    both = at(padding, scales=(1, 2))
    one, two = at(padding, scales=(1,)), at(padding, scales=(2,))
    chex.assert_shape(both, (2, size, size, 2))
    chex.assert_trees_all_equal(both, jnp.maximum(one, two))
    assert jnp.any(two > one) and jnp.any(one > two)
  order = ("NHWC", "HWIO", "NHWC")
  plain = convolution(IMAGES, kernel, (1, 1), "SAME", dimension_numbers=order)
  chex.assert_trees_all_close(at("SAME", scales=(1,)), plain, atol=1e-6)


def blob(width, size=33):
  axis = jnp.arange(size) - (size - 1) / 2
  return jnp.exp(-(axis[:, None] ** 2 + axis**2) / (2 * width**2))[None, :, :, None]


def test_a_scale_of_the_set_undoes_magnification():
  """Half the size of a blob of twice the width is the blob, and so is its response."""
  laplacian = jnp.array([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])[:, :, None, None]
  respond = lambda x, scales: scale_invariant_convolution(
    x, laplacian, (1, 1), "SAME", scales=scales
  )
  small, large = blob(2.0), blob(4.0)
  peak = lambda x, scales: float(respond(x, scales).max())
  np.testing.assert_allclose(peak(large, (0.5,)), peak(small, (1,)), rtol=0.15)
  assert peak(large, (1,)) < 0.4 * peak(small, (1,))
  # Where nothing depends on scale, undoing it restores the places.
  same = lambda x, *_, **__: x
  restored = scale_invariant_convolution(
    large, laplacian, (1, 1), "SAME", scales=(0.75,), conv_general_dilated=same
  )
  chex.assert_trees_all_close(restored, large, atol=0.04)


@pytest.mark.parametrize(
  ("settings", "named"),
  [
    ({"scales": (1, -1)}, "above 0"),
    ({"scales": (1,), "window_strides": (2, 2)}, "stride 1"),
  ],
)
def test_the_convolution_names_mistakes(settings, named):
  settings = {"window_strides": (1, 1), "padding": "SAME", **settings}
  with pytest.raises(ValueError, match=named):
    scale_invariant_convolution(IMAGES, jnp.zeros((3, 3, 1, 1)), **settings)
