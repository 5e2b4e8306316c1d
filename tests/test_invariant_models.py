"""Baselines of random transforms: TI-pooling, SI-CNN, the Spatial Transformer."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_support import KEY, filled

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.layers.transforms import make_rules
from jaxvision.models.cnn import CNN
from jaxvision.ops.spatial_transformer import IDENTITY
from jaxvision.ops.warp import affine_warp

SMALL = {"widths": (3, 4), "kernels": (5, 3), "dense_width": 6, "norm": "none"}
LOCALIZATION = {
  "localization_widths": (2,),
  "localization_kernel": 3,
  "localization_dense_width": 5,
}
NAMES = {"ti_pooling": {}, "si_cnn": {}, "spatial_transformer": LOCALIZATION}
IMAGES = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
QUARTERS = (0, 90, 180, 270)


def net(name, **fields):
  return models.build({"name": name, **SMALL, **NAMES.get(name, {}), **fields})


@functools.cache
def plain_variables():
  return filled(CNN(**SMALL), IMAGES)


def run(model, variables, x):
  return jax.jit(model.apply)(variables, x)


def feature(model, variables, x, *places):
  read = lambda variables, x: insertion.features(model, variables, x, places)[1]
  values = jax.jit(read)(variables, x)
  return [values[place] for place in places]


@pytest.mark.parametrize("name", ["ti_pooling", "si_cnn"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_variables_are_the_plain_networks(name, norm):
  init = lambda name: jax.eval_shape(net(name, norm=norm).init, KEY, IMAGES)
  found, expected = init(name), init("cnn")
  assert jax.tree.structure(found) == jax.tree.structure(expected)
  chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)


def test_a_localization_is_all_that_a_spatial_transformer_adds():
  count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
  x = jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)
  init = lambda name: jax.eval_shape(net(name).init, KEY, x)["params"]
  found, plain = init("spatial_transformer"), init("cnn")
  added = found.pop("localization")
  chex.assert_trees_all_equal_shapes(found, plain)
  # conv 3x3x1-2, dense 2*16*16-5, six parameters
  assert count(added) == (9 * 2 + 2) + (512 * 5 + 5) + (5 * 6 + 6)
  assert net("spatial_transformer", kind="translation").kind == "translation"


@pytest.mark.parametrize("name", NAMES)
def test_places_have_names(name):
  plain = insertion.places(net("cnn"), IMAGES)
  found = insertion.places(net(name), IMAGES)
  added = {
    "ti_pooling": {"ti_pool"},
    "si_cnn": set(),
    "spatial_transformer": {"transformed", "localization"}
    | {
      f"localization/{place}"
      for place in ("conv1", "relu1", "pool1", "dense", "relu_dense", "parameters")
    },
  }[name]
  assert set(found) == set(plain) | added
  copies = 24 if name == "ti_pooling" else 1
  assert found["pool2"] == (2 * copies, 2, 2, 4)
  assert found["logits"] == plain["logits"] == (2, 10)


@pytest.mark.parametrize("pool_behind", ["dense", "stages"])
@pytest.mark.parametrize("turns", [1, 2])
def test_ti_pooling_is_invariant_to_turns_that_permute_its_copies(pool_behind, turns):
  x = jnp.concatenate([IMAGES, jnp.rot90(IMAGES, turns, (1, 2))])
  fields = {"angles": (0, 45, 90, 135, 180, 225, 270, 315), "pool_behind": pool_behind}
  still, turned = jnp.split(run(net("ti_pooling", **fields), plain_variables(), x), 2)
  chex.assert_trees_all_close(still, turned, atol=1e-3)
  plain = jnp.split(run(net("cnn"), plain_variables(), x), 2)
  assert jnp.abs(plain[0] - plain[1]).max() > 0.1


def test_the_pooled_features_are_the_largest_of_turned_images():
  ti, cnn = net("ti_pooling", angles=QUARTERS), net("cnn")
  variables = plain_variables()
  turned = jnp.concatenate([jnp.rot90(IMAGES, k, (1, 2)) for k in range(4)])
  each = feature(cnn, variables, turned, "relu_dense")[0].reshape(4, 2, -1)
  (found,) = feature(ti, variables, IMAGES, "ti_pool")
  chex.assert_trees_all_close(found, each.max(0), atol=1e-3)
  assert not jnp.allclose(each.max(0), each[0])


def test_one_copy_is_the_plain_network():
  single = net("ti_pooling", angles=(0,))
  expected = run(net("cnn"), plain_variables(), IMAGES)
  found = run(single, plain_variables(), IMAGES)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)


def test_copies_are_pairs_of_angle_and_scale():
  two = net("ti_pooling", angles=(0, 90), scales=(1, 1.5, 0.5))
  assert insertion.places(two, IMAGES)["relu1"] == (12, 8, 8, 3)
  (maps,) = feature(two, plain_variables(), IMAGES, "conv1")
  (plain,) = feature(net("cnn"), plain_variables(), IMAGES, "conv1")
  copies = maps.reshape(2, 6, 8, 8, 3)
  chex.assert_trees_all_close(copies[:, 0], plain, atol=1e-5)
  warped = affine_warp(IMAGES, angle=90, scale=0.5)
  (last,) = feature(net("cnn"), plain_variables(), warped, "conv1")
  chex.assert_trees_all_close(copies[:, 5], last, atol=1e-4)


def test_one_scale_is_the_plain_network_bit_for_bit():
  x, variables = IMAGES, plain_variables()
  expected = run(net("cnn"), variables, x)
  chex.assert_trees_all_equal(run(net("si_cnn", scales=(1.0,)), variables, x), expected)
  assert not jnp.allclose(run(net("si_cnn"), variables, x), expected)


def test_a_spatial_transformer_starts_as_the_plain_network():
  model = net("spatial_transformer")
  fresh = jax.jit(model.init)(KEY, IMAGES)["params"]
  params = {**plain_variables()["params"], "localization": fresh["localization"]}

  def loss(params):
    y = model.apply({"params": params}, IMAGES)
    return jnp.sum(y), y

  gradient, found = jax.jit(jax.grad(loss, has_aux=True))(params)
  expected = run(net("cnn"), plain_variables(), IMAGES)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)
  for leaf in jax.tree.leaves(gradient["localization"]["parameters"]):
    assert jnp.isfinite(leaf).all() and jnp.abs(leaf).max() > 1e-3
  # Nothing depends on the layers in front of a kernel of zeros.
  first = gradient["localization"]["conv1"]["kernel"]
  np.testing.assert_array_equal(first, 0)


def test_a_spatial_transformer_warps_by_its_parameters():
  model = net("spatial_transformer", kind="translation", localization_widths=())
  variables = filled(model, IMAGES)
  last = variables["params"]["localization"]["parameters"]
  last["kernel"], last["bias"] = 0 * last["kernel"], jnp.array([0.5, -0.25])
  (found,) = feature(model, variables, IMAGES, "transformed")
  moved = jnp.pad(IMAGES[:, 2:, :-1], ((0, 0), (0, 2), (1, 0), (0, 0)))
  chex.assert_trees_all_close(found, moved, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_transforms_enter_and_gradients_stay_finite(name):
  entry = {"at": "input", "kind": "random_transform", "angle": (-45, 45)}
  rules = make_rules([entry])
  fields = {"angles": (0, 90)} if name == "ti_pooling" else {}
  plain = net(name, **fields)
  model = insertion.Inserted(plain, rules)
  assert insertion.inserted_where(model, IMAGES) == {"random_transform": ["input"]}
  variables = filled(plain, IMAGES)
  if name == "spatial_transformer":  # random parameters see nothing of the image
    last = variables["params"]["localization"]["parameters"]
    last["kernel"] = 0.02 * last["kernel"]
    last["bias"] = jnp.array(IDENTITY["affine"])

  def loss(variables, key):
    y = model.apply(variables, IMAGES, train=True, rngs={"dropout": key})
    return jnp.sum(y**2)

  grad = jax.jit(jax.value_and_grad(loss))
  first, gradient = grad(variables, KEY)
  for leaf in jax.tree.leaves(gradient):
    assert jnp.isfinite(leaf).all()
    assert jnp.any(leaf != 0)
  assert first != grad(variables, jax.random.key(5))[0]


@pytest.mark.parametrize(
  ("name", "fields", "named"),
  [
    ("ti_pooling", {"angles": ()}, "angles is empty"),
    ("ti_pooling", {"scales": (1, 0)}, r"scales is \(1, 0\); give one or more above 0"),
    ("ti_pooling", {"pool_behind": "logits"}, "'logits'; choose one of dense, stages"),
    ("si_cnn", {"scales": ()}, r"scales is \(\)"),
    ("si_cnn", {"norm": "layer"}, "'layer'; choose batch or none"),
    ("spatial_transformer", {"kind": "shear"}, "'shear'; choose one of affine"),
    ("spatial_transformer", {"border": "wrap"}, "'wrap'; choose one of zero"),
    ("spatial_transformer", {"localization_widths": (1,) * 4}, "4 stages.*16x16"),
  ],
)
def test_a_bad_field_is_refused(name, fields, named):
  with pytest.raises(UserError, match=named):
    jax.eval_shape(net(name, **fields).init, KEY, IMAGES)
