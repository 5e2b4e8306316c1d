"""Config fields: variants, flattening, what of a config shapes training."""

import copy
import json

import pytest
from ml_collections import ConfigDict

from jaxvision import config as shared
from jaxvision.errors import UserError

VARIANTS = {
  "fast": {"epochs": 1, "optimizer.learning_rate": 1.0},
  "slow": {"epochs": 9, "model": {"name": "cnn", "widths": (8,)}},
  "wrong": {"optimizer.rate": 1.0},
}


def toy(variant=""):
  config = shared.base("toy")
  config.epochs = 3
  config.model = {"name": "mlp", "hidden": (4, 4), "options": {}}
  config.data = shared.images(limit=10)
  return shared.finish(config, variant, VARIANTS)


def test_base_names_the_method_and_configs_do_not_share_fields():
  one, two = shared.base("one"), shared.base("two")
  assert (one.method, two.method) == ("one", "two")
  one.optimizer.learning_rate = 7.0
  one.optimizer.schedule.name = "cosine"
  assert two.optimizer.learning_rate == shared.OPTIMIZER["learning_rate"] == 0.1
  assert two.optimizer.schedule.name == "constant"


def test_images_change_some_fields():
  found, default = shared.images(limit=7, label_noise=0.5), shared.images()
  assert (found.limit, found.label_noise) == (7, 0.5)
  assert found.name == default.name and default.limit == 0


def test_a_finished_config_is_locked():
  config = toy()
  assert config.variant == "" and config.is_locked
  with pytest.raises(AttributeError):
    config.epoch = 4
  with pytest.raises(AttributeError):
    config.optimizer.rate = 4


@pytest.mark.parametrize(
  "variant, epochs, rate, model",
  [
    ("", 3, 0.1, "mlp"),
    ("fast", 1, 1.0, "mlp"),
    ("slow", 9, 0.1, "cnn"),
    ("fast,slow", 9, 1.0, "cnn"),
    ("slow,fast", 1, 1.0, "cnn"),
  ],
)
def test_variants_combine_and_the_last_one_wins(variant, epochs, rate, model):
  config = toy(variant)
  assert config.variant == variant
  assert (config.epochs, config.optimizer.learning_rate) == (epochs, rate)
  assert config.model.name == model
  assert config.optimizer.momentum == 0.9  # what no variant names stays


@pytest.mark.parametrize(
  "variant, sentence",
  [
    ("paper", "toy has no variant 'paper'; it has fast, slow, wrong"),
    ("fast,paper", "toy has no variant 'paper'"),
    ("wrong", "a variant sets config.optimizer.rate, which the config lacks"),
  ],
)
def test_a_wrong_variant_is_one_sentence(variant, sentence):
  with pytest.raises(UserError, match=sentence):
    toy(variant)


def test_flat_lists_leaves_by_dotted_key():
  nested = {"a": 1, "b": {"c": (1, 2), "d": {"e": None}}, "empty": {}}
  assert shared.flat(ConfigDict(nested)) == {"a": 1, "b.c": (1, 2), "b.d.e": None}


def changed(key, value):
  config = copy.deepcopy(toy())
  with config.unlocked():
    *parents, last = key.split(".")
    part = config
    for name in parents:
      part = part[name]
    part[last] = value
  return config


@pytest.mark.parametrize(
  "key, value",
  [
    ("variant", "fast"),
    ("seeds", 5),
    ("per_dispatch", 8),
    ("mesh.fsdp", 4),
    ("checkpoint.every", 7),
    ("eval.batch_size", 7),
    ("log.figures", False),
    ("data.folder", "elsewhere"),
    ("data.resident_bytes", 0),
    ("attack", {"eps": 0.1}),
  ],
)
def test_the_fingerprint_ignores_what_does_not_shape_training(key, value):
  assert shared.fingerprint(changed(key, value)) == shared.fingerprint(toy())


@pytest.mark.parametrize(
  "key, value",
  [
    ("method", "other"),
    ("seed", 1),
    ("epochs", 4),
    ("model.hidden", (4, 5)),
    ("optimizer.schedule.warmup", 1.0),
    ("insert", ({"at": "relu", "kind": "dropout"},)),
    ("ema.decay", 0.9),
    ("data.limit", 11),
    ("data.label_noise", 0.1),
    ("inherit", "best"),
    ("dtype", "bfloat16"),
    ("seeds_of_data", 3),  # begins like "seeds" and is not below it
  ],
)
def test_the_fingerprint_names_what_does(key, value):
  ours, theirs = shared.fingerprint(toy()), shared.fingerprint(changed(key, value))
  differ = {k for k in {*ours, *theirs} if ours.get(k) != theirs.get(k)}
  assert differ == {f"config.{key}"}
  assert json.loads(theirs[f"config.{key}"]) == json.loads(json.dumps(value))


def test_the_fingerprint_carries_other_facts():
  with_fact = shared.fingerprint(toy(), data="digits")
  assert with_fact == {**shared.fingerprint(toy()), "data": '"digits"'}


def test_the_digest_is_short_and_of_the_content_alone():
  marks = shared.fingerprint(toy())
  digest = shared.digest(marks)
  assert len(digest) == 12 and int(digest, 16) >= 0
  assert digest == shared.digest(dict(reversed(marks.items())))
  assert digest != shared.digest({**marks, "config.epochs": "4"})
