"""AherNet (Long et al., ECCV 2020), in miniature: classes learned from moments.

The paper's text could not be had: the order of the arms is what its idea says, no
number is the paper's. Before this protocol was written one run with seed 0 of 300 steps
was looked at, which was not enough to learn much. `--pilot` runs the candidates for the
learning rate, to be chosen for all arms together by mean mAP on validation windows; its
seed is not used again.
"""

import itertools

from experiments.claims import Arm, Claim, Protocol

# Named, so that no other data set stands in, no arm has a learning rate of its own, and
# the protocol stays what it is when the config's defaults change.
SAME = {
  "data.name": "generated",
  "warm_start": 500,
  "steps": 700,
  "batch_size": 16,
  "optimizer.learning_rate": 3e-3,  # the pilot's choice
  "adversarial.learning_rate": 1e-3,
  "eval.every": 0,
  "checkpoint.keep": 1,
  "log.figures": False,
}
# Name of an arm: (variant of the config, what the report calls it).
ARMS = {
  "a_source_only": ("pooled", "source videos and classifiers of moments alone"),
  "b_transfer": ("transferred", "transferred classifiers"),
  "c_noise": ("noise", "transfer, and moments between noise"),
  "d_generated": (
    "unopposed",
    "transfer, and generated contexts without discriminators",
  ),
  "e_full": ("", "transfer, generated contexts and discriminators"),
  "f_oracle": ("oracle", "annotated videos of the target classes"),
}
METRICS = {
  "map/avg": "mean mAP",
  "ar/10": "AR@10",
  "map/0.50": "mAP at .5",
  "discriminator_accuracy": "accuracy of the discriminators",
}
IDEA = "Long et al. (2020), the idea of the paper"
LADDER = "ours: each part adds to those before it"
BOUND = "ours: annotations of the target classes are an upper bound"


def _higher(arm: str, against: str, metric: str, source: str) -> Claim:
  text = f"{METRICS[metric]} is higher with {ARMS[arm][1]} than with {ARMS[against][1]}"
  return Claim(text, arm, against, metric, "higher", source)


def _claims() -> tuple[Claim, ...]:
  names = list(ARMS)
  whole = [("e_full", "a_source_only", IDEA), ("f_oracle", "e_full", BOUND)]
  ladder = [(b, a, LADDER) for a, b in itertools.pairwise(names[:5])]
  pairs = (*whole, *ladder)
  return tuple(
    _higher(arm, against, metric, source)
    for metric in ("map/avg", "ar/10")
    for arm, against, source in pairs
  )


PROTOCOL = Protocol(
  about=(
    "A network of 64 channels and five anchor layers. Six source classes have 1500 "
    "annotated windows of 128 steps, six target classes 1500 trimmed clips; tested on "
    "300 windows of the target classes, the same for all seeds. All arms begin with "
    "500 steps of batches of 16 on source windows; then come 700 of the arm's own. "
    "Measured after the last step, with no selection of steps or settings; all arms "
    "share one learning rate. Data, initial weights and order vary with the seed; arms "
    "are compared seed by seed. Mean mAP is that over temporal IoUs of .5 to .95; "
    "AR@10 is the average recall of ten detections each."
  ),
  config="configs/ahernet.py",
  arms={name: Arm(variant, SAME) for name, (variant, _) in ARMS.items()},
  claims=_claims(),
  metrics=METRICS,
  seeds=3,
  first_seed=1,
)

RATES = (1e-3, 3e-3)
PILOT = Protocol(
  about=(
    "Candidates for the learning rate of all arms, chosen by the mean over the arms of "
    "mean mAP on 200 validation windows: the protocol's task with seed 0."
  ),
  config=PROTOCOL.config,
  arms={
    f"{name}_{rate:g}": Arm(variant, {**SAME, "optimizer.learning_rate": rate})
    for name, (variant, _) in ARMS.items()
    if name in ("b_transfer", "e_full")
    for rate in RATES
  },
  claims=(),
  metrics={"val/map/avg": "mean mAP, validation"},
  seeds=1,
)
