"""GTAN's network: published sizes, the authors' arrays, properties."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import (
  AHERNET,
  FEATURES,
  GROUPED,
  KEY,
  TINY,
  ahernet_params,
  features,
  init,
  joined,
  run,
)
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxvision import models
from jaxvision.layers import insertion
from jaxvision.layers.transforms import make_rules
from jaxvision.models.gtan import GTAN, SigmaHead
from jaxvision.models.temporal import TemporalBase

PAPER = jax.ShapeDtypeStruct((1, 512, 2048), jnp.float32)


def sizes(params):
  """Numbers of parameters of the trunk, of all heads, of all sigma heads."""
  parts = {"base": 0, "pyramid": 0, "head": 0, "sigma": 0}
  for path, leaf in flatten_dict(params).items():
    parts[path[0].rstrip("12345678")] += leaf.size
  return parts["base"] + parts["pyramid"], parts["head"], parts["sigma"]


def test_sizes_at_the_papers_scale():
  fixed = GTAN(classes=1, anchors="fixed", pooling="none")  # AherNet's localizer
  params = jax.eval_shape(fixed.init, KEY, PAPER)["params"]
  assert sizes(params) == (44_640_768, 345_720, 0)
  params = jax.eval_shape(GTAN(classes=1).init, KEY, PAPER)["params"]
  assert sizes(params) == (44_640_768, 345_720, 23_048)


def test_lengths_and_anchors_at_the_papers_scale():
  places = insertion.places(GTAN(), PAPER)
  assert places["base/pool"] == (1, 255, 1024)
  lengths = [128, 64, 32, 16, 8, 4, 2, 1]
  assert [places[f"pyramid/relu{j}"][1] for j in range(1, 9)] == lengths
  assert [places[f"pooled{j}"][1] for j in range(1, 9)] == lengths
  outputs = jax.eval_shape(lambda x: GTAN().init_with_output(KEY, x)[0], PAPER)
  shapes = [leaf.shape for leaf in outputs]
  assert shapes == [
    (1, 765, 201), (1, 765, 2), (1, 765), (1, 765, 2), (1, 765), (765,),
  ]  # fmt: skip


def test_fixed_anchors_without_pooling_are_the_authors_later_network(golden):
  arrays = golden("ahernet_detector")
  variables = {"params": ahernet_params(arrays)}
  outputs = run(AHERNET, variables, arrays["net/x"])
  np.testing.assert_allclose(
    outputs.logits, joined(arrays, "net/prop_logits"), atol=1e-5
  )
  np.testing.assert_allclose(outputs.offsets, joined(arrays, "net/loc"), atol=1e-5)
  overlap = joined(arrays, "net/iou")[..., 0]
  np.testing.assert_allclose(outputs.overlap, overlap, atol=1e-5)


def test_fixed_anchors_are_the_authors_later_ones(golden):
  arrays = golden("ahernet_losses")
  variables = {"params": ahernet_params(golden("ahernet_detector"))}
  outputs = run(AHERNET, variables, jnp.zeros((2, 512, 32)))
  for j in range(1, 9):
    boxes = outputs.anchors[0, outputs.layer == j].reshape(-1, 3, 2) * 512
    center = arrays[f"anchors/center{j}"]
    np.testing.assert_allclose(boxes[..., 0], np.stack([center] * 3, -1), rtol=1e-5)
    width = np.broadcast_to(arrays[f"anchors/width{j}"], boxes.shape[:2])
    np.testing.assert_allclose(boxes[..., 1], width, rtol=1e-5)
  assert outputs.valid.all()


@pytest.mark.parametrize("length", [3, 8, 9])
def test_pooling_is_that_of_flax(length):
  x = jax.random.uniform(KEY, (2, length, 3))
  ours = lambda x: TemporalBase(()).apply({}, x)
  flax = lambda x: nn.max_pool(x, (3,), (2,), "VALID")
  chex.assert_trees_all_close(ours(x), flax(x))
  gradient = lambda f: jax.grad(lambda x: jnp.sum(f(x) ** 2))(x)
  chex.assert_trees_all_close(gradient(ours), gradient(flax))


@pytest.mark.parametrize(("unit", "spread"), [("window", 0.01), ("cell", 0.3)])
def test_sigmas_start_at_half_a_cell(unit, spread):
  x = jax.random.normal(KEY, (2, 64, 16))
  head = SigmaHead(unit)
  sigmas = head.apply(init(head, x), x)
  np.testing.assert_allclose(sigmas.mean() * 64, 0.5, atol=0.05)
  assert 0 < sigmas.std() * 64 < spread


def test_running_backwards_mirrors_the_predictions():
  # 35 steps give layers of 9, 5, 3 cells, whose padding is symmetric.
  x = jax.random.normal(KEY, (2, 35, 6))
  variables = init(TINY, x)
  mirror = lambda leaf: leaf[::-1] if leaf.ndim == 3 else leaf
  mirrored = jax.tree.map(mirror, variables)
  forwards = run(TINY, variables, x)
  backwards = run(TINY, mirrored, x[:, ::-1])
  for j in (1, 2, 3):
    own = forwards.layer == j

    def cells(a, own=own):
      return a[:, own].reshape(2, -1, 2, *a.shape[2:])

    for name in ("logits", "offsets", "overlap"):
      a, b = cells(getattr(forwards, name)), cells(getattr(backwards, name))
      chex.assert_trees_all_close(a, b[:, ::-1], atol=1e-5)
    a, b = cells(forwards.anchors), cells(backwards.anchors)[:, ::-1]
    chex.assert_trees_all_close(a[..., 0], 1 - b[..., 0], atol=1e-6)
    chex.assert_trees_all_close(a[..., 1], b[..., 1], atol=1e-6)
  assert not jnp.allclose(forwards.logits, backwards.logits)


@pytest.mark.parametrize("pooling", ["gaussian", "mean", "max", "none"])
def test_constant_features_are_seen_alike_by_all_kernels(pooling):
  model = GROUPED.clone(pooling=pooling)
  x = jnp.broadcast_to(FEATURES[:, :1], FEATURES.shape)
  flat = flatten_dict(init(model))
  for path, leaf in flat.items():  # outer taps would see the padding
    if leaf.ndim == 3 and not path[1].startswith("head"):
      flat[path] = leaf.at[::2].set(0)
  _, values = features(model, unflatten_dict(flat), ["pooled1"], x)
  pooled = values["pooled1"]
  assert jnp.any(pooled != 0)
  chex.assert_trees_all_close(pooled, jnp.broadcast_to(pooled[:, :1], pooled.shape))


def test_transforms_enter_behind_taps():
  entries = [{"at": r"pyramid/relu\d|pooled1", "kind": "continuous_dropout"}]
  inserted = insertion.Inserted(GROUPED, make_rules(entries))
  places = ["pyramid/relu1", "pyramid/relu2", "pyramid/relu3", "pooled1"]
  found = insertion.inserted_where(inserted, FEATURES)
  assert found == {"continuous_dropout": places}
  variables = init(GROUPED)
  chex.assert_trees_all_equal(init(inserted), variables)

  @functools.partial(jax.jit, static_argnums=0)
  def apply(train):
    return inserted.apply(variables, FEATURES, train=train, rngs={"dropout": KEY})

  plain = run(GROUPED, variables)
  chex.assert_trees_all_close(apply(False), plain, atol=1e-6)
  assert not jnp.allclose(apply(True).logits, plain.logits)


def test_bfloat16_computes_low_and_answers_high():
  model = GROUPED.clone(dtype="bfloat16")
  variables = init(model)
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
  outputs, values = features(model, variables, ["pooled2"])
  assert values["pooled2"].dtype == jnp.bfloat16
  full = run(GROUPED, variables)
  for low, high in zip(outputs, full, strict=True):
    assert low.dtype == high.dtype
  chex.assert_trees_all_close(outputs.overlap, full.overlap, atol=0.05)


def test_build_makes_it_from_a_config():
  net = models.build({"name": "gtan", "classes": 3, "group_layers": [1, 2]})
  assert isinstance(net, GTAN) and net.group_layers == (1, 2)
  hash(net)
