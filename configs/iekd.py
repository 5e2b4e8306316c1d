"""IE-KD (Huang et al., CVPR 2021): one half of a student inherits, the other explores.

The default distils a small CNN from a larger one on few Fashion-MNIST images. Variants
can be combined: `:weak,inherit_only`.
"""

from jaxvision import config as shared

BASELINES = {
  "plain": {"distill.kind": "none"},
  "kd": {
    "distill.kind": "none",
    "distill.soft_weight": 0.9,
    "distill.temperature": 4.0,
  },
  "at": {"distill.kind": "at", "distill.weight": 1000.0},
  "ft": {"distill.kind": "ft", "distill.weight": 200.0},
  "fitnet": {"distill.kind": "fitnet", "distill.weight": 100.0},
  # Before the activations.
  "ab": {
    "distill.kind": "ab",
    "distill.weight": 1.0,
    "distill.taps": ("norm1", "norm2"),
    "distill.hint_epochs": 4.0,
  },
  "ofd": {
    "distill.kind": "ofd",
    "distill.weight": 1.0,
    "distill.taps": ("norm1", "norm2"),
  },
  "sp": {"distill.kind": "sp", "distill.weight": 3000.0},
  "rkd": {"distill.kind": "rkd", "distill.weight": 1.0},
  "pkt": {"distill.kind": "pkt", "distill.weight": 30000.0},
  "dml": {
    "distill.kind": "dml",
    "distill.soft_weight": 1.0,
    "distill.temperature": 1.0,
  },
}
ABLATIONS = {
  "ie_at": {
    "distill.kind": "ie_at",
    "distill.inherit_weight": 1000.0,
    "distill.explore_weight": 1000.0,
  },
  "ie_dml": {
    "distill.kind": "ie_dml",
    "distill.soft_weight": 1.0,
    "distill.temperature": 1.0,
  },
  "inherit_only": {"distill.explore_weight": 0.0},
  "explore_only": {"distill.inherit_weight": 0.0},
  "both_inherit": {"distill.both_inherit": True},
  "lambda_5": {"distill.inherit_weight": 5.0, "distill.explore_weight": 5.0},
  "lambda_15": {"distill.inherit_weight": 15.0, "distill.explore_weight": 15.0},
  "more_inherit": {"distill.ratio": 0.75},
  "more_explore": {"distill.ratio": 0.25},
  "random_split": {"distill.split": "random"},
  # Weights as large beside the cross-entropy as 50 is for the mean L1 distance.
  "l2": {"distill.distance": "l2"},
  "cosine": {
    "distill.distance": "cosine",
    "distill.inherit_weight": 1.0,
    "distill.explore_weight": 1.0,
  },
  "cka": {
    "distill.distance": "cka",
    "distill.inherit_weight": 1.0,
    "distill.explore_weight": 1.0,
  },
  "raw": {"coder.use": False},
  "no_norm": {"coder.norm": False, "coder.optimizer.learning_rate": 0.5},
  "l2_reconstruction": {"coder.rec_norm": 2},
  "warm_up": {"distill.schedule.warmup": 4.0},
  "fading": {"distill.schedule.name": "cosine"},
}
# A teacher worse than its student: few channels, few images.
WEAK = {
  "teacher.model": {
    "name": "cnn", "widths": (4, 48), "kernels": (3,), "dense_width": 16,
    "norm": "batch",
  },
  "teacher.limit": 300,
}  # fmt: skip
CIFAR_SGD = {
  "learning_rate": 0.1,
  "momentum": 0.9,
  "nesterov": True,
  "weight_decay": 5e-4,
  "decay": ((".*", True),),  # biases and norms too
}
MULTISTEP = {"name": "multistep", "unit": "epochs", "boundaries": (80.0, 120.0)}


def _optimizer(prefix, schedule=None, **fields):
  found = {f"{prefix}optimizer.{key}": value for key, value in fields.items()}
  steps = {f"{prefix}optimizer.schedule.{k}": v for k, v in (schedule or {}).items()}
  return {**found, **steps}


def _pixels(mean, std):
  return {"mean": tuple(m / 255 for m in mean), "std": tuple(s / 255 for s in std)}


def _cifar(depth, pixels):
  return {"name": "cifar_resnet", "depth": depth, **pixels}


