"""`config.attack` on the classifiers of several methods, and its spelling."""

import json

import numpy as np
import pytest
from iekd_support import configure as iekd
from ml_collections import ConfigDict

from configs import continuous_dropout, gtan, quantization_networks
from jaxvision import cli, experiment, interruption
from jaxvision import config as config_lib
from jaxvision.errors import UserError
from jaxvision.methods.common import robust_attacks, robust_report

ATTACK = {
  "attack.name": "pgd, fgsm",
  "attack.steps": 2,
  "attack.eps": 0.1,
  "attack.examples": 90,
  "attack.curve": "fgsm",
  "attack.radii": (2.0, 0.5),
  "eval.batch_size": 60,
}
TINY = {"data.name": "digits", "data.limit": 200, "epochs": 1.0, "eval.every": 0}


def dropout(**changes):
  config = continuous_dropout.get_config()
  fields = {"model.hidden": (16,), "dependence.at": ("relu1",), "log.figures": False}
  config.update_from_flattened_dict({**TINY, **fields, **changes})
  return config


def ternary(**changes):
  """Weights of few bits, by a straight-through estimator."""
  config = quantization_networks.get_config("w2,scratch")
  with config.unlocked():
    config.model = {"name": "mlp", "hidden": (16,)}
  fields = {
    "quantize.weights": ({"at": "dense1/kernel", "levels": "w2"},),
    "phases.weights.epochs": 1.0,
    "batch_size": 40,
    "log.figures": False,
    **{k: v for k, v in TINY.items() if k != "epochs"},
  }
  config.update_from_flattened_dict({**fields, **changes})
  return config


def distilled(**changes):
  return iekd("kd", **{"epochs": 1.0, **changes})


def stepped(**changes):
  """Activations of two bits, hard at inference."""
  entry = {"at": "relu1", "levels": "a2"}
  return dropout(**{"quantize.activations": (entry,), **changes})


CONFIGS = {
  "dropout": dropout, "ternary": ternary, "stepped": stepped, "distilled": distilled
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """Folders of trained runs, by name, each trained when it is asked for."""
  folders = {}

  def folder(name):
    if name not in folders:
      folders[name] = tmp_path_factory.mktemp(name)
      experiment.run(CONFIGS[name](), folders[name])
    return folders[name]

  return folder


def attacked(name, folder, **changes):
  experiment.run(CONFIGS[name](**{**ATTACK, **changes}), folder, "eval")
  return json.loads((folder / "eval_test.json").read_text())["metrics"]


def test_a_classifier_is_attacked_in_several_ways(trained, capsys):
  folder = trained("dropout")
  found = attacked("dropout", folder, **{"log.figures": True})
  assert found["robust/pgd2"] <= found["robust/pgd2/clean"]
  assert 0 <= found["robust/fgsm"] < found["robust/fgsm/clean"] < 1
  assert found["robust/curve/0.2"] <= found["robust/curve/0.05"]
  figures = {path.name for path in (folder / "figures").iterdir()}
  assert figures >= {
    "adversarial_fgsm.png", "adversarial_pgd2.png", "robustness.png"
  }  # fmt: skip
  printed = capsys.readouterr().out
  assert "pgd2 within 0.1 on 90 of 355 images" in printed
  assert "batch 2: fgsm" in printed and "accuracy within 0.1" in printed
  assert "warning" not in printed


@pytest.mark.parametrize("name", ["ternary", "distilled"])
def test_quantized_and_distilled_ones_are_attacked_as_they_predict(trained, name):
  changes = {"attack.name": "fgsm", "attack.curve": ""}
  found = attacked(name, trained(name), **changes, **{"attack.examples": 0})
  assert 0 <= found["robust/fgsm"] < found["robust/fgsm/clean"]
  assert found["robust/fgsm/clean"] == pytest.approx(found["accuracy"])


def test_hard_activations_hide_gradients_from_all_but_square(trained, capsys):
  folder = trained("stepped")
  changes = {"attack.name": "fgsm,square", "attack.queries": 60, "attack.curve": ""}
  found = attacked("stepped", folder, **changes)
  assert found["robust/fgsm"] == found["robust/fgsm/clean"]
  assert found["robust/square60"] < found["robust/fgsm"]
  printed = capsys.readouterr().out
  assert printed.count("warning: the gradient is 0 at 32 of 32 points") == 1


def test_attacks_are_not_part_of_training():
  before = config_lib.fingerprint(dropout())
  assert config_lib.fingerprint(dropout(**ATTACK)) == before


def test_a_killed_evaluation_goes_on(trained, monkeypatch, capsys):
  folder = trained("dropout")
  expected = attacked("dropout", folder, **{"seed": 0, "attack.eps": 0.07})
  for path in (folder / robust_report.FOLDER).iterdir():
    path.unlink()
  (folder / "eval_test.json").unlink()
  own, calls = robust_attacks.fgsm, []

  def kill(*args, **more):
    calls.append(args)
    if len(calls) == 2:
      raise interruption.Interrupted
    return own(*args, **more)

  monkeypatch.setattr(robust_attacks, "fgsm", kill)
  changes = {"attack.eps": 0.07}
  with pytest.raises(interruption.Interrupted):
    attacked("dropout", folder, **changes)
  assert not (folder / "eval_test.json").exists()
  capsys.readouterr()
  assert attacked("dropout", folder, **changes) == expected
  printed = capsys.readouterr().out
  assert "resumed from batch 3" in printed and "resumed from batch 2" in printed


def test_training_attacks_the_chosen_checkpoint_in_its_end(tmp_path):
  changes = {**ATTACK, "attack.name": "fgsm", "attack.curve": ""}
  config = dropout(**changes, **{"eval.checkpoint": "best"})
  found = experiment.run(config, tmp_path)["metrics"]
  names = [name for name in found if "robust" in name]
  assert names == ["best/robust/fgsm", "best/robust/fgsm/clean"]
  clean = found["best/robust/fgsm/clean"]
  assert abs(clean - found["best/accuracy"]) < 0.2  # on fewer images


def test_what_is_no_classifier_of_images_is_refused(tmp_path):
  module = experiment.method_module("gtan")
  config = gtan.get_config()
  config.update_from_flattened_dict({"attack.name": "pgd"})
  data = module.load(config, abstract=True)
  method = module.build(config, data)
  attack = robust_report.attacker(config, data, method)
  with pytest.raises(UserError, match="classifiers of images"):
    attack({"params": {}, "step": np.int32(0)}, tmp_path)


def test_names_are_checked_before_anything_is_read():
  fields = ConfigDict({**config_lib.ATTACK, "name": "pgd,cw"})
  with pytest.raises(UserError, match="name='cw'; choose one of"):
    robust_attacks.names(fields)
  assert robust_attacks.names(ConfigDict(config_lib.ATTACK)) == []


@pytest.mark.filterwarnings("ignore:the load_module")  # ml_collections
@pytest.mark.parametrize(
  ("given", "read"),
  [
    ("--config.attack=autoattack", "--config.attack.name=autoattack"),
    ("--config.attack.name=pgd", "--config.attack.name=pgd"),
    ("--config.optimizer=adam", "--config.optimizer.name=adam"),
    ("--config.epochs=3", "--config.epochs=3"),
    ("--config.log=3", "--config.log=3"),  # it has no name: a mistake
    ("--config.attack", "--config.attack.name"),  # the value is the next argument
  ],
)
def test_a_part_of_the_config_is_chosen_by_its_name(given, read):
  argv = ["main.py", "--config=configs/continuous_dropout.py", given]
  assert cli.by_name(argv) == [*argv[:2], read]
