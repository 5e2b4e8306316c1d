"""IE-KD (Huang et al., CVPR 2021), in miniature: a strong and a weak teacher.

A prototype's pilot with seeds 0 and 1 had shown none of the gains in accuracy, and an
exploration half no less like the teacher than without distillation. `PILOT` has chosen
`WEIGHTS`: for each arm that of the highest validation accuracy, the smallest of equal
ones. The claims are tested with other seeds.
"""

from experiments.claims import Arm, Claim, Protocol

SAME = {
  "data.name": "fashion_mnist",
  "data.size": 14,
  "data.limit": 500,
  "batch_size": 100,
  "per_dispatch": 1,
  "epochs": 60.0,
  "teacher.limit": 3000,
  "teacher.epochs": 6.0,
  "coder.epochs": 60.0,
  "metric.noise": (0.1,),
  "eval.every": 0,
  "checkpoint.every": 0,
  "checkpoint.keep": 1,
  "log.figures": False,
}
WEAK = {**SAME, "teacher.limit": 300, "teacher.epochs": 20.0}
# Variants of the config and what the report calls them. "plain" needs no teacher, but
# is compared with the strong one.
ARMS = {
  "plain": ("plain", "no distillation"),
  "kd": ("kd", "soft targets"),
  "ft": ("ft", "factor transfer"),
  "inherit": ("inherit_only", "inheritance alone"),
  "explore": ("explore_only", "exploration alone"),
  "both": ("both_inherit", "two inheriting halves"),
  "ie_5": ("", "inheritance and exploration at weight 5"),
  "ie_15": ("", "inheritance and exploration at weight 15"),
  "ie_50": ("", "inheritance and exploration at weight 50"),
  "weak_kd": ("weak,kd", "soft targets of a weak teacher"),
  "weak_ft": ("weak,ft", "factor transfer from a weak teacher"),
  "weak_inherit": ("weak,inherit_only", "inheritance alone from a weak teacher"),
  "weak_explore": ("weak,explore_only", "exploration alone from a weak teacher"),
  "weak_both": ("weak,both_inherit", "two halves inheriting from a weak teacher"),
  "weak_ie": ("weak", "inheritance and exploration with a weak teacher"),
}
# What a weight is of, by method, and the values that are tried.
KEYS = {
  "kd": ("distill.soft_weight",),
  "ft": ("distill.weight",),
  "inherit": ("distill.inherit_weight",),
  "explore": ("distill.explore_weight",),
  "both": ("distill.inherit_weight", "distill.explore_weight"),
  "ie": ("distill.inherit_weight", "distill.explore_weight"),
}
TRIED = {"kd": (0.3, 0.6, 0.9), "ft": (50.0, 200.0, 800.0)}
HALVES = (5.0, 15.0, 50.0)
WEIGHTS = {  # the best of `PILOT`
  "kd": 0.6,
  "ft": 50.0,
  "inherit": 50.0,
  "explore": 5.0,
  "both": 5.0,
  "ie": 5.0,
  "weak_kd": 0.3,
  "weak_ft": 50.0,
  "weak_inherit": 15.0,
  "weak_explore": 5.0,
  "weak_both": 5.0,
  "weak_ie": 5.0,
}


def _arm(name: str, variant: str, weight: float | None) -> Arm:
  """An arm of this name and weight; one without a method has none."""
  keys = KEYS.get(name.removeprefix("weak_"), ())
  same = WEAK if name.startswith("weak_") else SAME
  return Arm(variant, {**same, **dict.fromkeys(keys, weight)})


def _arms() -> dict[str, Arm]:
  """All arms; of the three with inheritance and exploration the name has the weight."""
  arms = {}
  for name, (variant, _) in ARMS.items():
    method, _, weight = name.partition("_") if name[-1].isdigit() else (name, "", "")
    chosen = float(weight) if weight else WEIGHTS.get(name)
    arms[name] = _arm(method, variant, chosen)
  return arms


