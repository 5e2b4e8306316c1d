"""Checkpoints: what is restored, what is kept, whose they are."""

import json
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxvision.errors import UserError
from jaxvision.train import checkpoints, retention

MARKS = {"config.lr": "0.1", "config.epochs": "3"}


def state(step):
  """A state of every dtype; its values tell the step."""
  rng = np.random.default_rng(step)
  return {
    "params": {"kernel": jnp.asarray(rng.normal(size=(64, 64)), jnp.float32)},
    "half": jnp.asarray(rng.normal(size=5), jnp.bfloat16),
    "bytes": jnp.asarray(rng.integers(0, 255, (2, 3)), jnp.uint8),
    "flags": jnp.asarray(rng.normal(size=4) > 0),
    "key": jax.random.key(step),
    "empty": {},
    "step": jnp.int32(step),
  }


LIKE = checkpoints.abstract(state(0))


def check(found, step):
  expected = state(step)
  chex.assert_trees_all_equal_shapes_and_dtypes(found, expected)
  data = jax.random.key_data
  chex.assert_trees_all_equal(
    {**found, "key": data(found["key"])}, {**expected, "key": data(expected["key"])}
  )


class Warnings(list):
  """Collects lines; call it as `warn`."""

  __call__ = list.append


def store(folder, *, warn=None, fingerprint=MARKS, keep=2):
  warn = Warnings() if warn is None else warn
  return checkpoints.Checkpoints(folder, fingerprint=fingerprint, keep=keep, warn=warn)


def save(folder, *steps, **fields):
  with store(folder, **fields) as opened:
    for step in steps:
      opened.save(step, state(step), seconds=step / 8)


def kept(folder):
  return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())


def test_what_is_saved_is_restored(tmp_path):
  save(tmp_path, 1, 2)
  with store(tmp_path) as opened:
    found = opened.restore_latest(LIKE)
    assert (found.step, found.metrics, found.seconds) == (2, None, 0.25)
    check(found.state, 2)
    check(opened.restore(1, LIKE).state, 1)


def test_an_empty_folder_holds_none(tmp_path):
  with store(tmp_path / "new" / "stage") as opened:
    assert opened.restore_latest(LIKE) is None
    assert opened.best_step() is None
    assert opened.restore_best(last := state(1)) is last


def test_a_sharded_state_restores_wherever_it_is_wanted(tmp_path):
  mesh = jax.make_mesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
  place = lambda x: NamedSharding(mesh, PartitionSpec("d") if x.ndim > 1 else None)
  spread = jax.tree.map(
    lambda x: jax.device_put(x, NamedSharding(mesh, PartitionSpec())), state(1)
  )
  spread["params"] = jax.device_put(state(1)["params"], place(jnp.zeros((4, 4))))
  assert spread["params"]["kernel"].addressable_shards[0].data.shape == (16, 64)
  with store(tmp_path) as opened:
    opened.save(1, spread)
  with store(tmp_path) as opened:
    one = opened.restore_latest(LIKE).state
    four = opened.restore_latest(checkpoints.abstract(spread)).state
  check(one, 1)
  check(four, 1)
  assert len(one["params"]["kernel"].devices()) == 1
  assert four["params"]["kernel"].sharding == spread["params"]["kernel"].sharding


def test_a_saved_state_may_be_donated_at_once(tmp_path):
  spoil = jax.jit(lambda s: jax.tree.map(jnp.zeros_like, s), donate_argnums=0)
  now = {"params": state(5)["params"], "step": jnp.int32(5)}
  with store(tmp_path) as opened:
    opened.save(5, now)
    spoil(now)
  with store(tmp_path) as opened:
    like = {"params": LIKE["params"], "step": LIKE["step"]}
    found = opened.restore_latest(like).state
  chex.assert_trees_all_equal(found["params"], state(5)["params"])


