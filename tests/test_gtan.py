"""GTAN as an experiment: trained, evaluated, predicted with, on files of one's own."""

import json
import shutil

import jax
import numpy as np
import pytest
import support

from configs import gtan as config_file
from jaxvision import experiment
from jaxvision.data.temporal import TemporalExamples, Windows
from jaxvision.errors import UserError
from jaxvision.methods.common import detection, windows
from jaxvision.metrics.temporal import Segments

TINY = {
  "data.length": 64,
  "data.generated.train": 64,
  "data.generated.val": 8,
  "data.generated.test": 8,
  "data.generated.width": 8,
  "batch_size": 16,
  "model.base_widths": (8, 8),
  "model.anchor_widths": (8, 8, 8),
  "suppression.keep": 20,
  "suppression.candidates": 40,
  "steps": 6,
  "per_dispatch": 3,
  "optimizer.schedule.warmup": 2.0,
  "checkpoint.every": 3,
  "eval.every": 0,
  "eval.batch_size": 4,
  "log.figures": False,
}


def configure(variant="", **changes):
  config = config_file.get_config(variant)
  for key, value in {**TINY, **changes}.items():
    config.update_from_flattened_dict({key: value})
  return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  target = tmp_path_factory.mktemp("gtan")
  experiment.run(configure(**{"log.figures": True}), target)
  return target


def test_results_hold_the_field_s_measures(folder):
  metrics = json.loads((folder / "results.json").read_text())["metrics"]
  assert {"map/avg", "map/0.50", "map/0.95", "ar/10", "ar/100", "auc"} <= set(metrics)
  assert all(0 <= metrics[k] <= 1 for k in ("map/avg", "ar/100", "auc"))
  assert metrics["map/0.50"] >= metrics["map/0.95"]


def test_figures_show_timelines(folder):
  names = [p.name for p in (folder / "figures").iterdir()]
  assert sum(name.startswith("timeline") for name in names) == 4


def test_eval_may_change_the_suppression(folder):
  changes = {"suppression.kind": "greedy", "metric.thresholds": (0.3, 0.5)}
  found = experiment.run(configure(**changes), folder, "eval")["metrics"]
  assert {"map/0.30", "map/0.50"} <= set(found)


def test_predict_writes_activitynet_json_and_timelines(folder, tmp_path):
  features = np.random.default_rng(0).normal(size=(90, 8)).astype(np.float32)
  np.save(tmp_path / "video_a.npy", features)
  experiment.run(configure(), folder, "predict", inputs=[str(tmp_path)])
  content = json.loads((folder / "predictions" / "results.json").read_text())
  (rows,) = content["results"].values()
  assert list(content["results"]) == ["video_a"]
  assert all(0 <= a < b <= 1 for a, b in (row["segment"] for row in rows))
  assert list((folder / "predictions").glob("*.png"))


def test_paper_scale_traces_without_data():
  config = config_file.get_config("paper")
  found = support.planned_parameters(experiment.method_module("gtan"), config)
  assert found > 44_640_768


def test_features_and_annotations_alone_make_a_run(tmp_path):
  rng = np.random.default_rng(0)
  database = {}
  for i in range(24):
    name = f"v{i:02d}"
    subset = "training" if i < 18 else "validation"
    np.save(tmp_path / f"{name}.npy", rng.normal(size=(50, 12)).astype(np.float32))
    annotations = [{"segment": [2.0, 9.0], "label": ("run", "jump")[i % 2]}]
    database[name] = {"duration": 20.0, "subset": subset, "annotations": annotations}
  path = tmp_path / "a.json"
  path.write_text(json.dumps({"database": database}))
  changes = {"data.features": str(tmp_path), "data.annotations": str(path)}
  changes |= {"data.length": 0, "batch_size": 4}
  config = configure(**changes)
  found = experiment.run(config, tmp_path / "run")
  assert np.isfinite(found["metrics"]["map/avg"])
  train = experiment.method_module("gtan").load(config).splits["train"]
  assert train.shape == (64, 12)  # 50 steps are next to 64; 12 numbers each


