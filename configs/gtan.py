"""GTAN (Long et al., CVPR 2019): temporal action localisation with Gaussian kernels.

The default trains a narrow network on generated windows. Much of the paper is not known
for sure (no code was released): what is not is a field here, never a constant.
"""

from jaxvision import config as shared

# The pyramid of AherNet's code, the authors' later work, on P3D features.
WIDE = {
  "model.base_widths": (2048, 1024),
  "model.anchor_widths": (256, 256, 512, 512, 1024, 1024, 2048, 2048),
  "model.ratios": (1.0, 1.26, 1.587),
}
PAPER = {
  **WIDE,
  "data.name": "activitynet",
  "data.length": 512,
  "data.width": 2048,
  "batch_size": 16,
  "model.group_layers": (1, 2, 3, 4, 5, 6, 7, 8),
  "loss.positive": 0.8,
  "loss.negative": 0.3,
  "loss.force_best": False,
  "loss.loc_target": "encoded",
  "loss.class_weight": 1.0,
  "loss.loc_weight": 2.0,
  "loss.overlap_weight": 75.0,
  "optimizer.learning_rate": 1e-4,
  "optimizer.schedule.name": "constant",
  "suppression.kind": "greedy",
  "suppression.threshold": 0.9,
}
# Windows of 512 steps as the paper has them; how far apart they are, and the threshold
# of the suppression, are of SSAD's family, as the paper's own are not known.
THUMOS14 = {
  **PAPER,
  "data.name": "thumos14",
  "data.window": "sliding",
  "data.stride": 128,
  "data.keep": 0.9,
  "suppression.threshold": 0.2,
  "metric.protocol": "thumos",
  "metric.thresholds": (0.1, 0.2, 0.3, 0.4, 0.5),
}
VARIANTS = {
  # Ablations, section 4 of the specification. The default is a single Gaussian a cell.
  "fixed": {"model.anchors": "fixed", "model.pooling": "none"},
  "fixed_pooled": {"model.anchors": "fixed"},
  "unpooled": {"model.pooling": "none"},
  "mean_pooled": {"model.pooling": "mean"},
  "max_pooled": {"model.pooling": "max"},
  "cell": {"model.sigma_unit": "cell"},
  "window": {"model.sigma_unit": "window"},
  "grouped": {"model.group_layers": (1, 2, 3, 4, 5)},
  "grouped_fine": {"model.group_layers": (1, 2)},
  "two_ratios": {"model.ratios": (1.0, 1.414)},
  "three_ratios": {"model.ratios": (1.0, 1.26, 1.587)},
  "three_layers": {"model.anchor_widths": (64, 64, 64)},
  "pointwise_heads": {"model.head_kernel": 1},
  "class_score": {"suppression.overlap_in_score": False},
  # Suppression.
  "greedy": {"suppression.kind": "greedy"},
  # Frames of Fashion-MNIST: from pixels to detections.
  "frames": {"data.name": "frames", "steps": 2000},
  # The paper's own scale.
  "paper": PAPER,
  "activitynet": PAPER,
  "thumos14": THUMOS14,
  # Features of C3D, reduced to 500 numbers, instead of P3D's 2048.
  "c3d": {"data.width": 500},
}


def get_config(variant: str = ""):
  config = shared.base("gtan")
  config.data = shared.actions()
  config.batch_size = 32
  config.steps = 4000
  config.per_dispatch = 10
  config.model = dict(
    name="gtan", base_widths=(64, 64), anchor_widths=(64, 64, 64, 64, 64),
    ratios=(1.0,), anchors="gaussian", pooling="gaussian", sigma_unit="window",
    group_layers=(), group_threshold=0.7, keep_originals=True, head_kernel=3,
    stop_sigma=False,
  )  # fmt: skip
  # Of the specification's prototype, 9(d): smooth L1 of decoded boxes by .05 (so the
  # weight 1 / .05), and a positive threshold that leaves enough positives in few steps.
  config.loss = dict(
    class_weight=1.0, loc_weight=20.0, overlap_weight=10.0, positive=0.5, negative=0.3,
    force_best=True, negative_ratio=1.0, extra_negatives=0, mining="batch",
    loc_target="decoded", loc_beta=0.05, loc_mean="positives", sigma_from_loc=False,
    overlap_on="all",
  )  # fmt: skip
  config.suppression = dict(
    kind="soft",  # soft or greedy
    sigma=0.3,  # soft: width of the decay
    low=0.0,  # soft: decays only above IoU low + (high - low) * width
    high=0.0,
    threshold=0.5,  # greedy: IoU above which the weaker one is dropped
    strict=False,  # greedy: whether an IoU equal to the threshold is kept
    agnostic=False,  # whether classes suppress each other
    candidates=200,  # best (anchor, class) pairs that take part
    keep=100,  # detections a window
    overlap_in_score=True,
  )
  config.metric = dict(
    protocol="activitynet",  # or thumos: whose average precision it is
    thresholds=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    recall_thresholds=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
  )  # fmt: skip
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 3e-3
  config.optimizer.schedule.name = "cosine"
  config.optimizer.schedule.unit = "steps"
  config.optimizer.schedule.warmup = 100.0
  config.eval.every = 1000
  config.eval.batch_size = 50
  return shared.finish(config, variant, VARIANTS)
