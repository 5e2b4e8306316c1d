"""Adversarial attacks on any classifier, in the L-infinity ball, as pure functions.

    x_adv = pgd(key, logits_fn, x, y, eps=8 / 255, step_size=2 / 255, steps=20)
    x_adv, robust = apgd(key, logits_fn, x, y, eps=8 / 255, loss="dlr")
    x_adv, robust, per_stage = auto_attack(key, logits_fn, x, y, eps=8 / 255)

Images are in [0, 1], channels last; `logits_fn(x)` is any JAX function, see
`attacks.classifier` for what is compiled when. Every loop runs on the host around one
compiled iteration and polls SIGTERM. The functions share names with their modules:
`from jaxvision.attacks.pgd import normal_start` reaches what is beside them.
"""

from jaxvision.attacks.apgd import apgd
from jaxvision.attacks.apgd_targeted import apgd_t
from jaxvision.attacks.auto_attack import auto_attack
from jaxvision.attacks.checks import AttackWarning
from jaxvision.attacks.fab import fab
from jaxvision.attacks.fgsm import fgsm
from jaxvision.attacks.pgd import pgd
from jaxvision.attacks.square import square

__all__ = [
  "AttackWarning",
  "apgd",
  "apgd_t",
  "auto_attack",
  "fab",
  "fgsm",
  "pgd",
  "square",
]
