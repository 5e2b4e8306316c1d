"""STIGCN as an experiment: trained, evaluated, predicted with, changed by a config."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skeleton_support
from PIL import Image

from configs import stigcn as config_file
from jaxvision import experiment
from jaxvision.data.skeletons import read_clip
from jaxvision.errors import UserError
from jaxvision.methods import stigcn as method
from jaxvision.methods.common import skeleton_data, skeleton_predictions
from jaxvision.metrics.classification import fuse_scores, in_top_k
from jaxvision.ops import graphs, trees
from jaxvision.ops import skeletons as ops
from jaxvision.ops.quantization import hard_quantize
from jaxvision.train import sharding

PAIR = skeleton_support.NAMES[1]  # two persons
GOLDEN = skeleton_support.GOLDEN / "S001C002P001R001A009.skeleton"
TINY = {
  "data.generated.train": 16,
  "data.generated.val": 4,
  "data.generated.test": 6,
  "batch_size": 8,
  "epochs": 1.0,
  "model.widths": (4, 4),
  "eval.every": 0,
  "eval.batch_size": 4,
  "checkpoint.every": 0,
  "log.figures": False,
}


def configure(variant="", **changes):
  config = config_file.get_config(variant)
  config.update_from_flattened_dict({**TINY, **changes})
  return config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  target = tmp_path_factory.mktemp("stigcn")
  experiment.run(configure(**{"log.figures": True}), target)
  return target


def frames(path):
  return Image.open(path).n_frames


def test_results_hold_accuracy_error_and_loss(folder):
  metrics = json.loads((folder / "results.json").read_text())["metrics"]
  assert metrics["accuracy"] == pytest.approx(1 - metrics["error"])
  assert metrics["loss"] > 0 and "accuracy_top5" not in metrics  # of 8 classes


def test_figures_are_films_of_test_clips(folder):
  films = sorted((folder / "figures").glob("clip_*.gif"))
  assert [frames(film) for film in films] == [32] * 4


def test_predict_reads_a_recording_of_ntu(folder, tmp_path):
  shutil.copy(GOLDEN, tmp_path / "a.skeleton")
  experiment.run(configure(), folder, "predict", inputs=[str(tmp_path)])
  content = json.loads((folder / "predictions" / "predictions.json").read_text())
  (row,) = content.values()
  assert row["class"] == max(row["scores"], key=row["scores"].get)
  assert len(row["scores"]) == 8
  assert sum(row["scores"].values()) == pytest.approx(1, abs=1e-5)
  assert frames(folder / "predictions" / "a.gif") == 26  # not the zeros behind them


@pytest.mark.parametrize("normalize", ops.NORMALIZATIONS)
def test_films_of_two_persons_and_of_two_files_of_one_name(tmp_path, normalize):
  config, path = configure(), skeleton_support.GOLDEN / f"{PAIR}.skeleton"
  data = method.load(config)._replace(normalize=normalize)
  clip = read_clip(path, persons=2, length=40)
  assert clip[1].any()
  chance = np.eye(8)[2]
  clips = {"one/a.skeleton": clip, "two/a.skeleton": clip[:, :5]}
  rows = {
    name: {"probabilities": chance, "importance": x[..., 0]}
    for name, x in clips.items()
  }
  skeleton_predictions.writer(config, data)(clips, rows, tmp_path)
  assert [frames(tmp_path / f"a_{i}.gif") for i in (0, 1)] == [24, 5]
  content = json.loads((tmp_path / "predictions.json").read_text())
  assert [row["class"] for row in content.values()] == [data.classes[2]] * 2


def test_statistics_are_those_of_the_logits():
  config = configure()
  data = method.load(config)
  found = method.build(config, data)
  stage = found.stages[0]
  now = jax.jit(stage.init)(jax.random.key(0), stage.frozen({}), stage.batches(0)[0])
  now = sharding.place_replicated(now, sharding.build_mesh(config.mesh))
  metrics = stage.evaluate(now, {}, "test")  # 6 clips in padded batches
  clips, label = data.splits["test"].arrays().values()
  outputs = jax.jit(found.predict)(found.variables(now), clips)
  right = np.argmax(outputs["logits"], -1) == label
  assert metrics["accuracy"] == pytest.approx(right.mean())
  chance = np.asarray(outputs["probabilities"])[np.arange(6), label]
  assert metrics["loss"] == pytest.approx(-np.log(chance).mean(), rel=1e-4)
  every = method.probabilities(config, data, found, now, "test")
  np.testing.assert_allclose(every, outputs["probabilities"], atol=1e-5)


def test_bits_of_a_class_are_counted_one_by_one():
  label = jnp.arange(8)
  found = method.bit_hits(jax.nn.one_hot(label ^ 0b100, 8), label)  # far is wrong
  assert {k: float(v.mean()) for k, v in found.items()} == {
    "accuracy/near": 1.0,
    "accuracy/tempo": 1.0,
    "accuracy/far": 0.0,
  }


def test_clips_that_do_not_fit_into_memory_are_streamed():
  data = method.load(configure())
  kept, streamed = (
    method.build(configure(**{"data.resident_bytes": size}), data).stages[0]
    for size in (2**20, 0)
  )
  rows, batch = kept.batches(3)[1], streamed.batches(3)[1]
  assert "data" in kept.frozen({}) and "data" not in streamed.frozen({})
  for name, array in kept.frozen({})["data"].items():
    np.testing.assert_array_equal(array[rows], batch[name])
    assert streamed.spec[name].shape == batch[name].shape


def pipeline_of(config, normalize="none"):
  data = method.load(config)._replace(normalize=normalize)
  clips = data.splits["test"].arrays()["skeleton"]
  return skeleton_data.pipeline(config, data), jnp.asarray(clips)


@pytest.mark.parametrize("name", ops.STREAMS)
def test_the_network_sees_streams_of_normalized_clips(name):
  seen, clips = pipeline_of(configure(name), "clip")
  moved = clips + 0.7  # normalization undoes it
  parents = graphs.skeleton("ntu").parents
  expected = ops.stream(ops.normalize(clips, kind="clip"), name, parents)
  np.testing.assert_allclose(seen.plain(moved), expected, atol=1e-5)
  key = jax.random.key(0)  # nothing is augmented: training sees the same
  np.testing.assert_allclose(seen.train(key, moved), expected, atol=1e-5)


def test_training_clips_are_augmented_before_the_stream():
  changes = {"data.augment.window": 20, "data.augment.rotate": 0.3}
  seen, clips = pipeline_of(configure("bone", **changes))
  key = jax.random.key(0)
  bones = seen.train(key, clips)
  assert bones.shape == (6, 1, 20, 25, 3) and seen.plain(clips).shape[2] == 32
  turned = ops.bone_stream(seen.augment(key, clips), graphs.skeleton("ntu").parents)
  np.testing.assert_array_equal(bones, turned)
  assert not np.allclose(bones, seen.train(jax.random.key(1), clips))


def test_flipping_mirrors_the_data_s_own_skeleton():
  seen, clips = pipeline_of(configure(**{"data.augment.flip": 1.0}))
  flipped = seen.train(jax.random.key(0), clips)
  np.testing.assert_allclose(flipped[..., 8, 0], -clips[..., 4, 0])
  np.testing.assert_allclose(flipped[..., 8, 1:], clips[..., 4, 1:])


def linear(weights, x):
  """Logits that are homogeneous in x: the importance of all joints sums to them."""
  return jnp.einsum("bmtvc,mtvck->bk", x, weights)


def test_importance_is_gradient_times_input_whatever_the_stream():
  config = configure("bone")
  seen, clips = pipeline_of(config, "clip")
  weights = jax.random.normal(jax.random.key(0), (1, 32, 25, 3, 8))
  found = skeleton_predictions.predict_fn(config, linear, seen)(weights, clips)
  assert found["importance"].shape == (6, 1, 32, 25)
  total = found["importance"].sum((1, 2, 3))
  np.testing.assert_allclose(total, found["logits"].max(-1), rtol=1e-3, atol=1e-3)
  config.eval.importance = False
  found = skeleton_predictions.predict_fn(config, linear, seen)(weights, clips)
  assert set(found) == {"logits", "probabilities"}


QUANTIZED = {
  "insert": ({"at": ".*/relu", "kind": "continuous_dropout", "mask": "gaussian"},),
  "quantize.weights": (
    {"at": "(stem|logits)/.*", "quantizer": "none"},
    {"at": ".*/kernel", "levels": "w2"},
  ),
  "quantize.options.method": "linear",
}


def test_ternary_stigcn_with_gaussian_dropout_is_a_config():
  config = configure(**QUANTIZED)
  found = method.build(config, method.load(config))
  dropout, *_, weights = found.inserted
  assert "stage1/block0/relu" in dropout and "w2 for the weights" in weights
  stage = found.stages[0]
  frozen, rows, key = stage.frozen({}), stage.batches(0), jax.random.key(0)
  now = jax.jit(stage.init)(key, frozen, rows[0])
  step = jax.jit(stage.step)
  after, logs = step(now, frozen, rows[0], key)
  _, others = step(now, frozen, rows[0], jax.random.key(1))
  assert np.isfinite(logs["loss"]) and logs["loss"] != others["loss"]  # other masks
  model = method.build_model(config, method.load(config))
  values = jax.tree.leaves(after["params"])
  params = dict(zip(trees.paths(after["params"]), values, strict=True))
  owned = model.model.owned(after["params"])
  assert "stage1/block0/spatial/project/kernel" in owned
  for path, own in owned.items():
    levels = hard_quantize(params[path], **own, levels=(-1, 0, 1)) / own["alpha"]
    assert set(np.unique(np.round(levels, 5))) <= {-1.0, 0.0, 1.0}


def test_a_baseline_learns():
  config = configure("st_gcn,bone_motion", **{"model.widths": (8, 8)})
  stage = method.build(config, method.load(config)).stages[0]
  frozen, rows, key = stage.frozen({}), stage.batches(0)[0], jax.random.key(0)
  step = jax.jit(stage.step)
  now, before = step(jax.jit(stage.init)(key, frozen, rows), frozen, rows, key)
  for _ in range(4):
    now, after = step(now, frozen, rows, key)
  assert after["loss"] < before["loss"]


@pytest.mark.parametrize("variant", sorted(config_file.VARIANTS))
def test_every_variant_is_a_network_and_a_pipeline(variant):
  config = config_file.get_config(variant)
  data = method.load(config, abstract=True)
  method.build_model(config, data)
  clips = skeleton_data.inputs(data)
  seen = jax.eval_shape(skeleton_data.pipeline(config, data).plain, clips)
  assert seen.shape == clips.shape


@pytest.mark.parametrize(
  "variant, parameters",
  [
    ("paper", 1_596_474),
    ("ntu120_xset,bone", 1_611_894),
    ("kinetics", 1_671_730),
    ("ntu60_xview,agcn_full", 3_469_510),
    ("single", 4032 + 170),  # of the fixed graph, and of the one from the data
    ("", 7952),
  ],
)
def test_sizes_are_those_of_the_specification(variant, parameters):
  config = config_file.get_config(variant)
  data = method.load(config, abstract=True)
  model = method.build_model(config, data)
  seen = jax.ShapeDtypeStruct((1, *data.splits["train"].shape), jnp.float32)
  spec = jax.eval_shape(model.init, jax.random.key(0), seen)["params"]
  assert sum(x.size for x in jax.tree.leaves(spec)) == parameters


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"model.graph": "openpose"}, "have 25 joints"),
    ({"model.graph": "horse"}, "no skeleton 'horse'"),
    ({"data.stream": "speed"}, "config.data.stream='speed'"),
    ({"model.branches": ("up",)}, "config.model.branches"),
    ({"batch_size": 1000}, "config.batch_size is 1000"),
  ],
)
def test_mistakes_are_one_sentence(tmp_path, changes, words):
  with pytest.raises(UserError) as error:
    experiment.run(configure(**changes), tmp_path)
  assert words in str(error.value) and "\n" not in str(error.value)


def test_unusable_inputs_are_one_sentence(tmp_path):
  data = method.load(configure())
  read = skeleton_data.reader(data)
  content, _, _ = skeleton_support.kinetics_clip()
  path = tmp_path / "clip.json"
  path.write_text(json.dumps(content))
  with pytest.raises(UserError, match="has 18 joints, but the network was trained on"):
    list(read([str(path)]))
  (tmp_path / "empty").mkdir()
  with pytest.raises(UserError, match="is no file and has no"):
    list(read([str(tmp_path / "empty")]))


@pytest.mark.parametrize("jit", [False, True])
def test_fused_scores_are_a_weighted_sum(jit):
  joint = jnp.array([[0.6, 0.4, 0.0], [0.1, 0.5, 0.4]])
  bone = jnp.array([[0.1, 0.1, 0.8], [0.3, 0.6, 0.1]])
  fuse = jax.jit(fuse_scores, static_argnums=1) if jit else fuse_scores
  np.testing.assert_allclose(fuse([joint, bone]), joint + bone, rtol=1e-6)
  found = fuse([joint, bone], (2.0, 1.0))
  np.testing.assert_allclose(found, 2 * joint + bone, rtol=1e-6)
  label = jnp.array([0, 1])
  assert in_top_k(fuse([joint, bone]), label).tolist() == [False, True]
  assert in_top_k(found, label).tolist() == [True, True]


@pytest.mark.parametrize(
  "scores, weights",
  [
    ([], None),
    ([jnp.zeros((2, 3))], (1.0, 1.0)),
    ([jnp.zeros((2, 3)), jnp.zeros((1, 3))], None),  # would broadcast
  ],
)
def test_scores_that_do_not_belong_together(scores, weights):
  with pytest.raises(ValueError, match="scores"):
    fuse_scores(scores, weights)