def test_a_whole_checkpoint_stays_as_it_is(tmp_path):
  save(tmp_path, 1)
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
  save(tmp_path, 1)
  assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
  "latest, scores, expected",
  [
    (2, {}, [3, 4]),
    (1, {1: 0.5, 2: 0.9, 3: 0.7}, [2, 4]),
    (2, {1: 0.9, 2: 0.9, 4: 0.1}, [1, 3, 4]),  # the earliest of equals
    (1, {9: 0.9, 3: 0.1}, [3, 4]),  # 9 is not there
    (1, {1: float("nan"), 3: -2.0}, [3, 4]),  # NaN is never the best
    (9, {}, [1, 2, 3, 4]),
  ],
)
def test_latest_and_best_policy(latest, scores, expected):
  infos = [SimpleNamespace(step=step) for step in (1, 2, 3, 4)]
  policy = retention.LatestAndBest(latest, scores)
  flags = policy.should_preserve(infos, context=None)
  assert [
    info.step for info, flag in zip(infos, flags, strict=True) if flag
  ] == expected


def test_latest_and_best_are_kept_and_evaluations_survive(tmp_path):
  with store(tmp_path, keep=2) as opened:
    for step in range(1, 7):
      opened.save(step, state(step))
      if step % 2 == 0:
        score = {2: 0.9, 4: 0.3, 6: 0.5}[step]
        opened.record(step, {"accuracy": score, "loss": 1 - score}, score)
  assert kept(tmp_path) == [2, 5, 6]
  with store(tmp_path) as opened:
    assert opened.best_step() == 2
    last = opened.restore_latest(LIKE)
    assert last.metrics == {"accuracy": 0.5, "loss": 0.5}
    check(opened.restore_best(last.state), 2)
    for step in (7, 8):  # the best stays best in another run
      opened.save(step, state(step))
  assert kept(tmp_path) == [2, 7, 8]


def test_the_last_state_is_returned_as_it_is_when_it_is_the_best(tmp_path):
  with store(tmp_path) as opened:
    opened.save(1, state(1))
    opened.record(1, {"loss": 0.5}, -0.5)
    last = state(1)
    assert opened.restore_best(last) is last


@pytest.mark.parametrize(
  "text", ["", "{", "[]", '{"a": 1}', '{"1": {"score": 1}}', '{"1": 2}', "\x00" * 9]
)
def test_corrupt_evaluations_are_told_and_forgotten(tmp_path, text):
  file, warnings = tmp_path / "evaluations.json", Warnings()
  file.write_text(text)
  with store(tmp_path, warn=warnings) as opened:
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{file} is corrupt (")
    assert warnings[0].endswith("evaluating anew")
    assert opened.best_step() is None
    opened.record(3, {"loss": 0.5}, -0.5)
  assert json.loads(file.read_text()) == {
    "3": {"score": -0.5, "metrics": {"loss": 0.5}}
  }


@pytest.mark.parametrize(
  "theirs, sentence",
  [
    ({**MARKS, "config.lr": "0.2"}, "config.lr was 0.1 and is 0.2; use another"),
    (
      {**MARKS, "config.lr": "0.2", "config.epochs": "4"},
      "config.epochs was 3 and is 4 and 1 more; use another",
    ),
    ({"config.lr": "0.1"}, "config.epochs was 3 and is absent; use another"),
    ({**MARKS, "data": "x"}, "data was absent and is x; use another"),
  ],
)
def test_a_foreign_fingerprint_is_refused_by_name(tmp_path, theirs, sentence):
  save(tmp_path, 1, 2)
  warnings = Warnings()
  with (
    store(tmp_path, fingerprint=theirs, warn=warnings) as opened,
    pytest.raises(UserError, match="belong to another run: " + sentence),
  ):
    opened.restore_latest(LIKE)
  assert not warnings


@pytest.mark.parametrize("keep", [0, -1])
def test_at_least_one_is_kept(tmp_path, keep):
  with pytest.raises(UserError, match=f"config.checkpoint.keep is {keep}; choose 1"):
    store(tmp_path, keep=keep)
