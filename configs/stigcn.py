"""STIGCN (Huang et al., ACM Multimedia 2020): actions of skeletons.

The default trains a narrow network on generated clips of a moving person, whose class
is three independent bits. `:paper` is the authors' recipe on NTU RGB+D 60.
"""

from jaxvision import config as shared

# What the authors' code does on NTU RGB+D 60, X-Sub; other protocols are presumably
# alike. None of the training clips is held out, as there; but the code keeps the epoch
# that is best on the test clips, and here the last one counts.
RECIPE = {
  "data.validation": 0.0,
  "batch_size": 64,
  "epochs": 70.0,
  "optimizer.weight_decay": 5e-4,
  "model.layers": (3, 3, 3),
  "model.widths": (64, 64, 128, 256),
  "model.pools": 3,
  "model.dropout": 0.5,
  "eval.every": 2000,
  "eval.batch_size": 64,
  "checkpoint.every": 2000,
}
NTU60 = {**RECIPE, "data.name": "ntu60", "data.protocol": "xsub"}
NTU120 = {**RECIPE, "data.name": "ntu120", "data.protocol": "xsub"}
# No recipe for Kinetics was released: this is 2s-AGCN's, from which the code descends.
KINETICS = {
  **RECIPE,
  "data.name": "kinetics",
  "data.augment.window": 150,
  "data.augment.move": True,
  "batch_size": 128,
  "epochs": 65.0,
  "optimizer.weight_decay": 1e-4,
  "optimizer.schedule.name": "multistep",
  "optimizer.schedule.boundaries": (45.0, 55.0),
}
DATA = {
  "paper": NTU60,
  "ntu60_xsub": NTU60,
  "ntu60_xview": {**NTU60, "data.protocol": "xview"},
  "ntu120_xsub": NTU120,
  "ntu120_xset": {**NTU120, "data.protocol": "xset"},
  "kinetics": KINETICS,
}
STREAMS = {
  name: {"data.stream": name}
  for name in ("joint", "bone", "joint_motion", "bone_motion")
}


def _baseline(name: str, dropout: float, **size: object) -> dict[str, object]:
  sizes = dict(layers=(1, 1), widths=(16, 32)) | size
  fields = dict(name=name, graph="auto", dropout=dropout, mask_persons=False)
  return {"model": {**fields, "remat": False, **sizes}}


FULL = dict(layers=(4, 3, 3), widths=(64, 128, 256))
# Networks that are narrow like the default; full ones stand behind one of `DATA`, with
# STIGCN's recipe: `:ntu60_xview,agcn_full`.
BASELINES = {
  "st_gcn": _baseline("st_gcn", 0.0),
  "agcn": _baseline("agcn", 0.0),
  "ctr_gcn": _baseline("ctr_gcn", 0.0),
  "st_gcn_full": _baseline("st_gcn", 0.5, **FULL),
  "agcn_full": _baseline("agcn", 0.0, **FULL),
  "ctr_gcn_full": _baseline("ctr_gcn", 0.0, **FULL),
}
BRANCHES = ("joint", "bone", "chebyshev", "high")
ABLATIONS = {
  # Spatial branches: `:only_bone`, `:without_bone`; with fewer of them each is wider,
  # unless `each_width` keeps a branch's width.
  **{f"only_{name}": {"model.branches": (name,)} for name in BRANCHES},
  **{
    f"without_{name}": {"model.branches": tuple(b for b in BRANCHES if b != name)}
    for name in BRANCHES
  },
  "each_width": {"model.branch_width": "each"},
  # One graph of one scale, the mean of a joint, its parent and its children.
  "single": {"model.branches": ("neighborhood",)},
  # What the powers of the adjacency are: of matrices, or joints at exactly k links.
  "matrix": {"model.order_mode": "matrix"},
  "khop": {"model.order_mode": "khop"},
  # Learned graphs.
  "no_adaptive": {"model.adaptive": False},
  "no_data_graph": {"model.data_graph": "none"},
  "branch_data_graph": {"model.data_graph": "branch"},
  "fixed_graph": {"model.adaptive": False, "model.data_graph": "none"},
  # Temporal branches and paths.
  "position": {"model.temporal": ("position",)},
  "motion": {"model.temporal": ("motion",)},
  "sequential": {"model.paths": "sequential"},
  "no_residual": {"model.residual": False},
  "no_zero_init": {"model.zero_init": False},
  # Not the authors' way: empty persons are left out of the mean.
  "mask_persons": {"model.mask_persons": True},
  "dropout": {"model.dropout": 0.5},
}
VARIANTS = {**DATA, **STREAMS, **BASELINES, **ABLATIONS}


def get_config(variant: str = ""):
  config = shared.base("stigcn")
  config.data = shared.skeletons()
  config.epochs = 12.0
  config.batch_size = 64
  config.per_dispatch = 1
  config.model = dict(
    name="stigcn",
    graph="auto",  # the data's skeleton, or one of ops.graphs by its name
    layers=(1,), widths=(16, 16), pools=2, branches=BRANCHES, order_mode="elementwise",
    branch_width="total", adaptive=True, data_graph="shared",
    temporal=("position", "motion"), paths="parallel", residual=True, zero_init=True,
    dropout=0.0, mask_persons=False, remat=False,
  )  # fmt: skip
  config.optimizer.learning_rate = 0.1
  config.optimizer.nesterov = True
  config.optimizer.weight_decay = 5e-4
  config.optimizer.decay = ((".*", True),)  # norms and learned graphs, too
  config.optimizer.schedule.name = "cosine"
  config.eval.every = 100
  config.eval.batch_size = 100
  config.eval.importance = True  # predict: which joints speak for the class
  return shared.finish(config, variant, VARIANTS)
