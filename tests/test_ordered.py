"""Ordered updates on three numbers, against steps taken by hand."""

import jax
import jax.numpy as jnp
import optax
import pytest

from jaxvision.methods.common import ordered
from jaxvision.methods.common.ordered import ADVERSARIAL, MAIN, Update

START = {"a": 2.0, "b": 3.0, "c": 1.0}
RATES = {MAIN: 0.1, ADVERSARIAL: 0.01}
SGD = {name: optax.sgd(rate) for name, rate in RATES.items()}


def update(number, name, subset, loss, optimizer=MAIN):
  logs = {f"{name}_sees": jnp.float32(0)}
  own = lambda params, batch, drawn: (loss(**params) * batch + drawn, logs)
  return Update(number, name, tuple(subset), own, optimizer)


UPDATES = [
  update("1", "product", "a", lambda a, b, c: a * b),
  update("2", "product", "b", lambda a, b, c: a * b),
  update("3", "both", "ab", lambda a, b, c: a * b**2),
  update("3", "square", "a", lambda a, b, c: a**2),
  update("4a", "rival", "c", lambda a, b, c: a * c, ADVERSARIAL),
  update("4b0", "again", "b", lambda a, b, c: b * c, ADVERSARIAL),
  update("4b1", "again", "b", lambda a, b, c: b * c, ADVERSARIAL),
]


def take(updates):
  """The numbers and the logs after one step."""
  params = {name: jnp.float32(x) for name, x in START.items()}
  now = ordered.create({"params": params}, updates, SGD)
  now, logs = jax.jit(lambda now: ordered.run(now, updates, SGD, 1.0, 0.0))(now)
  return now, {name: float(x) for name, x in now["params"].items()}, logs


def test_an_update_sees_those_before_it_but_not_those_of_its_number():
  _, found, logs = take(UPDATES)
  a, b, c = START.values()
  a -= 0.1 * b
  product = a * b
  b -= 0.1 * a
  both, square = a * b**2, a**2
  a, b = a - 0.1 * b**2 - 0.1 * 2 * a, b - 0.1 * 2 * a * b
  c -= 0.01 * a
  b -= 0.01 * c
  again = b * c
  b -= 0.01 * c
  assert found == pytest.approx({"a": a, "b": b, "c": c}, rel=1e-5)
  assert logs["2_product"] == pytest.approx(product)
  assert logs["4_again"] == pytest.approx(again)  # the last of both
  main = START["a"] * START["b"] + product + both + square
  assert logs["loss"] == pytest.approx(main)
  assert "rival_sees" in logs and "grad_norm" not in logs


def test_a_repeated_update_shares_its_optimizer():
  slots = {name for name in take(UPDATES)[0] if name.startswith("opt_")}
  names = ("1_product", "2_product", "3_both", "3_square", "4_rival", "4_again")
  assert slots == {f"opt_{name}" for name in names}


def test_fused_gradients_are_the_sums_of_the_parts():
  fused = ordered.fuse(UPDATES)
  assert [(u.name, u.subset) for u in fused] == [
    (MAIN, ("a", "b")),
    (ADVERSARIAL, ("c", "b")),
  ]
  _, found, logs = take(fused)
  a, b, c = START.values()
  expected = {
    "a": a - 0.1 * (b + b**2 + 2 * a),
    "b": b - 0.1 * (a + 2 * a * b) - 0.01 * c,  # c's loss counts once
    "c": c - 0.01 * a,
  }
  assert found == pytest.approx(expected, rel=1e-5)
  assert logs["3_both"] == pytest.approx(a * b**2)
  assert logs["loss"] == pytest.approx(2 * a * b + a * b**2 + a**2)
