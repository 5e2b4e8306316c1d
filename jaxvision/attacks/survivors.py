"""Attacks on those images only that have withstood the earlier ones."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision import interruption
from jaxvision.attacks.classifier import is_right
from jaxvision.typing import Array

# (rows: keys[b], x[b ...], y[b]) -> (x_adv[b ...], robust[b])
Attack = Callable[[Array, Array, Array], tuple[Array, Array]]


class Survivors(NamedTuple):
  """Images under a chain of attacks, on the host.

  Attributes:
    x: the clean images.
    y: labels.
    x_adv: what broke an image; of those that hold, the clean image.
    robust: which ones hold.
  """

  x: np.ndarray
  y: np.ndarray
  x_adv: np.ndarray
  robust: np.ndarray


def begin(
  logits: Callable[[Array], Array], x: np.ndarray, y: np.ndarray, batch_size: int
) -> Survivors:
  """Returns the images before any attack: those hold that are classified right."""

  def judge(keys: Array, x: Array, y: Array) -> tuple[Array, Array]:
    del keys
    return x, is_right(logits(x), y)

  everyone = Survivors(x, y, x, np.ones(len(x), bool))
  keys = jax.random.split(jax.random.key(0), len(x))  # unused
  return attack(judge, keys, everyone, batch_size=batch_size)


def attack(
  attack: Attack, keys: Array, now: Survivors, *, batch_size: int
) -> Survivors:
  """Attacks the survivors, packed together in batches.

  Args:
    attack: on a batch.
    keys: one an image, so that chance does not depend on who else survives.
    now: the images.
    batch_size: of a full batch; the last one is padded to a power of two, so that few
      sizes are ever compiled.
  """
  x_adv, robust = now.x_adv.copy(), now.robust.copy()
  for rows in _batches(np.flatnonzero(now.robust), batch_size):
    interruption.check()
    padded = np.resize(rows, min(batch_size, 1 << (len(rows) - 1).bit_length()))
    found = attack(keys[padded], jnp.asarray(now.x[padded]), jnp.asarray(now.y[padded]))
    found_x, holds = (part[: len(rows)] for part in jax.device_get(found))
    x_adv[rows[~holds]] = found_x[~holds]
    robust[rows] = holds
  return now._replace(x_adv=x_adv, robust=robust)


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
  for first in range(0, len(rows), size):
    yield rows[first : first + size]