def _candidates() -> dict[str, Arm]:
  """Each method with each weight that is tried, as "weak_kd_0.3"."""
  return {
    f"{name}_{weight:g}": _arm(name, ARMS.get(name, ("",))[0], weight)
    for name in WEIGHTS
    for weight in TRIED.get(name.removeprefix("weak_"), HALVES)
  }


IE = f"ie_{WEIGHTS['ie']:g}"
PAPER = "Huang et al. (2021): table of CIFAR-10"
PARTS = "Huang et al. (2021): ablation of the two halves"
BEST = "Huang et al. (2021): ablation of the weight, 50 is best"
FOOLED = "Huang et al. (2021): a weak teacher"
MEANT = "Huang et al. (2021): what the halves are for"
FLAT = "Huang et al. (2021): accuracy under noise in the weights"


def _lower(arm: str, against: str, source: str) -> Claim:
  text = f"lower error with {ARMS[arm][1]} than with {ARMS[against][1]}"
  return Claim(text, arm, against, "error", "lower", source)


CLAIMS = (
  *(_lower(IE, against, PAPER) for against in ("plain", "kd", "ft")),
  *(_lower(IE, against, PARTS) for against in ("inherit", "explore", "both")),
  *(_lower("ie_50", f"ie_{weight}", BEST) for weight in (5, 15)),
  _lower("weak_ie", "plain", FOOLED),
  *(
    _lower("weak_ie", f"weak_{against}", FOOLED)
    for against in ("kd", "ft", "inherit", "explore", "both")
  ),
  _lower("plain", "weak_kd", FOOLED),
  Claim(
    "the factor of the exploration half is farther off than where it inherits too",
    IE, "both", "distance/explore", "higher", MEANT,
  ),
  Claim(
    "the inheritance half is more like the teacher than without distillation",
    IE, "plain", "cka/inherit_teacher", "higher", MEANT,
  ),
  Claim(
    "the exploration half is less like the teacher than without distillation",
    IE, "plain", "cka/explore_teacher", "lower", MEANT,
  ),
  Claim(
    "the exploration half is less like the teacher than where it inherits too",
    IE, "both", "cka/explore_teacher", "lower", MEANT,
  ),
  Claim(
    "the halves are less alike than where both inherit",
    IE, "both", "cka/explore_inherit", "lower", MEANT,
  ),
  Claim(
    "more accurate under noise of a tenth of the weights than without distillation",
    IE, "plain", "noise/0.1/accuracy", "higher", FLAT,
  ),
)  # fmt: skip

PROTOCOL = Protocol(
  about=(
    "A CNN of 8 and 32 channels learns from 500 images of Fashion-MNIST, shrunk to "
    "14x14, for 60 epochs. Its teacher, of 16 and 48 channels, was trained on 3000; "
    "the weak one, of 4 and 48, on 300. Features are the second pooled maps, factors "
    "have 16 channels. Tested on the 10,000 test images after the last epoch, with no "
    "selection; the weights of the losses were chosen on 5000 validation images with "
    "seed 0, which is not among those of the claims; all arms share one recipe. CKA "
    "is linear, of features averaged over positions, on the first 1000 test images; "
    "random factors would be .094 apart."
  ),
  config="configs/iekd.py",
  arms=_arms(),
  claims=CLAIMS,
  metrics={
    "error": "error",
    "teacher/error": "teacher's error",
    "autoencoder/relative": "error of the auto-encoder",
    "distance/inherit": "D(inherit, teacher)",
    "distance/explore": "D(explore, teacher)",
    "cka/inherit_teacher": "CKA(inherit, teacher)",
    "cka/explore_teacher": "CKA(explore, teacher)",
    "cka/explore_inherit": "CKA(halves)",
    "noise/0.1/accuracy": "accuracy under noise",
  },
  first_seed=2,
)
PILOT = PROTOCOL._replace(
  about="Candidates for weights, by their accuracy on 5000 validation images.",
  arms=_candidates(),
  claims=(),
  metrics={"val/accuracy": "validation accuracy"},
  seeds=1,
  first_seed=0,
)
