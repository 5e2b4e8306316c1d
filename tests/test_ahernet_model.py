"""AherNet's network: published sizes, the authors' arrays, properties of its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import ahernet_params, joined

from jaxvision.errors import UserError
from jaxvision.models.ahernet import AherNet
from jaxvision.models.moments import Classifier, WeightTransfer
from jaxvision.models.temporal import TemporalBackbone
from jaxvision.ops.detections import decode_classified

KEY = jax.random.key(0)
# The authors' widths, divided by 64 as in the golden arrays.
MODEL = AherNet(
  classes=7,
  source_classes=2,
  base_widths=(32, 16),
  anchor_widths=(4, 4, 8, 8, 16, 16, 32, 32),
  generators=False,
)
LAYERS = range(1, 9)
SMALL, X = MODEL.clone(anchor_widths=(4, 8)), jnp.zeros((1, 32, 32))  # 8 and 4 cells


def golden_params(golden):
  """The authors' variables in our names."""
  trunk = ahernet_params(golden("ahernet_detector"))
  arrays = golden("ahernet_classes")

  def layer(j, name, scope="box", **changes):
    path = f"params_tf/conv_a{j}_{scope}/{name}"
    return {"kernel": arrays[f"{path}/weights"], "bias": arrays[f"{path}/biases"]}

  def classifier(j):
    found = layer(j, "conv_action_anet")
    return {**found, "kernel": found["kernel"][0]}

  parts = {"weight1": 1, "weight2": 2, "bias1": 3, "bias2": 4}
  return {
    "backbone": {name: trunk[name] for name in ("base", "pyramid")},
    "heads": {f"head{j}": trunk[f"head{j}"] for j in LAYERS},
    "regv_target": {f"layer{j}": classifier(j) for j in LAYERS},
    "transfer": {
      f"layer{j}": {name: layer(j, f"fully{i}") for name, i in parts.items()}
      for j in LAYERS
    },
    "disc": {f"layer{j}": layer(j, "d_conv_adv", "adv") for j in LAYERS},
  }


@pytest.fixture(scope="module")
def outputs(golden):
  """What the network makes of the authors' features, with the authors' parameters."""
  variables = {"params": jax.tree.map(jnp.asarray, golden_params(golden))}
  x = jnp.asarray(golden("ahernet_detector")["net/x"])

  @jax.jit
  def run(variables, x):
    methods = ("classify_clips", "discriminate")
    others = [MODEL.apply(variables, x, method=name) for name in methods]
    layers = MODEL.apply(variables, x, method=lambda model, x: model.backbone(x))
    return MODEL.apply(variables, x), *others, layers

  return run(variables, x)


def test_sizes_at_the_papers_scale():
  model = AherNet(classes=600, source_classes=200)
  x = jax.ShapeDtypeStruct((1, 512, 2048), jnp.float32)
  found, variables = jax.eval_shape(model.init_with_output, KEY, x)
  assert found.proposals.anchors.shape == (1, 765, 2)
  assert found.classes.shape == (1, 255, 600)
  params = variables["params"]
  sizes = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in params.items()}
  assert sizes.pop("gen_start") + sizes.pop("gen_end") == 25_171_968
  assert sizes == {
    "backbone": 44_640_768,
    "heads": 345_720,
    "regv_source": 1_537_600,
    "regv_target": 4_612_800,
    "transfer": 22_297_632,
    "disc": 69_144,
  }


def test_layers_are_the_authors(golden, outputs):
  arrays = golden("ahernet_classes")
  for j, layer in zip(LAYERS, outputs[-1], strict=True):
    np.testing.assert_allclose(layer, arrays[f"net/feat{j}"], atol=1e-5)


@pytest.mark.parametrize(
  ("steps", "cells"),
  [(512, [128, 64, 32, 16, 8, 4, 2, 1]), (256, [64, 32, 16, 8, 4, 2, 1, 1])],
)
def test_cells_of_windows_and_of_moments(steps, cells):
  run = lambda: TemporalBackbone((1,), (1,) * 8).init_with_output(
    KEY, jnp.zeros((1, steps, 1))
  )
  layers, _ = jax.eval_shape(run)
  assert [layer.shape[1] for layer in layers] == cells


def test_proposals_are_the_authors(golden, outputs):
  arrays, found = golden("ahernet_detector"), outputs[0].proposals
  for name, ours in (("prop_logits", found.logits), ("loc", found.offsets)):
    np.testing.assert_allclose(ours, joined(arrays, f"net/{name}"), atol=1e-5)
  overlap = joined(arrays, "net/iou")[..., 0]
  np.testing.assert_allclose(found.overlap, overlap, atol=1e-5)


