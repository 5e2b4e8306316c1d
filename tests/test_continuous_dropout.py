"""The method file: what a config turns into."""

import jax
import numpy as np
import pytest

from configs import continuous_dropout as config_file
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.methods import continuous_dropout as method
from jaxvision.ops import masks

TINY = {"data.name": "digits", "model.hidden": (16,), "dependence.at": ("relu1",)}


def configure(variant="", **changes):
  config = config_file.get_config(variant)
  config.update_from_flattened_dict({**TINY, **changes})
  return config


def test_mask_spec_reads_the_config():
  spec = method.mask_spec(configure("gaussian_03").mask)
  assert spec == masks.MaskSpec(kind="gaussian", std=0.3)
  assert method.mask_spec(configure("none").mask) is None


@pytest.mark.parametrize("variant", ["uniform", "gaussian_03", "gaussian_05"])
def test_matched_control_is_binary_and_as_noisy(variant):
  own = method.mask_spec(configure(variant).mask)
  control = method.mask_spec(configure(f"{variant},matched").mask)
  assert control.kind == "bernoulli"
  strengths = masks.noise_strength(own), masks.noise_strength(control)
  assert strengths[0] == pytest.approx(strengths[1], rel=1e-6)


def test_insertions_name_place_and_kind():
  found = method.insertions(configure())
  assert [(e["name"], e["at"], e["mask"], e["kind"]) for e in found] == [
    ("mask", "relu.*", "gaussian", "continuous_dropout"),
    ("input_mask", "input", "bernoulli", "continuous_dropout"),
  ]
  assert method.insertions(configure("none")) == []


def test_a_mask_out_of_range_is_one_sentence():
  with pytest.raises(UserError, match="low is 1"):
    method.mask_spec(configure("uniform", **{"mask.low": 1.0}).mask)


def test_a_mask_that_does_not_fit_its_place_fails_before_training():
  with pytest.raises(UserError, match="x has 2 axes"):
    config = configure(**{"mask.broadcast_axes": (1, 2)})
    method.build(config, method.load(config))


def trained_for_no_step(config):
  data = method.load(config)
  stage = method.build(config, data).stages[0]
  rows = stage.batches(0)[0]
  return data, jax.jit(stage.init)(jax.random.key(0), stage.frozen({}), rows)


def test_first_kernel_of_an_mlp_is_laid_out_as_the_image():
  data, state = trained_for_no_step(configure())
  kernel = method.first_kernel(state["params"], data.splits["train"].shape)
  assert kernel.shape == (16, 8, 8, 1)
  unit = np.asarray(state["params"]["dense1"]["kernel"])[:, 3]
  np.testing.assert_array_equal(kernel[3], unit.reshape(8, 8, 1))


def test_first_kernel_of_a_cnn():
  config = config_file.get_config("cnn")
  config.data.name = "digits"
  data, state = trained_for_no_step(config)
  kernel = method.first_kernel(state["params"], data.splits["train"].shape)
  own = np.asarray(state["params"]["conv1"]["kernel"])
  assert kernel.shape == (32, 3, 3, 1)
  np.testing.assert_array_equal(kernel[5], own[..., 5])


def test_monte_carlo_of_no_mask_is_the_plain_pass(tmp_path):
  changes = {"epochs": 1.0, "monte_carlo": 3, "log.figures": False}
  found = experiment.run(configure("none", **changes), tmp_path)["metrics"]
  assert found["monte_carlo/accuracy"] == found["accuracy"]
  assert found["monte_carlo/loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_dependence_is_measured_on_clean_activations(tmp_path):
  changes = {"epochs": 1.0, "log.figures": False, "dependence.examples": 50}
  config = configure(**changes)
  plan = experiment.prepare(method, config)
  experiment.run(config, tmp_path)
  state = experiment.final_state(plan, tmp_path)
  data = method.load(config)
  model = method.supervised.build_model(
    config, len(data.classes), method.insertions(config)
  )
  h = method.detectors(config, data, model, state, "test")["relu1"]
  image = data.splits["test"][np.arange(50)]["image"].reshape(50, -1) / 255
  layer = jax.device_get(state["params"]["dense1"])
  expected = np.maximum(image @ layer["kernel"] + layer["bias"], 0)
  np.testing.assert_allclose(h, expected, atol=1e-5)
