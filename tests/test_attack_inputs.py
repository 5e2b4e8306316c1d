"""What all attacks ask of images, labels and radius, and how they are called."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from attack_support import mlp_problem

from jaxvision import attacks
from jaxvision.attacks.classifier import check_inputs
from jaxvision.errors import UserError

KEY = jax.random.key(0)
X, Y = jnp.full((3, 2, 2, 1), 0.5), jnp.arange(3)


@pytest.mark.parametrize(
  ("x", "y", "eps", "named"),
  [
    (X + 0.6, Y, 0.1, r"in \[1.1, 1.1\]. Normalise inside the network"),
    (X - 0.6, Y, 0.1, r"images in \[0, 1\]; these are in \[-0.1"),
    (X.at[1, 0, 0, 0].set(jnp.nan), Y, 0.1, "these are in .nan, nan"),
    ((255 * X).astype(jnp.uint8), Y, 0.1, "these are uint8, not floats"),
    (X, Y[:2], 0.1, r"integers of shape \(3,\); y has the shape \(2,\)"),
    (X, jnp.eye(3), 0.1, r"y has the shape \(3, 3\) and the type float32"),
    (X, Y[:, None], 0.1, r"y has the shape \(3, 1\)"),
    (X, Y.astype(jnp.float32), 0.1, "the type float32"),
    (X, Y, -0.1, "eps is -0.1; a radius is at least 0"),
  ],
)
def test_mistakes_are_named(x, y, eps, named):
  with pytest.raises(UserError, match=named):
    check_inputs(x, y, eps)


def test_what_can_be_attacked_passes():
  check_inputs(X, Y, 0.1)
  check_inputs(X + 0.5 + 1e-6, Y, jnp.float32(0.0))  # rounding
  check_inputs(X.reshape(3, -1), Y, np.float64(0.1))


def test_inside_jit_shapes_are_checked_and_values_pass():
  jax.jit(lambda x, eps: check_inputs(x, Y, eps))(X + 5, -0.1)
  with pytest.raises(UserError, match="integers of shape"):
    jax.jit(lambda x: check_inputs(x, Y[:2], 0.1))(X)
  known = X + 5  # a constant of the program is seen
  with pytest.raises(UserError, match="Normalise"):
    jax.jit(lambda eps: check_inputs(known, Y, eps))(0.1)


# name: (arguments, keyword arguments in front of others), as promised to users.
SIGNATURES = {
  "fgsm": (("logits_fn", "x", "y"), ("eps",)),
  "pgd": (
    ("key", "logits_fn", "x", "y"), ("eps", "step_size", "steps", "loss", "start")
  ),
  "apgd": (("key", "logits_fn", "x", "y"), ("eps", "steps", "loss", "target", "start")),
  "apgd_t": (("key", "logits_fn", "x", "y"), ("eps", "steps", "targets")),
  "fab": (("logits_fn", "x", "y"), ("eps", "steps", "target", "targets")),
  "square": (("key", "logits_fn", "x", "y"), ("eps", "queries")),
  "auto_attack": (("key", "logits_fn", "x", "y"), ("eps", "norm", "version")),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_kept_and_all_attacks_check(name):
  attack, (positional, options) = getattr(attacks, name), SIGNATURES[name]
  parameters = inspect.signature(attack).parameters.values()
  by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
  assert tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY) == positional
  assert set(options) <= set(by_name)
  logits_fn, weights, x, y = mlp_problem(rows=3)
  given = {"key": KEY, "logits_fn": logits_fn, "x": 2 * x + 1, "y": y, "eps": 0.1}
  given = {k: v for k, v in given.items() if k in (*positional, "eps")}
  if name == "pgd":
    given |= {"step_size": 0.1, "steps": 1}
  with pytest.raises(UserError, match="Normalise inside the network"):
    attack(**given, variables=weights)
