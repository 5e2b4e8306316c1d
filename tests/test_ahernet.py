"""AherNet as an experiment: trained, evaluated, predicted with, planned."""

import json

import jax
import numpy as np
import pytest
from ahernet_support import TINY, configure

from configs import ahernet as config_file
from experiments import arm_timelines, claims
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.methods import ahernet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  target = tmp_path_factory.mktemp("runs") / "ahernet" / "full" / "seed_0"
  changes = {"log.figures": True, "log.every": 2}
  experiment.run(configure(**changes), target)
  return target


def results(folder):
  return json.loads((folder / "results.json").read_text())


def test_both_stages_run_and_measure_target_classes(folder):
  found = results(folder)
  assert found["steps"] == {"localizer": 2, "train": 4}
  metrics = found["metrics"]
  names = {"map/avg", "ar/10", "localizer/ar/100", "discriminator_accuracy"}
  assert names <= set(metrics)
  assert all(0 <= metrics[name] <= 1 for name in names)


def test_figures_show_timelines_and_the_discriminators_accuracy(folder):
  names = {p.name for p in (folder / "figures").iterdir()}
  assert {"training_localizer.png", "training_train.png"} <= names
  assert sum(name.startswith("timeline") for name in names) == 4
  rows = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
  train = [r for r in rows if r["stage"] == "train" and r["split"] == "train"]
  assert all("discriminator_accuracy" in row for row in train)


def test_training_starts_with_what_the_localizer_has_learned(folder):
  plan = experiment.prepare(ahernet, configure())
  warm, main = plan.method.stages
  states = {"localizer": experiment.final_state(plan, folder)}
  begun = main.frozen(states)["start"]["params"]
  jax.tree.map(np.testing.assert_array_equal, begun, states["localizer"]["params"])
  assert warm.monitor == "ar/100"


def test_predict_writes_activitynet_json_and_timelines(folder, tmp_path):
  rng = np.random.default_rng(0)
  np.save(tmp_path / "video_a.npy", rng.normal(size=(50, 6)).astype(np.float32))
  changes = {"log.figures": True, "suppression.class_of": "cell"}
  experiment.run(configure(**changes), folder, "predict", inputs=[str(tmp_path)])
  content = json.loads((folder / "predictions" / "results.json").read_text())
  rows = content["results"]["video_a"]
  assert rows and all(0 <= a < b <= 1 for a, b in (row["segment"] for row in rows))
  assert {row["label"] for row in rows} <= {"target 0", "target 1"}
  assert list((folder / "predictions").glob("*.png"))


def test_arms_are_drawn_below_the_truth(folder, monkeypatch):
  arms = {"full": claims.Arm("", TINY)}
  protocol = claims.Protocol("", "configs/ahernet.py", arms, (), {})
  monkeypatch.setattr(claims, "load", lambda method: protocol)
  drawn = arm_timelines.draw("ahernet", folder.parents[2], None, 2, 5)
  assert {p.name for p in drawn.iterdir()} == {"arms_window_0.png", "arms_window_1.png"}
  with pytest.raises(UserError, match="no run of ahernet with seed 7"):
    arm_timelines.draw("ahernet", folder.parents[2], 7, 2, 5)


def test_the_code_s_scale_plans_without_files():
  config = config_file.get_config("activitynet_kinetics600")
  method = ahernet.build(config, ahernet.load(config, abstract=True))
  warm, main = method.stages
  assert (warm.steps, main.steps) == (15000, 15000)
  assert set(main.spec) == {"moments", "foreground", "source"}
  assert main.spec["moments"]["features"].shape == (16, 256, 2048)
  state = jax.eval_shape(main.init, jax.random.key(0), {}, main.spec)
  assert state["params"]["regv_source"]["layer1"]["bias"].shape == (200,)
  assert sum(name.startswith("opt_") for name in state) == 10


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"decay_unit": "epochs"}, "config.decay_unit is 'epochs'"),
    ({"suppression.class_of": "clip"}, "config.suppression.class_of is 'clip'"),
    ({"suppression.rating": "class"}, "config.suppression.rating is 'class'"),
    ({"suppression.kind": "hard"}, "config.suppression.kind is 'hard'"),
    (
      {"quantize.weights": ({"at": ".*", "levels": "ternary"},)},
      "config.quantize does",
    ),
    ({"optimizer.freeze": ("backbone/.*",)}, "config.optimizer.groups and freeze"),
    ({"model.class_weights": "mean"}, "config.model.class_weights is 'mean'"),
    ({"loss.mining": "none"}, "config.loss: mining is 'none'"),
  ],
)
def test_mistakes_are_one_sentence(changes, words):
  config = configure(**changes)
  with pytest.raises(UserError, match=words):
    ahernet.build(config, ahernet.load(config))
