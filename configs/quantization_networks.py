"""Quantization Networks (Yang et al., CVPR 2019): weights and activations of few bits.

The default trains a small CNN on Fashion-MNIST, then its weights with three levels.
Variants can be combined: `:w1,t1`, `:a2,ste`. `config.quantize` says what is quantized,
so what is quantized decides which stages there are.
"""

from jaxvision import config as shared

# The first and the last layer stay as they are; the patterns are full paths.
SPARED = {"at": "conv1/.*|logits/.*", "quantizer": "none"}


def _weights(levels):
  return {"quantize.weights": (SPARED, {"at": ".*kernel", "levels": levels})}


def _activations(levels, at="pool[123]"):
  return {"quantize.activations": ({"at": at, "levels": levels},)}


WEIGHTS = {name: _weights(name) for name in ("w1", "w2", "w3pm2", "w3pm4", "w5")}
ACTIVATIONS = {name: _activations(name) for name in ("a1", "a2", "a3", "a4")}
# Baselines in the same slot, with the level sets that they are made for.
BASELINES = {
  "ste": {"quantize.quantizer": "ste"},
  "bwn": {**_weights("w1"), "quantize.quantizer": "bwn"},
  "twn": {**_weights("w2"), "quantize.quantizer": "twn"},
  "ttq": {**_weights("w2"), "quantize.quantizer": "ttq"},
  "dorefa": {"quantize.quantizer": "dorefa"},
  "lsq": {**_weights("s2"), "quantize.quantizer": "lsq"},
  "lq_nets": {**_weights("s2"), "quantize.quantizer": "lq_nets"},
  "pact": {
    "quantize.activations": ({"at": "pool[123]", "quantizer": "pact", "levels": "a2"},)
  },
}
ABLATIONS = {
  "float": {"quantize.weights": (), "quantize.activations": ()},
  "activations_only": {"quantize.weights": (), **_activations("a2")},
  "t1": {"quantize.options.backward": "t1"},
  "linear": {"quantize.options.method": "linear"},
  "kmeans": {"quantize.options.method": "kmeans"},
  "shared": {"quantize.shared": True},
  "learn_biases": {"quantize.options.learn_biases": True},
  "constant": {"quantize.constant": True},
  **{f"rate{rate}": {"quantize.rate": float(rate)} for rate in (1, 10, 20, 30, 40)},
  "scratch": {"pretrain": False},
  # As many epochs as pre-training and quantized training take together.
  "scratch_longer": {"pretrain": False, "phases.weights.epochs": 14.0},
  # The quantizers as fitted, without training: one step with the rate 0.
  "untrained": {"phases.weights.epochs": 0.0, "phases.weights.learning_rate": 0.0},
  "all_layers": {"quantize.weights": ({"at": ".*kernel", "levels": "w2"},)},
  "reestimated": {"phases.statistics.epochs": 1.0},
  "restart": {"restart": True},
}
PAPER = {
  **shared.IMAGENET,
  "batch_size": 256,
  "per_dispatch": 1,
  "eval.every": 5000,
  "checkpoint.every": 5000,
  "optimizer.schedule.unit": "epochs",
  # How the networks were pre-trained is not told: the usual recipe.
  "phases.float.epochs": 90.0,
  "phases.float.learning_rate": 0.1,
  "phases.float.boundaries": (30.0, 60.0, 80.0),
  **{
    f"phases.{phase}.{key}": value
    for phase in ("weights", "activations", "joint")
    for key, value in {
      "epochs": 55.0,
      "learning_rate": 1e-3,
      "boundaries": (30.0, 45.0),
      "weight_decay": 1e-4,
    }.items()
  },
}
RESNET = {**PAPER, "model": dict(name="resnet", depth=18, **shared.IMAGENET_PIXELS)}
ALEXNET = {
  **PAPER,
  "model": dict(name="alexnet", **shared.IMAGENET_PIXELS),
  "insert": (
    {"at": "pool5|relu6", "kind": "continuous_dropout", "mask": "bernoulli",
     "rate": 0.1},
  ),
  "phases.float.learning_rate": 0.01,
  "quantize.rate": 10.0,
  **{
    f"phases.{phase}.{key}": value
    for phase in ("weights", "activations", "joint")
    for key, value in {"boundaries": (25.0, 40.0), "weight_decay": 5e-4}.items()
  },
}  # fmt: skip
# The backbone of the paper's SSD300, whose quantized layers these are; as a classifier,
# since detection needs VOC. The rate is that of its detector.
VGG16 = {
  **PAPER,
  "model": dict(name="vgg", **shared.IMAGENET_PIXELS),
  "phases.float.learning_rate": 0.01,
  "quantize.rate": 10.0,
  "quantize.weights": (
    {"at": "conv1_1/.*|logits/.*", "quantizer": "none"},
    {"at": ".*kernel", "levels": "w2"},
  ),
}
# Not in the paper; the recipe is that of an independent re-implementation, the
# augmentation the usual one of CIFAR.
CIFAR10 = {
  "data.name": "cifar10",
  "data.limit": 0,
  "data.augment.pad": 4,
  "data.augment.flip": True,
  "model": dict(name="cifar_resnet", depth=20, mean=(0.4914, 0.4822, 0.4465),
                std=(0.247, 0.2435, 0.2616)),
  "batch_size": 256,
  "eval.every": 1000,
  "optimizer.schedule.unit": "epochs",
  "phases.float.epochs": 200.0,
  "phases.float.learning_rate": 0.1,
  "phases.float.boundaries": (100.0, 150.0),
  "phases.weights.epochs": 200.0,
  "phases.weights.learning_rate": 0.1,
  "phases.weights.boundaries": (22.0, 100.0),
  "phases.weights.weight_decay": 1e-4,
}  # fmt: skip
NETWORKS = {
  "paper": RESNET,
  "resnet18": RESNET,
  "resnet50": {**RESNET, "model": {**RESNET["model"], "depth": 50}},
  "alexnet": ALEXNET,
  "vgg16": VGG16,
  "cifar10": CIFAR10,
  "cifar100": {**CIFAR10, "data.name": "cifar100"},
  # Street numbers have a left and a right, and are not padded.
  "svhn": {
    **CIFAR10,
    "data.name": "svhn_cropped",
    "data.augment.pad": 0,
    "data.augment.flip": False,
  },
  # Two-bit activations where the authors' networks have them.
  "resnet_a2": _activations("a2", r"pool1|stage./block\d+/relu."),
  "alexnet_a2": _activations("a2", "pool[125]|relu[346]"),
}
VARIANTS = {**WEIGHTS, **ACTIVATIONS, **BASELINES, **ABLATIONS, **NETWORKS}