CIFAR10 = _pixels((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
CIFAR100 = _pixels((129.3, 124.1, 112.4), (68.2, 65.4, 70.4))
# Table of CIFAR-10, ResNet-56 to ResNet-20: the authors' released settings, but for the
# reversed roles in them.
PAPER = {
  "data.name": "cifar10",
  "data.limit": 0,
  "data.validation": 0.0,
  "teacher.limit": 0,
  "teacher.model": _cifar(56, CIFAR10),
  "model": _cifar(20, CIFAR10),
  "distill.taps": ("stage3",),
  "data.augment.pad": 4,
  "data.augment.flip": True,
  "coder.width": 32,
  "coder.epochs": 30.0,
  "teacher.epochs": 160.0,
  "epochs": 160.0,
  "batch_size": 128,
  **_optimizer("teacher.", MULTISTEP, **CIFAR_SGD, clip_norm=0.0),
  **_optimizer("coder.", {"name": "constant"}, **CIFAR_SGD, clip_norm=0.0),
  **_optimizer("", MULTISTEP, **CIFAR_SGD, clip_norm=0.0),
}
# Of ImageNet the paper's settings are not known: the usual recipe, with its weights.
THIRTY = {"name": "step", "unit": "epochs", "every": 30.0, "factor": 0.1}
IMAGENET = {
  **PAPER,
  **shared.IMAGENET,
  "data.augment.pad": 0,
  "data.augment.area": (0.08, 1.0),
  "teacher.model": {"name": "resnet", "depth": 34, **shared.IMAGENET_PIXELS},
  "model": {"name": "resnet", "depth": 18, **shared.IMAGENET_PIXELS},
  "distill.taps": ("stage4",),
  "coder.width": 256,
  "coder.epochs": 5.0,
  "teacher.epochs": 90.0,
  "epochs": 90.0,
  "batch_size": 256,
  **_optimizer("teacher.", THIRTY, weight_decay=1e-4),
  **_optimizer("", THIRTY, weight_decay=1e-4),
}
VARIANTS = {
  **BASELINES,
  **ABLATIONS,
  "weak": WEAK,
  # Fewer labels and more epochs, where a teacher has more to say.
  "few": {"data.limit": 1000, "epochs": 60.0},
  "paper": PAPER,
  "cifar100": {
    **PAPER,
    "data.name": "cifar100",
    "teacher.model": _cifar(56, CIFAR100),
    "model": _cifar(20, CIFAR100),
  },
  # The released file: a ResNet-20 guides a ResNet-56.
  "paper_weak": {
    **PAPER,
    "teacher.model": _cifar(20, CIFAR10),
    "model": _cifar(56, CIFAR10),
  },
  "imagenet": IMAGENET,
}


def get_config(variant: str = ""):
  config = shared.base("iekd")
  config.data = shared.images(limit=3000)
  config.epochs = 30.0
  config.batch_size = 64
  config.per_dispatch = 10
  network = dict(name="cnn", kernels=(3,), norm="batch")
  config.model = dict(network, widths=(8, 32), dense_width=32)
  config.optimizer = _sgd(0.05)
  config.teacher = dict(
    model=dict(network, widths=(16, 48), dense_width=64),
    init_from="",  # file of its weights; "" trains it in a stage of its own
    limit=15_000,  # of its training images
    epochs=4.0,
    optimizer=_sgd(0.05),
  )
  config.coder = dict(
    use=True,  # the teacher's auto-encoder; otherwise features are compared as they are
    width=16,  # channels of a factor
    norm=True,
    rec_norm=1,  # order of the norm of its error: 1 or 2
    epochs=10.0,
    # A mean over all features makes gradients small. The authors take 11,700 steps at
    # .1; with few steps at that rate it would hardly learn more than to put out 0.
    optimizer=_sgd(1.0),
  )
  config.distill = dict(
    kind="ie",  # none, ie, ie_at, ft, at, fitnet, ab, ofd, sp, rkd, pkt, dml, ie_dml
    taps=("pool2",),  # places of the student
    teacher_taps=(),  # places of the teacher; () is the same
    split="natural",  # or random
    ratio=0.5,  # share of the channels that inherit
    inherit_weight=50.0,
    explore_weight=50.0,
    distance="l1",  # l1, l2, l1_sum, l2_sum, cosine, cka
    both_inherit=False,  # the control: the exploration half inherits too
    form="code",  # of attention transfer: code, paper, l1
    weight=0.0,  # of a baseline's feature loss
    hint_epochs=0.0,  # of a first stage without the task's loss
    soft_weight=0.0,  # share of soft targets in the task's loss; dml: weight of its KL
    temperature=4.0,
    schedule=dict(shared.SCHEDULE),  # of the weight of the feature loss, from 1
  )
  # Analyses of the test split; noise is relative to a kernel's root mean square.
  config.metric = dict(examples=1000, noise=(0.05, 0.1, 0.2), draws=3)
  config.eval.every = 500
  return shared.finish(config, variant, VARIANTS)


def _sgd(rate):
  schedule = dict(shared.SCHEDULE, name="multistep", unit="run", boundaries=(0.5, 0.75))
  return dict(
    shared.OPTIMIZER,
    learning_rate=rate,
    nesterov=True,
    weight_decay=5e-4,
    clip_norm=5.0,
    schedule=schedule,
  )
