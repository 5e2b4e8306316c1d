"""Patch Reordering (Shen et al., AAAI 2017): feature maps sorted by energy.

The default trains a small CNN on garments in the top left quadrant only, and tests it
on the other three. Variants can be combined: `:levels2,shared`.
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
# Training and test poses alike: "translated" of the specification's 9(d).
TRANSLATED = {
  "data.distort.task": "unseen_pose",
  "data.distort.train": "translated",
  "data.distort.test": (),
}
UNSEEN_POSE = {
  "data.distort.task": "unseen_pose",
  "data.distort.train": "identity",
  "data.distort.test": ("translated", "rotated", "scaled", "rst"),
}
# Networks, places and schedules of the paper are not known: an AlexNet with the usual
# recipe, and patches reordered before its dense layers.
PAPER = {
  "model": ALEXNET,
  **shared.IMAGENET,
  "data.distort.task": "",
  "data.distort.test": (),
  "retrieval.source": "",  # or ukbench:FOLDER, holidays:FOLDER
  "retrieval.at": "relu7",
  "reorder.at": "pool5",
  "reorder.n": 3,  # the last map has 6 x 6 places
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
  # Arms of 9(d).
  "cnn": {"reorder.at": ""},
  "shared": {"reorder.shared": True},
  "levels2": {"reorder.levels": 2},
  "levels3": {"reorder.levels": 3},  # full depth of the 8 x 8 map
  "l1": {"reorder.energy": "l1"},
  "early": {"reorder.at": "pool1"},
  "fewer": {"data.limit": 2000, "epochs": 12.0, "eval.every": 0},
  # Tasks.
  "translated": TRANSLATED,
  "unseen_pose": UNSEEN_POSE,
  "paper": PAPER,
}


def get_config(variant: str = ""):
  config = shared.base("patch_reordering")
  config.data = shared.images(limit=20_000)
  config.data.distort = dict(task="unseen_quadrant", train="top_left", test=("unseen",))
  config.epochs = 12.0
  config.batch_size = 50
  config.per_dispatch = 10
  config.model = SMALL
  config.reorder = dict(
    at="pool2", n=2, levels=1, energy="l2", shared=False, remainder="topleft"
  )
  config.retrieval = {**shared.RETRIEVAL, "distortion": "unseen_pose/translated"}
  config.robustness = dict(
    examples=1000,
    angles=tuple(range(-180, 181, 30)),
    shifts=tuple(range(0, 19, 2)),
  )  # fmt: skip
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.optimizer.schedule.name = "multistep"
  config.optimizer.schedule.unit = "run"
  config.optimizer.schedule.boundaries = (0.8,)
  config.eval.every = 1000
  return shared.finish(config, variant, VARIANTS)
