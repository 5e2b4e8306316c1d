"""Quantization Networks (Yang et al., CVPR 2019), in miniature: a CNN on garments.

Pilot runs with one seed of another implementation had shown that the gap shrinks, that
training is needed and that starting from scratch is worse. An advantage over a
straight-through estimator with the same quantizer had not shown, and is claimed by
nobody: both signs are asked for.
"""

from experiments.claims import Arm, Claim, Protocol

# Named, so that no other data set stands in where this one is missing.
SAME = {
  "data.name": "fashion_mnist",
  "data.limit": 1500,
  "data.validation": 0.0,  # nothing is selected
  "batch_size": 64,
  "eval.every": 0,
  "checkpoint.keep": 1,
  "log.figures": False,
}
# Name of an arm: (variant of the config, what the report calls it).
ARMS = {
  "float": ("float", "floating point"),
  "ternary": ("w2", "QN, 2 bits"),
  "binary": ("w1", "QN, 1 bit"),
  "five": ("w3pm2", "QN, 3 bits (±2)"),
  "seven": ("w3pm4", "QN, 3 bits (±4)"),
  "untrained": ("w2,untrained", "the quantizer of QN, 2 bits, without training"),
  "constant": ("w2,constant", "QN, 2 bits, T = 5 throughout"),
  "scratch": ("w2,scratch", "QN, 2 bits, from scratch"),
  "scratch_longer": ("w2,scratch_longer", "QN, 2 bits, from scratch, 14 epochs"),
  "linear": ("w3pm2,linear", "QN, 3 bits (±2), uniform thresholds"),
  "shared": ("w2,shared", "QN, 2 bits, one quantizer for all layers"),
  "rate10": ("w2,rate10", "QN, 2 bits, T rising by 10 an epoch"),
  "rate20": ("w2,rate20", "QN, 2 bits, T rising by 20 an epoch"),
  "rate40": ("w2,rate40", "QN, 2 bits, T rising by 40 an epoch"),
  "reestimated": ("w2,reestimated", "QN, 2 bits, batch norms anew by hard weights"),
  "t1": ("w1,t1", "QN, 1 bit, the released code's gradient"),
  "ste": ("w2,ste", "straight-through, same quantizer, 2 bits"),
  "twn": ("twn", "TWN, 2 bits"),
  "lsq": ("lsq", "LSQ, 2 bits"),
  "bwn": ("bwn", "BWN, 1 bit"),
  "dorefa": ("w1,dorefa", "DoReFa, 1 bit"),
}
METRICS = {
  "accuracy": "test accuracy",
  "soft/accuracy": "soft",
  "gap": "soft less hard",
  "saturated": "saturated weights",
}
PAPER = "Yang et al. (2019)"
POINTS = {"ternary": 0.10, "scratch": 0.03}  # margins, fixed beforehand


def _higher(arm: str, against: str, source: str, by: float = 0.0) -> Claim:
  margin = f" by more than {100 * by:g} points" if by else ""
  text = f"{ARMS[arm][1]} is more accurate than {ARMS[against][1]}"
  return Claim(text + margin, arm, against, "accuracy", "higher", source, by)


CLAIMS = (
  Claim(
    "the gap between soft and hard accuracy is smaller if the temperature rises",
    "ternary",
    "constant",
    "gap",
    "lower",
    f"{PAPER}, figure 4",
  ),
  Claim(
    "more weights are saturated if the temperature rises",
    "ternary",
    "constant",
    "saturated",
    "higher",
    f"{PAPER}, section 3; the measure is ours",
  ),
  _higher("ternary", "untrained", "ours: training is needed", POINTS["ternary"]),
  Claim(
    "with 1 bit more of a gap remains than with 2 bits",
    "binary",
    "ternary",
    "gap",
    "higher",
    "ours, after the pilot",
  ),
  _higher("ternary", "scratch", f"{PAPER}, table 7", POINTS["scratch"]),
  _higher("ternary", "scratch_longer", "ours: table 7 at equal epochs"),
  _higher("ternary", "binary", f"{PAPER}, tables 1 and 2"),
  _higher("five", "ternary", f"{PAPER}, tables 1 and 2"),
  _higher("seven", "five", f"{PAPER}, tables 1 and 2"),
  _higher("float", "binary", f"{PAPER}, tables 1 and 2"),
  _higher("five", "linear", f"{PAPER}, table 5"),
  _higher("ternary", "shared", f"{PAPER}, table 6"),
  _higher("ternary", "twn", f"{PAPER}, tables 1 and 2"),
  _higher("binary", "bwn", f"{PAPER}, tables 1 and 2"),
  _higher("binary", "dorefa", f"{PAPER}, table 1"),
  _higher("ternary", "lsq", "ours: a later baseline, which the paper does not have"),
  _higher("ternary", "constant", f"{PAPER}, figure 4"),
  *(
    Claim(
      f"the gap is smaller if the temperature rises by {rate} an epoch instead of 5",
      f"rate{rate}",
      "ternary",
      "gap",
      "lower",
      "ours: sigmoids are steeper in the end",
    )
    for rate in (10, 20, 40)
  ),
  _higher("t1", "binary", "ours: what is the released code's gradient for?"),
  _higher("reestimated", "ternary", "ours: is the gap one of batch norms?"),
  _higher("ternary", "ste", "ours: is the soft staircase needed?"),
  _higher("ste", "ternary", "ours: the same question, the other way"),
)

PROTOCOL = Protocol(
  about=(
    "A CNN of three stages (16, 32 and 64 channels) and a dense layer on 1500 images "
    "of Fashion-MNIST: 6 epochs in floating point, then 8 with quantized weights, the "
    "first and the last layer spared, T rising by 5 an epoch. Tested on the 10,000 "
    "test images with hard quantizers after the last epoch, with no selection; all "
    "arms share the learning rates. Images, initial weights and order vary with the "
    "seed; arms are compared seed by seed. Without training, batch norms see one batch "
    "anew, since one step is taken, with the rate 0."
  ),
  config="configs/quantization_networks.py",
  arms={name: Arm(variant, SAME) for name, (variant, _) in ARMS.items()},
  claims=CLAIMS,
  metrics=METRICS,
  first_seed=1,  # one of 0, on more images, has been seen
)
