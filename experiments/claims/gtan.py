"""GTAN (Long et al., CVPR 2019), in miniature: generated actions of many lengths.

The paper's directions are put to the test, not its numbers. Before this protocol single
runs of a prototype were looked at, all with seed 0: so the seeds here start at 1.
"""

from experiments.claims import Arm, Claim, Protocol

# Named, so that no other data set stands in, no arm has a learning rate of its own, and
# the protocol stays what it is when the config's defaults change.
SAME = {
  "data.name": "generated",
  "data.generated.noise": 0.55,
  "steps": 1500,
  "optimizer.learning_rate": 3e-3,
  "checkpoint.keep": 1,
  "log.figures": False,
}
# One anchor a cell is the primary contrast. Three ratios already cover all lengths to
# an IoU of .89, so that little is left for learned widths.
RATIOS = {1: "", 3: "three_ratios"}
# Equation 1 does not say what unit the standard deviations have.
UNITS = ("window", "cell")
# Name of an arm: (variant of the config, what the report calls it).
ARMS = {
  "fixed": ("fixed", "fixed anchors"),
  "fixed_pooled": ("fixed_pooled", "fixed anchors and Gaussian pooling"),
  **{
    f"{name}_{unit}": (f"{variant}{unit}", f"{text} (unit: {unit})")
    for name, variant, text in (
      ("unpooled", "unpooled,", "learned widths without pooling"),
      ("pooled", "", "learned widths and Gaussian pooling"),
    )
    for unit in UNITS
  },
  # In cells, no two kernels can overlap by the .7 at which they merge: standard
  # deviations are below one cell, and so the IoU of neighbors is below 1/3.
  "grouped_window": (
    "grouped,window",
    "learned widths, Gaussian pooling and grouping (unit: window)",
  ),
}
METRICS = {
  "map/avg": "mean mAP",
  "ar/10": "AR@10",
  "map/0.50": "mAP at .5",
  "map/0.75": "mAP at .75",
}

PAPER = "Long et al. (2019), ablations on mAP"
RECALL = "ours: what raises mAP should find more actions, too"
WIDTHS = "ours: the effect of learned widths by themselves"
POOLING = "ours: the effect of pooling by itself"
UNIT = "ours: a prototype's single run hinted at it"


def _arms(ratios: int) -> dict[str, Arm]:
  names = {name: filter(None, (v, RATIOS[ratios])) for name, (v, _) in ARMS.items()}
  return {f"{name}_r{ratios}": Arm(",".join(v), SAME) for name, v in names.items()}


def _higher(ratios: int, arm: str, against: str, metric: str, source: str) -> Claim:
  text = f"{METRICS[metric]} is higher with {ARMS[arm][1]} than with {ARMS[against][1]}"
  at = f", {ratios} anchor{'s' if ratios > 1 else ''} a cell"
  names = (f"{name}_r{ratios}" for name in (arm, against))
  return Claim(text + at, *names, metric, "higher", source)


def _claims(ratios: int) -> list[Claim]:
  whole = [(f"pooled_{unit}", "fixed") for unit in UNITS]
  whole.append(("grouped_window", "pooled_window"))
  widths = [(f"unpooled_{unit}", "fixed") for unit in UNITS]
  widths += [(f"pooled_{unit}", "fixed_pooled") for unit in UNITS]
  pooling = [("fixed_pooled", "fixed")]
  pooling += [(f"pooled_{unit}", f"unpooled_{unit}") for unit in UNITS]
  groups = (
    (whole, "map/avg", PAPER),
    (whole, "ar/10", RECALL),
    (widths, "map/avg", WIDTHS),
    (pooling, "map/avg", POOLING),
    ([("pooled_cell", "pooled_window")], "map/avg", UNIT),
  )
  return [
    _higher(ratios, *pair, metric, source)
    for pairs, metric, source in groups
    for pair in pairs
  ]


PROTOCOL = Protocol(
  about=(
    "A network of 64 channels and five anchor layers on 4000 generated windows of 128 "
    "steps with one to three actions of five classes, 5 to 90 steps long, and two "
    "distractors each; noise of standard deviation 0.55. Tested on 300 windows, the "
    "same for all seeds, after the last of 1500 steps, with no selection of steps or "
    "settings; all arms share one learning rate. Training windows, initial weights and "
    "order vary with the seed; arms are compared seed by seed. Mean mAP is that over "
    "temporal IoUs of .5 to .95; AR@10 is the average recall of ten detections each."
  ),
  config="configs/gtan.py",
  arms={name: arm for ratios in RATIOS for name, arm in _arms(ratios).items()},
  claims=tuple(claim for ratios in RATIOS for claim in _claims(ratios)),
  metrics=METRICS,
  first_seed=1,
)
