"""TICNN (Shen et al., ACM Multimedia 2016): feature maps warped at random in training.

The default trains a small CNN on upright, centred garments and tests it on moved,
turned and scaled ones. Variants can be combined: `:input,per_sample`.
"""

from jaxvision import config as shared

SMALL = dict(
  name="cnn", widths=(8, 16), kernels=(5, 3), dense_width=64, norm="none",
  dense="plain", dense_options={},
)  # fmt: skip
ALEXNET = dict(
  name="alexnet", widths=(96, 256, 384, 384, 256), dense_width=4096, norm="batch",
  **shared.IMAGENET_PIXELS,
)  # fmt: skip
# Turning, scaling and shifting one by one.
TYPES = {
  "rotation": {"transform.scale": None, "transform.shift": None},
  "scale": {"transform.angle": None, "transform.shift": None},
  "translation": {"transform.angle": None, "transform.scale": None},
}
# The other nets of the comparison, with the same stages and without random warps.
NETS = {
  "ti_pooling": {
    "model": {**SMALL, "name": "ti_pooling", "angles": tuple(range(0, 360, 45))},
    "transform.at": "",
    "retrieval.at": "ti_pool",  # in front of it there is a row for each copy
  },
  "si_cnn": {
    "model": {**SMALL, "name": "si_cnn", "scales": (0.7, 1.0, 1.4)},
    "transform.at": "",
  },
  "spatial_transformer": {
    "model": {**SMALL, "name": "spatial_transformer"},
    "transform.at": "",
  },
}
# Networks, places, ranges and schedules of the paper are not known: an AlexNet with the
# usual recipe, and warps behind its pooled stages.
PAPER = {
  "model": ALEXNET,
  **shared.IMAGENET,
  "data.distort.task": "",
  "data.distort.test": (),
  "retrieval.source": "",  # or ukbench:FOLDER, holidays:FOLDER
  "retrieval.at": "relu7",
  "transform.at": "relu[12]",
  "epochs": 90.0,
  "batch_size": 128,
  "optimizer.name": "sgd",
  "optimizer.learning_rate": 0.01,
  "optimizer.weight_decay": 5e-4,
  "optimizer.schedule.name": "step",
  "optimizer.schedule.unit": "epochs",
  "optimizer.schedule.every": 30.0,
  "eval.every": 10_000,
}
VARIANTS = {
  # Where warps are; nowhere, or at the input, are the paper's baselines.
  "cnn": {"transform.at": ""},
  "input": {"transform.at": "input"},
  "stage1": {"transform.at": "relu1"},
  "stage2": {"transform.at": "relu2"},
  # Which.
  **TYPES,
  "per_sample": {"transform.granularity": "sample"},
  "gaussian": {
    "transform.distribution": "gaussian",
    "transform.angle": 30.0,
    "transform.scale": 0.1,
    "transform.shift": (0.1, 0.1),
  },
  "affine": {
    "transform.distribution": "affine",
    "transform.angle": None,
    "transform.scale": None,
    "transform.shift": None,
  },
  "always": {"transform.alternate": False},
  # Instead of them.
  **NETS,
  # How much training.
  "fewer": {"data.limit": 2000, "epochs": 15.0, "eval.every": 0},
  "longer": {"epochs": 60.0},
  # Training on moved images, too.
  "rts": {
    "data.distort.task": "spatial_transformer",
    "data.distort.train": "rts",
    "data.distort.test": ("identity", "rotated"),
  },
  "mnist_rot": {
    "data.distort.task": "mnist_rot",
    "data.distort.train": "mnist_rot",
    "data.distort.test": ("identity",),
  },
  "paper": PAPER,
}


def get_config(variant: str = ""):
  config = shared.base("ticnn")
  config.data = shared.images(limit=20_000)
  config.data.distort = dict(
    task="unseen_pose",
    train="identity",
    test=("translated", "rotated", "scaled", "rst"),
  )
  config.epochs = 12.0
  config.batch_size = 50
  config.per_dispatch = 10
  config.model = SMALL
  # Behind activations, where zero is what enters from outside, before pooling.
  config.transform = dict(
    at="relu[12]", angle=(-45, 45), scale=(0.8, 1.2), shift=(0.15, 0.15),
    distribution="uniform", alternate=True, granularity="batch", border="zero",
    interpolation="bilinear", noise=(-0.3, 0.3),
  )  # fmt: skip
  config.retrieval = shared.RETRIEVAL
  config.robustness = dict(
    examples=1000,
    angles=tuple(range(-180, 181, 30)),
    shifts=tuple(range(0, 11, 1)),
  )  # fmt: skip
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule.name = "multistep"
  config.optimizer.schedule.unit = "run"
  config.optimizer.schedule.boundaries = (0.8,)
  config.eval.every = 1000
  return shared.finish(config, variant, VARIANTS)
