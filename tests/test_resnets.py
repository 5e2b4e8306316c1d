"""Residual networks: published sizes, the authors' arrays, places, fields."""

import chex
import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import flatten_dict
from network_support import (
  CIFAR,
  IMAGENET,
  KEY,
  close,
  count,
  filled,
  places,
  spec,
  tiny,
)

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.interop.torch import import_state_dict
from jaxvision.layers import insertion

NORMALIZED = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
CIFAR_RESNET18 = {"name": "resnet", "depth": 18, "stem": "cifar", "bias": False}


@pytest.mark.parametrize(
  ("depth", "option", "ten", "hundred"),
  [
    (20, "A", 269_722, 275_572),
    (20, "B", 272_474, 278_324),
    (32, "A", 464_154, 470_004),
    (32, "B", 466_906, 472_756),
    (56, "A", 853_018, 858_868),
    (56, "B", 855_770, 861_620),
    (110, "A", 1_727_962, 1_733_812),
    (110, "B", 1_730_714, 1_736_564),
  ],
)
def test_cifar_resnets_have_their_published_sizes(depth, option, ten, hundred):
  found = count(CIFAR, name="cifar_resnet", depth=depth, option=option)
  assert found == ten
  assert found + 90 * 65 == hundred  # the last layer alone knows the classes


@pytest.mark.parametrize(
  ("config", "expected"),
  [
    ({"depth": 18}, 11_689_512),
    ({"depth": 34}, 21_797_672),
    ({"depth": 50}, 25_557_032),
    ({"depth": 50, "classes": 0}, 23_508_032),
    ({"depth": 50, "classes": 0, "neck": True, "last_stride": 1}, 23_508_032 + 2048),
  ],
)
def test_imagenet_resnets_have_their_published_sizes(config, expected):
  assert count(IMAGENET, name="resnet", **config) == expected


def test_the_classifier_of_re_identification_has_its_published_size():
  config = {"classes": 18_530, "bias": False, "neck": True}
  logits = spec(IMAGENET, name="resnet", **config)["params"]["logits"]
  assert logits["kernel"].size == 37_949_440 and set(logits) == {"kernel"}


def test_the_cifar_resnet18_has_its_published_size():
  assert count(CIFAR, classes=10, **CIFAR_RESNET18) == 11_173_952
  assert places(CIFAR, classes=10, **CIFAR_RESNET18)["stage4"] == (1, 4, 4, 512)


@pytest.mark.parametrize(
  ("config", "expected"),
  [
    ({"depth": 28, "widen": 10}, 36_479_194),
    ({"depth": 28, "widen": 10, "classes": 100}, 36_536_884),
    ({"depth": 16, "widen": 1}, 175_066),
    ({"depth": 16, "widen": 2, "classes": 100}, 703_284),
    ({"depth": 40, "widen": 1}, 563_930),
    ({"depth": 34, "widen": 10, "bias": False}, 46_160_464),
  ],
)
def test_wide_resnets_have_their_published_sizes(config, expected):
  assert count(CIFAR, name="wide_resnet", **config) == expected


def test_places_have_the_published_shapes():
  cifar = places((2, 32, 32, 3), name="cifar_resnet", depth=20)
  assert cifar["stage2/block0/relu1"] == cifar["stage2"] == (2, 16, 16, 32)
  assert cifar["stage3/block2/relu2"] == cifar["stage3"] == (2, 8, 8, 64)
  assert cifar["input"] == (2, 32, 32, 3) and cifar["pool"] == (2, 64)
  wide = places(CIFAR, name="wide_resnet", depth=16, widen=2)
  assert wide["relu"] == (1, 8, 8, 128) and "stage1/block0/relu2" in wide
  large = places(IMAGENET, name="resnet", depth=50)
  assert large["relu1"] == (1, 112, 112, 64) and large["pool1"] == (1, 56, 56, 64)
  assert large["stage1/block0/relu3"] == (1, 56, 56, 256)
  assert large["stage4"] == (1, 7, 7, 2048) and large["logits"] == (1, 1000)
  # Activations that Yang et al. quantize in ResNet-18: 17, of which 16 in blocks.
  small = places(IMAGENET, name="resnet", depth=18)
  assert sum(name.count("/relu") for name in small) == 16


def test_the_last_stride_is_a_choice():
  finer = places(IMAGENET, name="resnet", depth=50, last_stride=1, neck=True)
  assert finer["stage4"] == (1, 14, 14, 2048) and finer["neck"] == (1, 2048)


