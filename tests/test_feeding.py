"""From batches to the devices: the same data from Grain and from plain access."""

import grain
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxvision.train import feeding, sharding

STEPS = 7


class Plain:
  """Batch i holds i, eight times; remembers what it was asked for."""

  def __init__(self):
    self.asked = []

  def __getitem__(self, i):
    self.asked.append(i)
    return {"i": np.full(8, i), "x": np.full((8, 2), i / 2, np.float32)}


def from_grain(repeat=False):
  source = grain.MapDataset.range(10**9 if repeat else STEPS)
  return source.map(lambda i: Plain()[i])


@pytest.fixture(scope="module")
def mesh():
  return sharding.build_mesh(ConfigDict({"data": -1, "fsdp": 2}))


@pytest.mark.parametrize("batches", [Plain, from_grain, lambda: from_grain(True)])
@pytest.mark.parametrize("start", [0, 3])
def test_batches_come_in_order_from_any_step_on(mesh, batches, start):
  feeder = feeding.Feeder(batches(), start, STEPS)
  taken = []
  for count in [2] * ((STEPS - start) // 2) + [1] * ((STEPS - start) % 2):
    batch = feeder.take(count, 2, mesh)
    assert batch["i"].shape == (2, 8) and batch["x"].shape == (2, 8, 2)
    assert {s.data.shape for s in batch["x"].addressable_shards} == {(2, 2, 2)}
    taken += [int(row[0]) for row in batch["i"][:count]]
    # What pads a short stack is the last batch, of the same shape and finite.
    np.testing.assert_array_equal(batch["i"][-1], taken[-1])
    np.testing.assert_array_equal(batch["x"][:, :, 1], batch["i"] / 2)
  assert taken == list(range(start, STEPS))
  with pytest.raises(StopIteration):
    feeder.take(1, 2, mesh)
  assert feeder.seconds > 0


def test_plain_batches_are_asked_for_once_and_not_ahead(mesh):
  batches = Plain()
  feeder = feeding.Feeder(batches, 2, STEPS)
  assert batches.asked == [] and feeder.seconds == 0.0
  feeder.take(2, 3, mesh)
  assert batches.asked == [2, 3]
