"""Continuous Dropout (Shen et al., TNNLS 2018): masks on an MLP or a CNN.

The default trains the paper's 784-800-800-10 network on Fashion-MNIST with a Gaussian
mask on both hidden layers. Variants can be combined: `:cnn,uniform`.
"""

from jaxvision import config as shared

MASKS = {
  "none": {"mask.kind": "none", "input_mask.kind": "none"},
  "bernoulli": {"mask.kind": "bernoulli", "mask.rate": 0.5},
  "bernoulli_quarter": {"mask.kind": "bernoulli", "mask.rate": 0.25},
  "uniform": {"mask.kind": "uniform"},
  "gaussian": {"mask.kind": "gaussian", "mask.std": 0.25},
  "gaussian_03": {"mask.kind": "gaussian", "mask.std": 0.3},
  "gaussian_05": {"mask.kind": "gaussian", "mask.std": 0.5},
  "unclipped_05": {"mask.kind": "gaussian", "mask.std": 0.5, "mask.clip": False},
  # A binary mask as noisy as the configured continuous one: the fair control.
  "matched": {"mask.matched": True},
}
BASELINES = {
  "standout": {"mask.kind": "none", "model.dense": "standout"},
  "dropconnect": {"mask.kind": "none", "model.dense": "dropconnect"},
}
# One mask value for a part of the image CNN's maps (b, h, w, c): `:cnn,per_map`.
GRANULARITY = {
  f"per_{part}": {"mask.at": "relu[12]", "mask.broadcast_axes": axes}
  for part, axes in {
    "element": (),
    "row": (2, 3),
    "map": (1, 2),
    "sample": (1, 2, 3),
    "batch": (0, 1, 2, 3),
  }.items()
}
CNN = {
  "model": {
    "name": "cnn", "widths": (32, 64), "dense_width": 128, "norm": "none",
    "dense": "plain", "dense_options": {},
  },
  "input_mask.kind": "none",
  "epochs": 6.0,
  "mask.at": "relu_dense",
  "dependence.at": ("relu_dense",),
}  # fmt: skip
# 9(d) of the specification: few images, noisy labels, where masks earn their keep.
LABEL_NOISE = {
  "data.limit": 2000,
  "data.label_noise": 0.3,
  "epochs": 40.0,
  "eval.every": 200,
  "optimizer.learning_rate": 0.02,
  "optimizer.schedule.name": "step",
  "optimizer.schedule.factor": 0.97,
  "mask.mean_mode": "exact",
}
# The MNIST recipe that the authors' Theano code holds (after Hinton et al., 2012).
PAPER = {
  "data.name": "mnist",
  "data.validation": 10000.0,
  "epochs": 3000.0,
  "model.initializer": "glorot_uniform",
  "mask.std": 0.5,
  "mask.rescale": "test",
  "input_mask.rescale": "test",
  "optimizer.learning_rate": 1.0,
  "optimizer.momentum": 0.99,
  "optimizer.momentum_start": 0.5,
  "optimizer.momentum_epochs": 500.0,
  "optimizer.dampened": True,
  "optimizer.max_norm": 15.0,
  "optimizer.schedule.name": "step",
  "optimizer.schedule.factor": 0.998,
  "eval.every": 5000,
  "checkpoint.every": 5000,
}
VARIANTS = {
  **MASKS,
  **BASELINES,
  **GRANULARITY,
  "cnn": CNN,
  "label_noise": LABEL_NOISE,
  "paper": PAPER,
}


def get_config(variant: str = ""):
  config = shared.base("continuous_dropout")
  config.data = shared.images()
  config.epochs = 24.0
  config.batch_size = 100
  config.per_dispatch = 10
  config.model = dict(
    name="mlp", hidden=(800, 800), activation="relu", initializer="he_normal",
    dense="plain", dense_options={},
  )  # fmt: skip
  mask = dict(
    kind="gaussian", rate=0.5, low=0.0, high=1.0, mean=0.5, std=0.5, clip=True,
    matched=False, broadcast_axes=(), rescale="train", mean_mode="nominal",
  )  # fmt: skip
  config.mask = dict(mask, at="relu.*")
  config.input_mask = dict(mask, kind="bernoulli", rate=0.2, at="input")
  config.dependence = dict(at=("relu1", "relu2"), examples=2000)
  config.monte_carlo = 0  # masked passes averaged at test time, beside the usual one
  config.optimizer.learning_rate = 0.05
  config.optimizer.schedule.name = "cosine"
  config.eval.every = 1100
  return shared.finish(config, variant, VARIANTS)
