"""CausalAdv (Zhang et al., ICLR 2022), in miniature: against Madry and TRADES.

The paper's tables could not be had; its abstract claims more robust accuracy. The
authors' own utilities, run with two seeds of another set-up and no tuning, had shown
none. `--pilot` runs the candidates among which alpha and ratio are chosen, by robust
accuracy on validation images; seeds of the pilot are not used again.
"""

from experiments.claims import Arm, Claim, Protocol

SMALL = {
  "data.name": "fashion_mnist",  # named, so that no other data set stands in
  "data.limit": 10_000,
  "data.validation": 2000.0,
  "model.widths": (8, 16),
  "model.dense_width": 32,
  "epochs": 8.0,
  "eval.every": 200,
  "robust.examples": 2000,
  "checkpoint.keep": 1,
  "log.figures": False,
}
FINAL = {
  **SMALL,
  "eval.checkpoint": "best",
  "attack.name": "autoattack",
  "attack.examples": 300,
  "attack.curve": "",
}
CHOSEN = {"m": (0.25, 1.0), "t": (0.25, 1.0)}  # alpha, ratio
WORDS = {
  "m": "CausalAdv-M",
  "t": "CausalAdv-T",
  "madry": "Madry's training",
  "trades": "TRADES",
}
PAPER = "Zhang et al. (2022), abstract: more robust"
MEANT = "ours: what the method minimises"
COST = "ours: the price in clean accuracy"
METRICS = {
  "best/robust/autoattack": "AutoAttack",
  "best/robust/adaptive": "adaptive attack",
  "best/robust/adaptive_summed": "adaptive attack, summed",
  "best/robust/pgd20": "PGD-20",
  "best/accuracy": "clean",
  "best/style/gap": "style gap",
}
UNDER = {
  "best/robust/autoattack": "AutoAttack",
  "best/robust/adaptive": "the authors' adaptive attack",
  "best/robust/adaptive_summed": "the summed adaptive attack",
  "best/robust/pgd20": "PGD-20",
}


def _claims(arm: str, against: str) -> tuple[Claim, ...]:
  more = f"{WORDS[arm]} is more accurate than {WORDS[against]} under"
  return (
    *(
      Claim(f"{more} {attack}", arm, against, metric, "higher", PAPER)
      for metric, attack in UNDER.items()
    ),
    Claim(
      f"the style head's gap is smaller after {WORDS[arm]} than after {WORDS[against]}",
      arm, against, "best/style/gap", "lower", MEANT,
    ),
    Claim(
      f"{WORDS[arm]} is less accurate than {WORDS[against]} on clean images",
      arm, against, "best/accuracy", "lower", COST,
    ),
  )  # fmt: skip


def _chosen(form: str) -> Arm:
  alpha, ratio = CHOSEN[form]
  return Arm(form, {**FINAL, "style.alpha": alpha, "style.ratio": ratio})


PROTOCOL = Protocol(
  about=(
    "A CNN of 8 and 16 channels and a dense layer on 10,000 images of Fashion-MNIST, "
    "resized to 14x14 pixels, for 8 epochs: 7 inner steps of eps / 4 within eps = .1, "
    "beta 1 (M, Madry) and 6 (T, TRADES), the same recipe for all arms. Checkpoints "
    "are chosen by PGD-20 on 2000 validation images, alpha and ratio by the pilot. "
    "Tested once: AutoAttack, standard, on the first 300 test images, PGD-20 and the "
    "adaptive attacks (20 steps of eps / 10) on the first 2000. The style head of "
    "Madry and TRADES is trained beside them and changes nothing. Images, initial "
    "weights and order vary with the seed; arms are compared seed by seed."
  ),
  config="configs/causal_adv.py",
  arms={
    "madry": Arm("madry", FINAL),
    "m": _chosen("m"),
    "trades": Arm("trades", FINAL),
    "t": _chosen("t"),
  },
  claims=(*_claims("m", "madry"), *_claims("t", "trades")),
  metrics=METRICS,
  first_seed=2,
)

PILOT = Protocol(
  about=(
    "Candidates for alpha and ratio in the setting of the claims. Of each form the one "
    "with the highest mean robust accuracy (PGD-20) on 2000 validation images, after "
    "the last epoch, is chosen; no test image counts."
  ),
  config="configs/causal_adv.py",
  arms={
    f"{form}_alpha{alpha:g}_ratio{ratio:g}": Arm(
      form, {**SMALL, "style.alpha": alpha, "style.ratio": ratio}
    )
    for form in CHOSEN
    for alpha in (0.25, 1.0)
    for ratio in (0.0, 1.0)
  },
  claims=(),
  metrics={"val/robust/pgd20": "PGD-20", "val/accuracy": "clean"},
  seeds=1,
)
