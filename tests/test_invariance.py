"""Patch Reordering and TICNN as experiments: trained, tested on moved images, drawn."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import support
from PIL import Image

from configs import patch_reordering, ticnn
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.methods.common import classifier, robustness, supervised, views
from jaxvision.train import sharding, state

CONFIGS = {"patch_reordering": patch_reordering, "ticnn": ticnn}
TINY = {
  "data.name": "digits",
  "data.limit": 100,
  "data.validation": 20.0,
  "epochs": 2.0,
  "batch_size": 20,
  "per_dispatch": 5,
  "model.widths": (4, 4),
  "model.dense_width": 8,
  "eval.every": 0,
  "eval.batch_size": 200,
  "retrieval.instances": 6,
  "robustness.examples": 30,
  "robustness.angles": (0, 90),
  "robustness.shifts": (0, 4),
  "log.figures": False,
}


def configure(method="ticnn", variant="", **changes):
  config = CONFIGS[method].get_config(variant)
  config.data.distort.test = config.data.distort.test[-1:]
  for key, value in {**TINY, **changes}.items():
    config.update_from_flattened_dict({key: value})
  return config


def prepared(config):
  """(data, the module of the method)."""
  module = experiment.method_module(config.method)
  return module.load(config), module


@pytest.fixture(scope="module", params=CONFIGS)
def run(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp(request.param)
  config = configure(request.param, **{"log.figures": True})
  return request.param, folder, experiment.run(config, folder)["metrics"]


def test_results_hold_every_pose_and_retrieval(run):
  method, _, metrics = run
  poses = {"patch_reordering": ["unseen"], "ticnn": ["rst"]}
  assert {f"{pose}/error" for pose in poses[method]} <= set(metrics)
  assert 0 <= metrics["retrieval/map"] <= 1 <= metrics["retrieval/ns"] <= 4
  assert metrics["error"] == pytest.approx(1 - metrics["accuracy"])


def test_figures_are_drawn(run):
  method, folder, _ = run
  own = {"patch_reordering": "reordering.png", "ticnn": "warps.png"}[method]
  names = {path.name for path in (folder / "figures").iterdir()}
  assert {
    own,
    "retrieval.png",
    "accuracy_by_angle.png",
    "accuracy_by_shift.png",
  } <= names


@pytest.mark.parametrize(
  "method, variant",
  [
    ("patch_reordering", "levels2,shared,translated"),
    ("ticnn", "input,per_sample,affine,always"),
    ("ticnn", "gaussian,rotation"),
  ],
)
def test_variants_train(tmp_path, method, variant):
  config = configure(method, variant, **{"retrieval.source": "", "epochs": 1.0})
  config.data.distort.test = ()
  metrics = experiment.run(config, tmp_path)["metrics"]
  assert 0 <= metrics["accuracy"] <= 1 and "retrieval/ns" not in metrics


@pytest.mark.parametrize("method", CONFIGS)
def test_paper_plans(method):
  config = CONFIGS[method].get_config("paper")
  found = support.planned_parameters(experiment.method_module(method), config)
  assert found == 62_397_480


@pytest.mark.parametrize("name", ["ti_pooling", "si_cnn", "spatial_transformer"])
def test_other_nets_have_no_warps(name):
  data, module = prepared(configure(variant=name, **{"data.distort.test": ()}))
  assert not module.build(configure(variant=name), data).inserted


def test_a_warp_acts_in_training_only():
  config = configure()
  module = experiment.method_module(config.method)
  model = supervised.build_model(config, 10, module.insertions(config))
  x = jax.random.uniform(jax.random.key(0), (4, 32, 32, 1))
  variables = jax.jit(model.init)(jax.random.key(1), x)
  plain = model._replace(rules=())

  @functools.partial(jax.jit, static_argnums=(0, 1))
  def apply(net, train, key):
    rngs = {"dropout": jax.random.key(key)}
    return net.apply(variables, x, train=train, rngs=rngs)

  np.testing.assert_array_equal(apply(model, False, 0), apply(plain, False, 0))
  still = apply(plain, True, 0)
  moved = [np.abs(apply(model, True, key) - still).max() > 1e-4 for key in range(12)]
  assert 0 < sum(moved) < 12  # each of two places leaves maps alone 9 times of 16


def test_views_are_fresh_in_training_and_fixed_in_evaluation():
  config = configure(**{"data.distort.train": "rst"})
  made = views.make_views(config)
  image = jnp.full((2, 8, 8, 1), 255, jnp.uint8)
  draw = jax.jit(lambda seed: made.train(jax.random.key(seed), image))
  assert draw(0).shape == (2, 32, 32, 1) and np.abs(draw(0) - draw(1)).max() > 0.1
  test, val = made.evaluate["test"], made.evaluate["val"]
  assert set(test) == {"", *config.data.distort.test} and set(val) == {""}
  rows, see = jnp.arange(2), jax.jit(test["rst"])
  np.testing.assert_array_equal(see(rows, image), see(rows, image))
  # a row's pose does not depend on its batch
  np.testing.assert_allclose(see(rows, image)[1:], see(rows[1:], image[1:]), atol=1e-6)
  differences = jax.jit(lambda: test[""](rows, image) - val[""](rows, image))()
  assert np.abs(differences).max() > 0.1


def test_plain_view_is_still_and_of_the_same_size():
  config = configure("patch_reordering")
  made = views.make_views(config)
  image = jnp.full((2, 8, 8, 1), 255, jnp.uint8)
  x = np.asarray(jax.jit(made.plain)(image))
  np.testing.assert_array_equal(x[0], x[1])
  assert x[:, :16, :16].sum() > 100 and x[:, 17:, 17:].sum() == 0  # top left
  spec = made.plain(jax.ShapeDtypeStruct((1, 8, 8, 1), np.uint8))
  assert spec.shape == (1, 32, 32, 1) and spec.dtype == np.float32


def test_robustness_at_rest_is_the_accuracy_on_plain_images():
  config = configure(**{"data.distort.test": (), "robustness.examples": 1000})
  data, module = prepared(config)
  model = supervised.build_model(config, 10, module.insertions(config))
  spec = classifier.network_input(config, data)
  now = sharding.place_replicated(
    jax.jit(model.init)(jax.random.key(0), jnp.zeros(spec.shape)),
    sharding.build_mesh(config.mesh),
  )
  (found,) = robustness.accuracies(config, data, model, now, [(0.0, 0.0)])
  test = data.splits["test"]
  batch = test[np.arange(len(test))]
  plain = views.make_views(config).plain
  logits = jax.jit(lambda v, image: model.apply(v, plain(image)))
  right = logits(state.variables(now), batch["image"]).argmax(1) == batch["label"]
  assert found == pytest.approx(float(right.mean()), abs=0.01)


@pytest.mark.parametrize(
  "method, changes, words",
  [
    ("ticnn", {"data.distort.task": "moved"}, "config.data.distort: the distortion is"),
    ("ticnn", {"data.distort.test": ("upside",)}, "'unseen_pose/upside'"),
    ("ticnn", {"transform.at": "relu9"}, "matches no place"),
    ("ticnn", {"transform.border": "wrap"}, "border is 'wrap'"),
    (
      "ticnn",
      {"retrieval.source": "oxford:x"},
      "config.retrieval.source is 'oxford:x'",
    ),
    ("ticnn", {"retrieval.distortion": "x"}, "config.retrieval.distortion"),
    ("ticnn", {"retrieval.source": "holidays:nowhere"}, "nowhere"),
    (
      "ticnn",
      {"model.name": "ti_pooling", "transform.at": ""},
      "'relu_dense' holds (24, 8) for one image",
    ),
    ("ticnn", {"retrieval.at": "relu9"}, "config.retrieval.at: 'relu9' is no place"),
    ("patch_reordering", {"reorder.n": 0}, "n is 0"),
    ("patch_reordering", {"reorder.levels": 5}, "x is 8x8"),
  ],
)
def test_mistakes_are_one_sentence(tmp_path, method, changes, words):
  changes = {"epochs": 0.2, "data.distort.test": (), **changes}
  with pytest.raises(UserError) as error:
    experiment.run(configure(method, **changes), tmp_path)
  assert words in str(error.value) and "\n" not in str(error.value)


def test_own_folder_of_groups_is_scored(tmp_path, run):
  method, folder, _ = run
  rng = np.random.default_rng(0)
  for i in range(8):
    picture = Image.fromarray(rng.integers(0, 255, (32, 32), np.uint8))
    picture.save(tmp_path / f"ukbench{i:05d}.jpg")
  config = configure(method, **{"retrieval.source": f"ukbench:{tmp_path}"})
  found = experiment.run(config, folder, "eval")["metrics"]
  assert 1 <= found["retrieval/ns"] <= 4 and "retrieval/map" not in found
  assert json.loads((folder / "results.json").read_text())["method"] == method