def get_config(variant: str = ""):
  config = shared.base("quantization_networks")
  config.data = shared.images(limit=20_000)
  config.batch_size = 128
  config.per_dispatch = 10
  config.model = dict(
    name="cnn", widths=(16, 32, 64), kernels=(3,), dense_width=128, norm="batch",
    dense="plain", dense_options={},
  )  # fmt: skip
  config.pretrain = True  # the stage "float"; without it, from init_from or at random
  phase = dict(
    epochs=8.0, learning_rate=0.01, weight_decay=0.0, clip_norm=5.0, boundaries=(0.7,)
  )
  config.phases = dict(
    float=dict(phase, epochs=6.0, learning_rate=0.05, weight_decay=1e-4, clip_norm=0.0),
    weights=dict(phase),
    activations=dict(phase),
    joint=dict(phase),
    # Batch norms alone, by hard quantizers: not in the paper. 0 leaves it out.
    statistics=dict(phase, epochs=0.0),
  )
  # Whether the temperature rises anew in "joint", or goes on from that of "weights".
  config.restart = False
  # Learning rates of quantizers, relative to that of the phase.
  config.rates = dict(weights=1.0, activations=1.0)
  config.quantize.weights = (SPARED, {"at": ".*kernel", "levels": "w2"})
  config.optimizer.schedule.name = "multistep"
  config.optimizer.schedule.unit = "run"
  config.eval.every = 300
  return shared.finish(config, variant, VARIANTS)
