"""IE-KD (Huang et al., CVPR 2021), in miniature: a strong and a weak teacher.

A prototype's pilot with seeds 0 and 1 had shown none of the gains in accuracy, and an
exploration half no less like the teacher than without distillation.
"""

from experiments.claims import Arm, Claim, Protocol

SAME = {
  "data.name": "fashion_mnist",
  "data.limit": 1000,
  "teacher.limit": 10_000,
  "teacher.epochs": 3.0,
  "coder.epochs": 12.0,
  "epochs": 60.0,
  "eval.every": 0,
  "checkpoint.keep": 1,
  "log.figures": False,
}
WEAK = {**SAME, "teacher.limit": 300, "teacher.epochs": 4.0}
WORDS = {
  "plain": "no distillation",
  "kd": "soft targets",
  "ft": "factor transfer",
  "inherit": "inheritance alone",
  "explore": "exploration alone",
  "both": "two inheriting halves",
  "ie": "inheritance and exploration",
  "ie_15": "inheritance and exploration at weight 15",
}
VARIANTS = {
  "plain": "plain",
  "kd": "kd",
  "ft": "ft",
  "inherit": "inherit_only",
  "explore": "explore_only",
  "both": "both_inherit",
  "ie": "",
  "ie_15": "lambda_15",
}
PAPER = "Huang et al. (2021): table of CIFAR-10"
PARTS = "Huang et al. (2021): ablation of the two halves"
BEST = "Huang et al. (2021): ablation of the weight, 50 is best"
FOOLED = "Huang et al. (2021): a weak teacher"
MEANT = "Huang et al. (2021): what the halves are for"
FLAT = "Huang et al. (2021): accuracy under noise in the weights"


def _lower(arm: str, against: str, source: str) -> Claim:
  weak = " from a weak teacher" if "weak_" in arm + against else ""
  words = [WORDS[name.removeprefix("weak_")] for name in (arm, against)]
  text = f"lower error with {words[0]} than with {words[1]}{weak}"
  return Claim(text, arm, against, "error", "lower", source)


CLAIMS = (
  *(_lower("ie", against, PAPER) for against in ("plain", "kd", "ft")),
  *(_lower("ie", against, PARTS) for against in ("inherit", "explore", "both")),
  _lower("ie", "ie_15", BEST),
  _lower("weak_ie", "plain", FOOLED),
  _lower("weak_ie", "weak_kd", FOOLED),
  _lower("weak_ie", "weak_ft", FOOLED),
  _lower("weak_ie", "weak_both", FOOLED),
  _lower("plain", "weak_kd", FOOLED),
  Claim(
    "the inheritance half is more like the teacher than without distillation",
    "ie", "plain", "cka/inherit_teacher", "higher", MEANT,
  ),
  Claim(
    "the exploration half is less like the teacher than without distillation",
    "ie", "plain", "cka/explore_teacher", "lower", MEANT,
  ),
  Claim(
    "the exploration half is less like the teacher than where it inherits too",
    "ie", "both", "cka/explore_teacher", "lower", MEANT,
  ),
  Claim(
    "the halves are less alike than where both inherit",
    "ie", "both", "cka/explore_inherit", "lower", MEANT,
  ),
  Claim(
    "more accurate under noise of a tenth of the weights than without distillation",
    "ie", "plain", "noise/0.1/accuracy", "higher", FLAT,
  ),
)  # fmt: skip

PROTOCOL = Protocol(
  about=(
    "A CNN of 8 and 32 channels learns from 1000 Fashion-MNIST images for 60 epochs. "
    "Its teacher, of 16 and 48 channels, was trained on 10,000; the weak one, of 4 and "
    "48, on 300. Features are the second pooled maps, factors have 16 channels. Tested "
    "on the 10,000 test images after the last epoch, with no selection; weights are "
    "those of the paper (50) and its baselines, not tuned; all arms share one recipe. "
    "CKA is linear, of features averaged over positions, on the first 1000 test images."
  ),
  config="configs/iekd.py",
  arms={
    **{name: Arm(variant, SAME) for name, variant in VARIANTS.items()},
    "weak_kd": Arm("weak,kd", WEAK),
    "weak_ft": Arm("weak,ft", WEAK),
    "weak_ie": Arm("weak", WEAK),
    "weak_both": Arm("weak,both_inherit", WEAK),
  },
  claims=CLAIMS,
  metrics={
    "error": "error",
    "teacher/error": "teacher's error",
    "cka/inherit_teacher": "CKA(inherit, teacher)",
    "cka/explore_teacher": "CKA(explore, teacher)",
    "cka/explore_inherit": "CKA(halves)",
    "noise/0.1/accuracy": "accuracy under noise",
  },
  first_seed=2,
)
