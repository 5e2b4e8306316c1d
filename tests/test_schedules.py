"""Learning-rate schedules against their closed forms."""

import math

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxvision.config import SCHEDULE
from jaxvision.errors import UserError
from jaxvision.train import schedules

RATE, STEPS, EPOCH = 0.4, 60, 10


def build(*, rate=RATE, steps=STEPS, steps_per_epoch=EPOCH, **fields):
  config = ConfigDict({**SCHEDULE, **fields})
  return schedules.build(config, rate, steps=steps, steps_per_epoch=steps_per_epoch)


def check(schedule, expected):
  found = jax.jit(jax.vmap(schedule))(np.arange(STEPS))
  every = [expected(i) for i in range(STEPS)]
  np.testing.assert_allclose(found, every, rtol=1e-5, atol=1e-7)
  np.testing.assert_allclose(schedule(13), expected(13), rtol=1e-5)


@pytest.mark.parametrize(
  "fields, expected",
  [
    ({"name": "constant"}, lambda i: RATE),
    ({"name": "step", "every": 1.0, "factor": 0.5}, lambda i: RATE * 0.5 ** (i // 10)),
    (
      {"name": "step", "unit": "steps", "every": 7.0, "factor": 0.5},
      lambda i: RATE * 0.5 ** (i // 7),
    ),
    (
      {"name": "multistep", "boundaries": (2, 4.5), "factor": 0.1},
      lambda i: RATE * 0.1 ** ((i >= 20) + (i >= 45)),
    ),
    (
      {"name": "multistep", "unit": "steps", "boundaries": (3, 9)},
      lambda i: RATE * 0.1 ** ((i >= 3) + (i >= 9)),
    ),
    (
      {"name": "cosine"},
      lambda i: RATE * 0.5 * (1 + math.cos(math.pi * i / STEPS)),
    ),
    (
      {"name": "cosine", "final": 0.2},
      lambda i: RATE * (0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi * i / STEPS))),
    ),
    ({"name": "linear"}, lambda i: RATE * (1 - i / STEPS)),
    ({"name": "linear", "final": 0.5}, lambda i: RATE * (1 - 0.5 * i / STEPS)),
  ],
)
def test_schedule_has_its_closed_form(fields, expected):
  check(build(**fields), expected)


@pytest.mark.parametrize(
  "fields, after",
  [
    ({"name": "constant"}, lambda i: RATE),
    # Epochs of step and multistep count from the run's first step.
    ({"name": "step", "every": 2.0}, lambda i: RATE * 0.1 ** (i // 20)),
    ({"name": "step", "every": 1.0}, lambda i: RATE * 0.1 ** (i // 10)),
    ({"name": "multistep", "boundaries": (2,)}, lambda i: RATE * 0.1 ** (i >= 20)),
    (
      {"name": "multistep", "boundaries": (1, 2)},
      lambda i: RATE * 0.1 ** ((i >= 10) + (i >= 20)),
    ),
    # Decays take the steps that are left.
    (
      {"name": "cosine"},
      lambda i: RATE * 0.5 * (1 + math.cos(math.pi * (i - 15) / 45)),
    ),
    ({"name": "linear"}, lambda i: RATE * (1 - (i - 15) / 45)),
  ],
)
def test_warm_up_rises_from_zero_before_each_schedule(fields, after):
  check(
    build(warmup=1.5, **fields),
    lambda i: RATE * i / 15 if i < 15 else after(i),
  )


def test_warm_up_in_steps_and_the_last_rate_of_a_decay():
  schedule = build(name="cosine", unit="steps", warmup=4.0, final=0.1)
  np.testing.assert_allclose(schedule(2), RATE / 2, rtol=1e-6)
  np.testing.assert_allclose(schedule(STEPS), RATE * 0.1, rtol=1e-6)
  np.testing.assert_allclose(schedule(10 * STEPS), RATE * 0.1, rtol=1e-6)


@pytest.mark.parametrize(
  "fields, sentence",
  [
    ({"unit": "days"}, "schedule.unit is 'days'; choose epochs, steps, run"),
    (
      {"name": "cos"},
      "schedule.name is 'cos'; choose one of constant, step, multistep, cosine, linear",
    ),
    ({"warmup": 6.0}, "schedule.warmup takes 60 of 60 steps; shorten it"),
  ],
)
def test_a_wrong_field_is_one_sentence(fields, sentence):
  with pytest.raises(UserError, match=sentence):
    build(**fields)