@pytest.mark.parametrize(
  "variant, layers", [("fixed,greedy", ()), ("unpooled,cell", (1, 2))]
)
def test_variants_and_grouping_train(tmp_path, variant, layers):
  config = configure(variant, **{"model.group_layers": layers, "steps": 3})
  assert 0 <= experiment.run(config, tmp_path)["metrics"]["map/avg"] <= 1


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"suppression.kind": "hard"}, "config.suppression.kind is 'hard'"),
    ({"loss.mining": "none"}, "config.loss: mining is 'none'"),
    ({"model.pooling": "sum"}, "config.model.pooling is 'sum'"),
    ({"metric.protocol": "coco"}, "config.metric.protocol is 'coco'"),
    ({"metric.thresholds": (0.5, 1.5)}, "config.metric.thresholds is (0.5, 1.5)"),
    ({"data.features": "/nowhere", "data.annotations": "/a.json"}, "/a.json"),
    ({"batch_size": 1000}, "config.batch_size is 1000"),
  ],
)
def test_mistakes_are_one_sentence(tmp_path, changes, words):
  with pytest.raises(UserError) as error:
    experiment.run(configure(**changes), tmp_path)
  assert words in str(error.value) and "\n" not in str(error.value)


def two_videos():
  """One of 30 seconds in two windows that overlap, one of 20 seconds in one."""
  empty = Segments(*(np.zeros(0, t) for t in (np.int64, np.int64, float, float)))
  return TemporalExamples(
    features=np.zeros((3, 20, 1), np.float32),
    segments=np.zeros((3, 1, 2), np.float32),
    label=np.zeros((3, 1), np.int32),
    valid=np.zeros((3, 1), bool),
    windows=Windows(
      video=np.array([0, 0, 1]),
      start=np.array([0.0, 10.0, 0.0]),
      end=np.array([20.0, 30.0, 20.0]),
      duration=np.array([30.0, 30.0, 20.0]),
    ),
    truth=empty,
    ambiguous=empty,
    videos=("a", "b"),
  )


def test_an_action_in_two_windows_is_found_once():
  config = config_file.get_config("greedy").suppression
  found = {  # seconds 12 to 18 of video 0, seen by both of its windows
    "segments": np.array([[[0.6, 0.9]], [[0.1, 0.4]], [[0.5, 0.75]]], np.float32),
    "label": np.array([[2], [2], [1]], np.int32),
    "score": np.array([[0.8], [0.9], [0.7]], np.float32),
  }
  merged = windows.merge(two_videos().windows, found, config, detection.suppress)
  assert merged.video.tolist() == [0, 1] and merged.label.tolist() == [2, 1]
  np.testing.assert_allclose(merged.score, [0.9, 0.7], rtol=1e-6)
  np.testing.assert_allclose(merged.start, [12, 10], rtol=1e-5)


@pytest.mark.parametrize("variant", ["", "thumos14"])
def test_perfect_detections_score_one(variant):
  truth = Segments(np.array([0, 1]), np.array([0, 1]), np.zeros(2), np.ones(2))
  perfect = truth._replace(score=np.ones(2))
  found = detection.measure(truth, perfect, config_file.get_config(variant).metric)
  assert found["map/avg"] == 1.0 and found["map/0.50"] == 1.0
  assert found["ar/100"] == 1.0


def test_resume_is_bit_for_bit(folder, tmp_path):
  again = tmp_path / "again"
  shutil.copytree(folder, again)
  shutil.rmtree(again / "checkpoints" / "train" / "6")  # leaves what step 3 saved
  (again / "results.json").unlink()
  found = experiment.run(configure(), again)
  whole = json.loads((folder / "results.json").read_text())
  assert found["metrics"] == whole["metrics"]
  plan = experiment.prepare(experiment.method_module("gtan"), configure())
  states = [experiment.final_state(plan, where) for where in (folder, again)]
  for a, b in zip(*map(jax.tree.leaves, states), strict=True):
    np.testing.assert_array_equal(a, b)
