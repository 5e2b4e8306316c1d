"""Patch Reordering (Shen et al., AAAI 2017), in miniature: garments that are moved.

Three settings: objects in quadrants of the canvas that training never showed, poses
that training never showed, and training and testing on shifted objects alike. Prototype
runs with seeds 0 and 1 had shown a gain in the first and none in the others.
"""

from experiments.claims import Arm, Claim, Protocol

SAME = {
  "data.name": "fashion_mnist",
  "data.limit": 2000,
  "epochs": 12.0,
  "optimizer.learning_rate": 1e-3,
  "eval.every": 0,
  "checkpoint.keep": 1,
  "log.figures": False,
}
SETTINGS = {  # name: (variant, its words)
  "quadrant": ("", "trained in one quadrant"),
  "pose": ("unseen_pose", "trained upright and centred"),
  "moved": ("translated", "trained and tested on shifted objects"),
}
NETS = {  # name: (variant, its words)
  "cnn": ("cnn", "the plain CNN"),
  "reordered": ("", "patches reordered"),
  "shared": ("shared", "one order for all channels"),
  "levels2": ("levels2", "two levels"),
  "levels3": ("levels3", "full depth"),
}
CHOSEN = {
  "quadrant": ("cnn", "reordered", "shared", "levels2"),
  "pose": ("cnn", "reordered", "levels2", "levels3"),
  "moved": ("cnn", "reordered", "shared", "levels2"),
}
PAPER = "Shen et al. (2017), abstract: patch reordering improves recognition"
OURS = "ours: the seams should not hurt where nothing moved"
SEARCH = "Shen et al. (2017), abstract: patch reordering improves retrieval"


def _arms() -> dict[str, Arm]:
  arms = {}
  for setting, nets in CHOSEN.items():
    for net in nets:
      variants = filter(None, (SETTINGS[setting][0], NETS[net][0]))
      arms[f"{setting}_{net}"] = Arm(",".join(variants), SAME)
  return arms


def _lower(setting: str, net: str, metric: str, where: str, source: str, by=0.0):
  text = (
    f"{where}: lower error with {NETS[net][1]} than of the plain CNN, "
    f"{SETTINGS[setting][1]}"
  )
  text += f" (by {100 * by:g} points)" if by else ""
  names = (f"{setting}_{net}", f"{setting}_cnn")
  return Claim(text, *names, metric, "lower", source, by)


def _claims() -> tuple[Claim, ...]:
  claims = [
    _lower("quadrant", net, "unseen/error", "unseen quadrants", PAPER, 0.30)
    for net in CHOSEN["quadrant"][1:]
  ]
  claims.append(_lower("quadrant", "reordered", "error", "the seen quadrant", OURS))
  for view in ("translated", "rotated", "scaled", "rst"):
    claims += [
      _lower("pose", net, f"{view}/error", view, PAPER) for net in CHOSEN["pose"][1:]
    ]
  claims += [
    _lower("moved", net, "error", "shifted", PAPER) for net in CHOSEN["moved"][1:]
  ]
  for setting in SETTINGS:
    text = f"retrieval of shifted images is better with patches reordered, {setting}"
    names = (f"{setting}_reordered", f"{setting}_cnn")
    claims.append(Claim(text, *names, "retrieval/ns", "higher", SEARCH))
  return tuple(claims)


PROTOCOL = Protocol(
  about=(
    "A CNN of two stages (8 and 16 channels) on 2000 Fashion-MNIST images for 12 "
    "epochs, patches reordered behind the second pooling, on an 8 x 8 map. Tested on "
    "the 10,000 test images after the last epoch, with no selection; all arms share "
    "one learning rate. Quadrant: half-size objects in the top left quadrant in "
    "training, in the other three in the test `unseen`. Pose: trained upright and "
    "centred, tested shifted by up to 6 pixels, turned by up to 90 degrees, scaled by"
    " .7 to 1.3, and all at once. Retrieval: UK-Bench's score of 500 test images with"
    " three shifted copies each."
  ),
  config="configs/patch_reordering.py",
  arms=_arms(),
  claims=_claims(),
  metrics={
    "error": "error",
    "unseen/error": "unseen quadrants",
    "translated/error": "shifted",
    "rotated/error": "turned",
    "scaled/error": "scaled",
    "rst/error": "all",
    "retrieval/ns": "N-S",
  },
  first_seed=2,
)
