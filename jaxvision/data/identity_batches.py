"""Batches of P identities with K images each: batch i is pure in (seed, i)."""

import numpy as np
from jaxtyping import Int32

from jaxvision.data.batches import IndexBatches, process_rows
from jaxvision.data.reid_examples import Numbers
from jaxvision.errors import UserError

SAMPLERS = ("balanced", "random")
ORDER, IMAGES = 0, 1  # independent streams of random numbers of one seed


class IdentityBatches:
  """`batches[i]` holds the rows of the images of batch i of an endless run.

  Identities are permuted over and over; the images of one are drawn anew each time,
  none twice unless it has fewer than are asked for. Images of one are neighbours.
  """

  def __init__(
    self,
    identity: Numbers,
    domain: Numbers,
    *,
    identities: int,
    images: int,
    sampler: str,
    seed: int,
    rank: int = 0,
    count: int = 1,
  ) -> None:
    """Describes the batches.

    Args:
      identity: of each image; one identity is in one domain.
      domain: of each image.
      identities: P of a batch: of each domain, "balanced", or of all, "random".
      images: K of each identity.
      sampler: "balanced" or "random".
      seed: random seed, 0 or more.
      rank: number of this process, which gets its contiguous rows of each batch.
      count: number of processes.

    Raises:
      UserError: another sampler, fewer identities than are asked for, or a batch that
        is not divisible by `count`.
    """
    size = batch_size(
      len(np.unique(domain)), identities=identities, images=images, sampler=sampler
    )
    people, first = np.unique(identity, return_index=True)
    rows = np.split(np.argsort(identity, kind="stable"), _ends(identity))
    home = domain[first] if sampler == "balanced" else np.zeros_like(people)
    self._pools, self._orders = [], []
    for number in np.unique(home):
      members = np.flatnonzero(home == number)
      if len(members) < identities:
        raise UserError(
          f"config.batch.identities is {identities}, but there are {len(members)} in"
          f" {'a source' if sampler == 'balanced' else 'all sources'}: ask for fewer."
        )
      own = int(np.random.SeedSequence((seed, ORDER, number)).generate_state(1)[0])
      self._orders.append(IndexBatches(len(members), identities, seed=own))
      self._pools.append([rows[i] for i in members])
    self._images, self._seed = images, seed
    self._own = process_rows(size, rank, count)

  def __getitem__(self, i: int) -> Int32[np.ndarray, " b"]:
    """This process's rows of batch i, i = 0, 1, ... without end."""
    rng = np.random.default_rng((self._seed, IMAGES, int(i)))
    found = [
      np.resize(rng.permutation(pool[person]), self._images)  # again, if too few
      for pool, order in zip(self._pools, self._orders, strict=True)
      for person in order[i]
    ]
    return np.concatenate(found).astype(np.int32)[self._own]


def batch_size(domains: int, *, identities: int, images: int, sampler: str) -> int:
  """Images in a batch of `IdentityBatches`, of so many domains.

  Raises:
    UserError: another sampler, or numbers that are not positive.
  """
  if sampler not in SAMPLERS:
    raise UserError(
      f"config.batch.sampler is {sampler!r}; choose {' or '.join(SAMPLERS)}."
    )
  if min(identities, images) < 1:
    raise UserError("config.batch: identities and images are 1 or more.")
  return identities * images * (domains if sampler == "balanced" else 1)


def _ends(identity: Numbers) -> np.ndarray:
  """Where each identity but the last one ends among sorted ones."""
  return np.cumsum(np.unique(identity, return_counts=True)[1])[:-1]
