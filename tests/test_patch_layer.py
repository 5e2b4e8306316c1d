"""Patch reordering as a layer, inserted into a network by rule."""

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest
from patch_support import maps, reorder

from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms
from jaxvision.layers.patches import PatchReorder
from jaxvision.layers.tap import Tap
from jaxvision.models.cnn import CNN

ENTRY = {"at": "pool2", "kind": "patch_reorder"}


class TapNet(nn.Module):
  @nn.compact
  def __call__(self, x, train=False):
    return Tap(name="relu")(nn.relu(x))


def inserted(model, **fields):
  return insertion.Inserted(model, transforms.make_rules([ENTRY | fields]))


def test_the_layer_has_no_variables_and_keeps_the_shape():
  x = maps((2, 9, 8, 3))
  layer = PatchReorder(n=2, levels=2, energy="l1", shared=True, remainder="center")
  assert jax.jit(layer.init)(jax.random.key(0), x) == {}
  y = jax.jit(layer.apply)({}, x)
  expected = reorder(x, levels=2, energy="l1", shared=True, remainder="center")
  chex.assert_trees_all_equal(y, expected)


def test_behind_a_tap_it_reorders_what_the_tap_holds():
  x = maps((2, 8, 8, 3))
  model = inserted(TapNet(), at="relu", levels=2)
  for train in (False, True):
    y = model.apply({}, x, train=train)
    chex.assert_trees_all_equal(y, reorder(nn.relu(x), levels=2))


def test_a_cnn_becomes_blind_to_the_place_of_a_patch():
  cnn = CNN(widths=(4, 4), dense_width=8, norm="none")
  x = np.zeros((2, 32, 32, 1), np.float32)
  x[:, 4:12, 4:12] = maps((2, 8, 8, 1))
  moved = np.roll(x, 16, 2)
  model = inserted(cnn)
  assert insertion.inserted_where(model, x) == {"patch_reorder": ["pool2"]}
  variables = jax.jit(model.init)(jax.random.key(0), x)
  chex.assert_trees_all_equal(variables, jax.jit(cnn.init)(jax.random.key(0), x))
  apply = jax.jit(model.apply)
  np.testing.assert_allclose(apply(variables, x), apply(variables, moved), atol=1e-5)
  plain = jax.jit(cnn.apply)
  assert np.abs(plain(variables, x) - plain(variables, moved)).max() > 1e-3


def test_small_maps_are_the_users_mistake():
  model = inserted(TapNet(), at="relu", levels=4)
  with pytest.raises(UserError, match="at relu/patch_reorder: x is 8x8; 16x16 blocks"):
    model.apply({}, maps((1, 8, 8, 1)))


@pytest.mark.parametrize("field", [{"n": 0}, {"energy": "l3"}, {"remainder": "left"}])
def test_a_bad_entry_is_refused(field):
  with pytest.raises(UserError, match="patch_reorder at 'pool2'"):
    transforms.make_rule(ENTRY | field)
