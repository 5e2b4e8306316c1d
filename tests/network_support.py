"""Helpers of the tests of networks."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import models
from jaxvision.layers import insertion

KEY = jax.random.key(0)
IMAGENET, CIFAR = (1, 224, 224, 3), (1, 32, 32, 3)
SEQUENTIAL = {"classes": 5, "graph": "coco", "layers": (1, 1), "widths": (4, 8)}
TINY = {  # smallest forms, and the shape of their images
  "cnn": ({"widths": (2,), "dense_width": 3}, (2, 4, 4, 1)),
  "mlp": ({"hidden": (3,)}, (2, 4, 4, 1)),
  "embedding_mlp": ({"hidden": (3,), "width": 2, "classes": 3}, (4, 5)),
  "ti_pooling": (
    {"widths": (2,), "dense_width": 3, "angles": (0, 30), "scales": (1, 0.8)},
    (2, 4, 4, 1),
  ),
  "si_cnn": ({"widths": (2,), "dense_width": 3}, (2, 4, 4, 1)),
  "spatial_transformer": (
    {
      "widths": (2,),
      "dense_width": 3,
      "localization_widths": (2,),
      "localization_dense_width": 3,
    },
    (2, 4, 4, 1),
  ),
  "cifar_resnet": ({"depth": 8, "width": 2}, (2, 8, 8, 3)),
  "resnet": ({"depth": 18, "width": 2, "classes": 5}, (2, 32, 32, 3)),
  "wide_resnet": ({"depth": 10, "widen": 1}, (2, 8, 8, 3)),
  "alexnet": (
    {"widths": (2, 3, 2, 3, 2), "dense_width": 4, "classes": 5},
    (2, 63, 63, 3),
  ),
  "vgg": ({"depth": 11, "width": 1, "dense_width": 3, "classes": 5}, (2, 32, 32, 3)),
  "mobilenet": ({"multiplier": 0.02}, (2, 8, 8, 3)),
  "mobilenet_v2": ({"multiplier": 0.1, "classes": 5}, (2, 32, 32, 3)),
  "gtan": (
    {"classes": 3, "base_widths": (4, 4), "anchor_widths": (3, 3, 4)},
    (2, 32, 5),
  ),
  "ahernet": (
    {
      "classes": 3,
      "source_classes": 2,
      "base_widths": (4, 4),
      "anchor_widths": (3, 4),
      "generator_width": 3,
    },
    (2, 32, 5),
  ),
  "stigcn": (
    {"classes": 5, "graph": "coco", "layers": (1, 1), "widths": (4, 4, 8), "pools": 2},
    (2, 2, 8, 17, 3),
  ),
  "st_gcn": (SEQUENTIAL, (2, 2, 4, 17, 3)),
  "agcn": (SEQUENTIAL, (2, 2, 4, 17, 3)),
  "ctr_gcn": (SEQUENTIAL, (2, 2, 4, 17, 3)),
}


def tiny(name, **fields):
  """A small network of a kind, and images for it."""
  config, shape = TINY[name]
  model = models.build({"name": name, **config, **fields})
  return model, jax.random.normal(jax.random.key(1), shape)


def filled(model, x):
  """Random variables of a model, without compiling its `init`."""
  rng = np.random.default_rng(0)

  def fill(path, leaf):
    values = rng.normal(0, 0.5, leaf.shape)
    if path[-1].key in ("scale", "var"):
      values = 0.5 + abs(values)
    return jnp.asarray(values, leaf.dtype)

  shapes = jax.eval_shape(model.init, KEY, x)
  return jax.tree_util.tree_map_with_path(fill, shapes)


def spec(shape, **config):
  """Shapes of the variables of the network that a config describes."""
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return jax.eval_shape(models.build(config).init, KEY, x)


def count(shape, **config):
  """Number of its parameters."""
  return sum(leaf.size for leaf in jax.tree.leaves(spec(shape, **config)["params"]))


def places(shape, **config):
  """Its places, {path: shape of the output}."""
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return insertion.places(models.build(config), x)


def close(found, expected, tolerance):
  """Whether two arrays differ by no more than a part of the largest value."""
  return jnp.abs(found - expected).max() <= tolerance * jnp.abs(expected).max()
