"""Every kind of transform that has no parameters, in networks of every make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.layers import insertion, transforms

KEY = jax.random.key(0)
RESNET = {"name": "cifar_resnet", "depth": 8, "width": 4, "classes": 3}
NETS = {  # name: (model, input, a place, number of places that the pattern matches)
  "cnn": (
    {"name": "cnn", "widths": (4, 4), "dense_width": 4, "classes": 3},
    (2, 16, 16, 1),
    "relu[12]",
    2,
  ),
  "residual": (RESNET, (2, 16, 16, 3), "stage./block0/relu1", 3),
  "remat": ({**RESNET, "remat": True}, (2, 16, 16, 3), "stage./block0/relu1", 3),
  "gtan": (
    {
      "name": "gtan", "classes": 3, "base_widths": (4, 4), "anchor_widths": (4, 4),
    },
    (2, 32, 6),
    "base/relu.",
    2,
  ),
}  # fmt: skip
KINDS = {
  "continuous_dropout": {"mask": "gaussian"},
  "patch_reorder": {"n": 2},
  "random_transform": {"angle": (40.0, 50.0), "granularity": "sample"},
}


def inserted(net, kind, **fields):
  config, shape, place, _ = NETS[net]
  rule = transforms.make_rule({"at": place, "kind": kind, **KINDS[kind], **fields})
  model = insertion.Inserted(models.build(config), (rule,))
  return model, jax.random.normal(jax.random.key(1), shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", ["cnn", "residual", "remat"])
def test_transforms_act_behind_every_place(net, kind):
  model, x = inserted(net, kind)
  places = insertion.inserted_where(model, x, train=True)[kind]
  assert len(places) == NETS[net][3]
  variables = jax.jit(model.model.init)(KEY, x)  # the plain model's: none are added

  def loss(params):
    rngs = {"dropout": jax.random.key(2)}
    y, _ = model.apply(
      {**variables, "params": params}, x, train=True, rngs=rngs, mutable=["batch_stats"]
    )
    return jnp.square(y).mean()

  plain = model._replace(rules=())
  value, grads = jax.jit(jax.value_and_grad(loss))(variables["params"])
  assert np.isfinite(value)
  assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
  assert any(np.abs(g).max() > 0 for g in jax.tree.leaves(grads))
  run = jax.jit(lambda v: (model.apply(v, x), plain.apply(v, x)))
  same = np.array_equal(*run(variables))
  assert same == (kind != "patch_reorder")  # the others rest at inference


def test_dropout_enters_the_base_of_a_temporal_network():
  model, x = inserted("gtan", "continuous_dropout")
  assert len(insertion.inserted_where(model, x, train=True)["continuous_dropout"]) == 2
  variables = jax.jit(model.model.init)(KEY, x)
  run = jax.jit(
    lambda key: model.apply(variables, x, train=True, rngs={"dropout": key}).logits
  )
  one, other = (np.asarray(run(jax.random.key(k))) for k in (0, 1))
  assert np.abs(one - other).max() > 1e-6


@pytest.mark.parametrize("kind", ["patch_reorder", "random_transform"])
def test_a_transform_of_images_refuses_sequences_by_name(kind, unchecked):
  model, x = inserted("gtan", kind)
  with pytest.raises(UserError, match=r"at base/relu1/.*has 3 axes"):
    insertion.inserted_where(model, x, train=True)
