"""TICNN (Shen et al., ACM Multimedia 2016), in miniature: poses unseen in training.

A prototype's runs with seed 0 had shown a gain for shifts and none for rotations, and a
loss where nothing moved.
"""

from experiments.claims import Arm, Claim, Protocol

SAME = {
  "data.name": "fashion_mnist",
  "data.limit": 2000,
  "epochs": 15.0,
  "optimizer.learning_rate": 1e-3,
  "eval.every": 0,
  "checkpoint.keep": 1,
  "log.figures": False,
}
LONG = {**SAME, "epochs": 60.0}
NETS = {  # arm: (variant, its words)
  "cnn": ("cnn", "the plain CNN"),
  "ticnn": ("", "maps warped at two stages"),
  "stage1": ("stage1", "maps warped at the first stage"),
  "stage2": ("stage2", "maps warped at the second stage"),
  "input": ("input", "the input warped, one warp a batch"),
  "input_sample": ("input,per_sample", "the input warped, one warp an image"),
  "per_sample": ("per_sample", "maps warped, one warp an image"),
  "rotation": ("rotation", "maps turned"),
  "scale": ("scale", "maps scaled"),
  "translation": ("translation", "maps shifted"),
  "ti_pooling": ("ti_pooling", "TI-pooling over turns"),
  "si_cnn": ("si_cnn", "a scale-invariant CNN"),
  "transformer": ("spatial_transformer", "a Spatial Transformer"),
}
VIEWS = {"translated": "shifted", "rotated": "turned", "scaled": "scaled", "rst": "all"}
PAPER = "Shen et al. (2016), abstract: better than the plain CNN"
AUGMENT = "Shen et al. (2016): inside the network rather than at the input"
CLEAN = "Shen et al. (2016): no loss where nothing moved"
GRAIN = "ours: one warp an image is less noisy than one a batch"
NAMED = "each kind of warp against its own kind of pose"
SEARCH = "Shen et al. (2016), abstract: better retrieval"


def _lower(arm: str, against: str, view: str, source: str, **more) -> Claim:
  metric = f"{view}/error" if view else "error"
  words = {a: NETS[a.removesuffix("_long")][1] for a in (arm, against)}
  long = ", 60 epochs" if arm.endswith("_long") else ""
  text = (
    f"{VIEWS.get(view, 'upright')}: lower error with {words[arm]} than with "
    f"{words[against]}{long}"
  )
  return Claim(text, arm, against, metric, "lower", source, **more)


def _claims() -> tuple[Claim, ...]:
  views = list(VIEWS)
  return (
    *(_lower("ticnn", "cnn", view, PAPER) for view in views),
    _lower("ticnn", "cnn", "", CLEAN),
    *(_lower("ticnn_long", "cnn_long", view, PAPER) for view in views),
    _lower("ticnn_long", "cnn_long", "", CLEAN),
    *(_lower("ticnn", "input", view, AUGMENT) for view in views),
    *(_lower("per_sample", "input_sample", view, AUGMENT) for view in views),
    *(_lower("per_sample", "ticnn", view, GRAIN) for view in ("translated", "rst")),
    *(_lower(f"stage{i}", "cnn", "translated", PAPER) for i in (1, 2)),
    _lower("rotation", "cnn", "rotated", NAMED),
    _lower("scale", "cnn", "scaled", NAMED),
    _lower("translation", "cnn", "translated", NAMED),
    _lower("ti_pooling", "cnn", "rotated", NAMED),
    _lower("si_cnn", "cnn", "scaled", NAMED),
    _lower("transformer", "cnn", "rst", NAMED),
    Claim(
      "retrieval of moved images is better with maps warped than with the plain CNN",
      "ticnn", "cnn", "retrieval/ns", "higher", SEARCH,
    ),
  )  # fmt: skip


PROTOCOL = Protocol(
  about=(
    "A CNN of two stages (8 and 16 channels) on 2000 upright, centred Fashion-MNIST "
    "images for 15 epochs (60 where it says so). Warps behind the activations of both "
    "stages, unless an arm says otherwise: turns of up to 45 degrees, scales of .8 to "
    "1.2, shifts of up to .15 of the map, each with probability 1/2. Tested on the "
    "10,000 test images after the last epoch, with no selection; all arms share one "
    "learning rate. Tests: upright, shifted by up to 6 pixels, turned by up to 90 "
    "degrees, scaled by .7 to 1.3, and all at once. Retrieval: UK-Bench's score of 500 "
    "test images with three moved copies each."
  ),
  config="configs/ticnn.py",
  arms={
    **{name: Arm(variant, SAME) for name, (variant, _) in NETS.items()},
    "cnn_long": Arm("cnn", LONG),
    "ticnn_long": Arm("", LONG),
  },
  claims=_claims(),
  metrics={
    "error": "upright",
    **{f"{view}/error": words for view, words in VIEWS.items()},
    "retrieval/ns": "N-S",
  },
  first_seed=2,
)