def test_classes_of_cells_and_clips_and_discriminators_are_the_authors(golden, outputs):
  arrays = golden("ahernet_classes")
  found, clips, background, _ = outputs
  expected = joined(arrays, "net/clsa_logits")
  np.testing.assert_allclose(found.classes, expected, atol=1e-5)
  expected = np.stack([arrays[f"net/regv_logits{j}"][:, 0, 0] for j in LAYERS])
  np.testing.assert_allclose(clips, expected, atol=1e-5)
  expected = joined(arrays, "net/disc_logits")[..., 0]
  np.testing.assert_allclose(background, expected, atol=1e-5)


def test_transferred_weights_are_the_authors(golden):
  arrays = golden("ahernet_classes")
  params = jax.tree.map(jnp.asarray, golden_params(golden)["transfer"])
  layers = [
    Classifier(jnp.asarray(arrays[f"transfer/W{j}"].T), arrays[f"transfer/b{j}"])
    for j in LAYERS
  ]
  found = jax.jit(WeightTransfer().apply)({"params": params}, layers)
  for j, (kernel, bias) in zip(LAYERS, found, strict=True):
    np.testing.assert_allclose(kernel.T, arrays[f"transfer/W_out{j}"], atol=1e-5)
    np.testing.assert_allclose(bias, arrays[f"transfer/b_out{j}"], atol=1e-5)


@pytest.mark.parametrize(
  ("weights", "has"),
  [
    ("transfer", {"transfer"}),
    ("same", set()),
    ("direct", {"clsa_source", "clsa_target"}),
  ],
)
def test_forms_of_the_cells_classifiers(weights, has):
  model = SMALL.clone(class_weights=weights)
  params = jax.eval_shape(model.init, KEY, X)["params"]
  always = {"backbone", "heads", "regv_source", "regv_target", "disc"}
  assert set(params) == always | has


@pytest.mark.parametrize("domain", ["source", "target"])
def test_domains_have_their_own_classes(domain):
  run = lambda: SMALL.init_with_output(KEY, X, domain=domain)[0].classes
  cells = jax.eval_shape(run)
  assert cells.shape == (1, 12, {"source": 2, "target": 7}[domain])


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"class_weights": "mean"}, "class_weights is 'mean'"),
    ({"transfer_activation": "gelu"}, "transfer_activation is 'gelu'"),
    ({"transfer_start": "zero"}, "transfer_start is 'zero'"),
    ({"generators": True, "generator_output": "elu"}, "generator_output is 'elu'"),
  ],
)
def test_an_unknown_choice_is_refused(fields, words):
  with pytest.raises(UserError, match=words):
    jax.eval_shape(SMALL.clone(**fields).init, KEY, X)


def decode(outputs, **options):
  return jax.jit(lambda o: decode_classified(o, **options))(outputs)


def test_a_video_has_one_class_and_a_cell_its_own(outputs):
  found = outputs[0]
  chance = np.asarray(jax.nn.softmax(found.classes))
  segments, scores = decode(found, class_of="video")
  real = np.isfinite(scores).any(-1)
  assert real.any() and (np.diff(segments)[real] > 0).all()
  for i, mean in enumerate(chance.mean(1)):
    assert (scores[i][real[i]].argmax(-1) == mean.argmax()).all()
    expected = found.proposals.overlap[i] * mean.max()
    np.testing.assert_allclose(scores[i].max(-1)[real[i]], expected[real[i]], rtol=1e-5)
  _, scores = decode(found, class_of="cell", rating="action")
  assert (np.isfinite(scores).sum(-1) == real).all()
  action = jax.nn.softmax(found.proposals.logits)[..., 1]
  expected = action * np.repeat(chance.max(-1), 3, axis=1)
  np.testing.assert_allclose(scores.max(-1)[real], expected[real], rtol=1e-5)
  best = np.repeat(chance.argmax(-1), 3, axis=1)
  assert (scores.argmax(-1) == best)[real].all()


@pytest.mark.parametrize("options", [{"class_of": "clip"}, {"rating": "class"}])
def test_unknown_decodings_are_refused(outputs, options):
  with pytest.raises(ValueError, match="choose one of video, cell"):
    decode_classified(outputs[0], **options)
