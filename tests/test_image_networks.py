"""AlexNet, VGG and the MobileNets: published sizes, places, fields."""

import chex
import jax
import pytest
from network_support import CIFAR, IMAGENET, count, filled, places, spec, tiny

from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.models.mobilenet import scaled

TORCHVISION_ALEXNET = {"norm": "none", "widths": (64, 192, 384, 256, 256)}


@pytest.mark.parametrize(
  ("shape", "config", "expected"),
  [
    (IMAGENET, {"name": "alexnet"}, 62_397_480),
    (IMAGENET, {"name": "alexnet", **TORCHVISION_ALEXNET}, 61_100_840),
    (IMAGENET, {"name": "vgg"}, 138_357_544),
    (IMAGENET, {"name": "vgg", "norm": "batch"}, 138_365_992),
    (CIFAR, {"name": "mobilenet", "classes": 100}, 3_309_476),
    (IMAGENET, {"name": "mobilenet_v2"}, 3_504_872),
    (IMAGENET, {"name": "mobilenet_v2", "classes": 0}, 2_223_872),
  ],
)
def test_networks_have_their_published_sizes(shape, config, expected):
  assert count(shape, **config) == expected


def test_most_of_alexnet_is_quantized():
  """All kernels but the first and the last: Yang et al.'s 58,236,928 numbers."""
  params = spec(IMAGENET, name="alexnet")["params"]
  kernels = {
    name: layer["kernel"].size for name, layer in params.items() if "kernel" in layer
  }
  assert len(kernels) == 8
  assert sum(kernels.values()) - kernels["conv1"] - kernels["logits"] == 58_236_928


def test_alexnet_has_its_published_shapes_and_a_tap_at_every_stage():
  found = places(IMAGENET, name="alexnet")
  assert found["relu1"] == (1, 55, 55, 96) and found["pool1"] == (1, 27, 27, 96)
  assert found["pool2"] == (1, 13, 13, 256) and found["pool5"] == (1, 6, 6, 256)
  assert found["relu6"] == found["relu7"] == (1, 4096)
  assert {f"relu{i}" for i in range(1, 8)} <= set(found)


def test_vgg_has_its_published_shapes():
  found = places(IMAGENET, name="vgg")
  assert sum(name.startswith("conv") for name in found) == 13
  assert found["relu1_2"] == (1, 224, 224, 64) and found["pool5"] == (1, 7, 7, 512)
  assert found["relu6"] == (1, 4096) and found["logits"] == (1, 1000)
  small = places(CIFAR, name="vgg", depth=13, flatten=False, classes=10)
  assert small["pool"] == (1, 512)


def test_the_mobilenets_have_their_published_shapes():
  found = places(CIFAR, name="mobilenet")
  assert found["block12"] == (1, 8, 8, 1024)
  wide = places(IMAGENET, name="mobilenet_v2", multiplier=1.4)
  assert wide["relu2"] == (1, 7, 7, 1792) and wide["stage7"] == (1, 7, 7, 448)
  assert wide["stage1"] == (1, 112, 112, 24)
  assert "stage1/block0/relu1" not in wide  # no expansion, no first convolution


@pytest.mark.parametrize(
  ("width", "multiplier", "expected"),
  [(32, 1.0, 32), (24, 1.4, 32), (16, 0.1, 8), (32, 0.35, 16), (96, 0.35, 32)],
)
def test_widths_are_multiples_of_eight(width, multiplier, expected):
  assert scaled(width, multiplier) == expected


def test_depthwise_convolutions_see_one_channel_each():
  params = spec(CIFAR, name="mobilenet")["params"]
  assert params["block3"]["conv1"]["kernel"].shape == (3, 3, 1, 128)


def test_mobilenet_v2_adds_its_input_where_shapes_agree():
  model, x = tiny("mobilenet_v2")
  variables = filled(model, x)
  names = ["stage2/block0", "stage2/block1/norm3", "stage2/block1"]
  run = jax.jit(lambda v: insertion.features(model, v, x, names)[1])
  before, inner, after = (run(variables)[name] for name in names)
  chex.assert_trees_all_close(after, before + inner, rtol=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_norms_are_a_choice(name):
  params = {
    norm: spec((1, 63, 63, 3), name=name, norm=norm, dense_width=3)["params"]
    for norm in ("none", "batch")
  }
  more = set(params["batch"]) - set(params["none"])
  assert more and all(layer.startswith("norm") for layer in more)


@pytest.mark.parametrize(
  ("name", "fields", "side", "named"),
  [
    ("alexnet", {"norm": "layer"}, 63, "norm is 'layer'; choose one of batch, none"),
    ("alexnet", {"widths": (4, 4)}, 63, "widths has 2 numbers; AlexNet has five"),
    ("alexnet", {}, 62, "63x63 pixels or more; these have 62x62"),
    ("vgg", {"depth": 12}, 32, "depth is 12; choose one of 11, 13, 16, 19"),
    ("vgg", {}, 31, "32x32 pixels or more; these have 31x31"),
  ],
)
def test_a_bad_field_is_refused(name, fields, side, named):
  with pytest.raises(UserError, match=named):
    spec((1, side, side, 3), name=name, **fields)
