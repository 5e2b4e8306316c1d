"""Continuous Dropout (Shen et al., 2018), in miniature: few images, noisy labels.

In a pilot on clean labels no mask lowered this network's error, which leaves nothing to
tell apart. The paper's own networks and numbers are not what is run here.
"""

from experiments.claims import Arm, Claim, Protocol

# Named, so that no other data set stands in where this one is missing.
SAME = {"data.name": "fashion_mnist", "checkpoint.keep": 1, "log.figures": False}
# Name of an arm: (variant of the config, what the report calls it).
ARMS = {
  "none": ("none", "no mask"),
  "bernoulli": ("bernoulli", "Bernoulli(.5)"),
  "bernoulli_quarter": ("bernoulli_quarter", "Bernoulli(.25)"),
  "uniform": ("uniform", "U(0, 1)"),
  "gaussian_03": ("gaussian_03", "clipped N(.5, .3²)"),
  "gaussian_05": ("gaussian_05", "clipped N(.5, .5²)"),
  "unclipped_05": ("unclipped_05", "unclipped N(.5, .5²)"),
  "standout": ("standout", "standout"),
  "dropconnect": ("dropconnect", "DropConnect(.5)"),
  "matched_03": ("gaussian_03,matched", "Bernoulli as noisy as clipped N(.5, .3²)"),
  "matched_05": ("gaussian_05,matched", "Bernoulli as noisy as clipped N(.5, .5²)"),
}
# The paper's masks. The unclipped one, an ablation, is as noisy as Bernoulli(.5).
CONTINUOUS = ("uniform", "gaussian_03", "gaussian_05")
MASKS = ("bernoulli", "bernoulli_quarter", *CONTINUOUS, "unclipped_05")
# Var m / E m^2 is equal within a pair; Bernoulli(.25) is that of U(0, 1).
EQUALLY_NOISY = {
  "uniform": "bernoulli_quarter",
  "gaussian_03": "matched_03",
  "gaussian_05": "matched_05",
  "unclipped_05": "bernoulli",
}
METRICS = {
  "error": "test error",
  "loss": "test NLL",
  "dependence/relu1/mean_abs_corr": "correlation in layer 1",
  "dependence/relu2/mean_abs_corr": "correlation in layer 2",
}
LAYERS = tuple(METRICS)[2:]

PAPER = "Shen et al. (2018), abstract"
INDEPENDENCE = f"{PAPER}: less co-adaptation; the measure is ours"
DROPOUT = "ours: dropout regularises; the margin was set after a pilot of two seeds"
CONTROL = "ours: does it help to be continuous, or to be less noisy?"
OURS = "ours: a regularised network is less sure of its mistakes"


def _lower(metric: str, arm: str, against: str, source: str, by: float = 0.0) -> Claim:
  margin = f" by more than {100 * by:g} points" if by else ""
  text = f"{METRICS[metric]} is lower with {ARMS[arm][1]} than with {ARMS[against][1]}"
  return Claim(text + margin, arm, against, metric, "lower", source, by)


CLAIMS = (
  *(_lower("error", arm, "none", DROPOUT, by=0.03) for arm in MASKS),
  *(
    _lower("error", arm, baseline, PAPER)
    for baseline in ("bernoulli", "standout", "dropconnect")
    for arm in CONTINUOUS
  ),
  *(_lower("error", arm, other, CONTROL) for arm, other in EQUALLY_NOISY.items()),
  *(_lower("loss", arm, "none", OURS) for arm in MASKS),
  *(
    _lower(layer, arm, other, INDEPENDENCE)
    for layer in LAYERS
    for other in ("bernoulli", "none")
    for arm in CONTINUOUS
  ),
)

PROTOCOL = Protocol(
  about=(
    "A 784-800-800-10 network on 2000 images of Fashion-MNIST, 30 % of whose labels "
    "are replaced by random classes; tested on the 10,000 clean test images after the "
    "last of 40 epochs, with no selection of epochs or settings. Images, label noise, "
    "initial weights and order vary with the seed; arms are compared seed by seed. "
    "Correlation is the mean absolute one over pairs of units, of activations without "
    "noise on 2000 test images."
  ),
  config="configs/continuous_dropout.py",
  arms={
    name: Arm(f"label_noise,{variant}", SAME) for name, (variant, _) in ARMS.items()
  },
  claims=CLAIMS,
  metrics=METRICS,
)