@pytest.fixture(scope="module", params=["resnet_a", "resnet_b"])
def authors(request, golden):
  """A network of the authors: arrays, ours, its variables."""
  prefix = f"{request.param}/"
  stored = golden("iekd_resnet")
  arrays = {
    name.removeprefix(prefix): stored[name]
    for name in stored.files
    if name.startswith(prefix)
  }
  depth = 6 * int(arrays["blocks"][0]) + 2
  option = request.param[-1].upper()
  model = models.build({"name": "cifar_resnet", "depth": depth, "option": option})
  state = {n[7:]: v for n, v in arrays.items() if n.startswith("params/")}
  return arrays, model, import_state_dict(model, state)


def channels_last(x):
  return jnp.moveaxis(jnp.asarray(x), 1, -1)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_cifar_resnets_agree_with_the_authors(authors, mode):
  arrays, model, variables = authors

  @jax.jit
  def run(variables, x):
    def weighted(x):
      (logits, changed), found = insertion.features(
        model, variables, x, ["stage3"], train=mode == "train", mutable=["batch_stats"]
      )
      feature = found["stage3"]
      total = jnp.sum(logits * arrays["g_logits"])
      total += jnp.sum(feature * channels_last(arrays["g_feature"]))
      return total, (logits, feature, changed)

    return jax.grad(weighted, has_aux=True)(x)

  gradient, (logits, feature, changed) = run(variables, channels_last(arrays["x"]))
  assert close(logits, arrays[f"{mode}/logits"], 2e-5)
  assert close(feature, channels_last(arrays[f"{mode}/feature"]), 2e-5)
  assert close(gradient, channels_last(arrays[f"{mode}/gx"]), 2e-5)
  if mode == "eval":
    chex.assert_trees_all_equal(changed["batch_stats"], variables["batch_stats"])
    return
  new = {n[16:]: v for n, v in arrays.items() if n.startswith("train/new_stats/")}
  old = {n[7:]: v for n, v in arrays.items() if n.startswith("params/")}
  expected = import_state_dict(model, {**old, **new})["batch_stats"]
  found = flatten_dict(changed["batch_stats"], sep="/")
  for path, value in flatten_dict(expected, sep="/").items():
    assert close(found[path], value, 2e-5), path


def test_options_differ_in_the_shortcut_alone():
  model, x = tiny("cifar_resnet", option="A")
  a = jax.eval_shape(model.init, KEY, x)
  names = {"/".join(path) for path in flatten_dict(a["params"])}
  assert not any("shortcut" in name for name in names)
  b = spec((2, 8, 8, 3), name="cifar_resnet", depth=8, width=2, option="B")
  more = {"/".join(path) for path in flatten_dict(b["params"])} - names
  layers = {"shortcut_conv/kernel", "shortcut_norm/scale", "shortcut_norm/bias"}
  assert more == {f"stage{i}/block0/{layer}" for i in (2, 3) for layer in layers}


def test_standardizing_inside_equals_doing_it_before():
  inside, x = tiny("wide_resnet", **NORMALIZED)
  outside, _ = tiny("wide_resnet")
  variables = filled(outside, x)
  y = (x - jnp.array(NORMALIZED["mean"])) / jnp.array(NORMALIZED["std"])
  chex.assert_trees_all_close(
    jax.jit(inside.apply)(variables, x), jax.jit(outside.apply)(variables, y), rtol=1e-5
  )


def test_the_neck_is_the_feature_and_has_no_bias():
  model, x = tiny("resnet", classes=0, neck=True)
  variables = filled(model, x)
  assert set(variables["params"]["neck"]) == {"scale"}
  run = jax.jit(lambda v: insertion.features(model, v, x, ["neck", "pool"]))
  out, found = run(variables)
  chex.assert_trees_all_equal(out, found["neck"])
  kept, scale = variables["batch_stats"]["neck"], variables["params"]["neck"]["scale"]
  expected = (found["pool"] - kept["mean"]) / jnp.sqrt(kept["var"] + 1e-5) * scale
  chex.assert_trees_all_close(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ("name", "fields", "named"),
  [
    ("cifar_resnet", {"depth": 18}, "depth is 18; a CIFAR ResNet has 6 n"),
    ("cifar_resnet", {"option": "C"}, "option is 'C'; choose one of A, B"),
    ("wide_resnet", {"depth": 20}, "depth is 20; a wide ResNet has 6 n"),
    ("resnet", {"depth": 20}, "depth is 20; choose one of 18, 34, 50"),
    ("resnet", {"stem": "small"}, "stem is 'small'; choose one of imagenet, cifar"),
    ("resnet", {"mean": (0.5,)}, "mean has 1 values and config.model.std 0"),
  ],
)
def test_a_bad_field_is_refused(name, fields, named):
  model, x = tiny(name, **fields)
  with pytest.raises(UserError, match=named):
    jax.eval_shape(model.init, KEY, x)
