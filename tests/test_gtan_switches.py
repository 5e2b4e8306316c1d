"""GTAN's switches: all of them train; grouping; what is refused."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import (
  FEATURES,
  GROUPED,
  KEY,
  LABELS,
  MASK,
  SEGMENTS,
  TINY,
  features,
  init,
  run,
)
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxvision.errors import UserError
from jaxvision.losses.detection import DetectionLossSpec, gtan_loss

SWITCHES = [
  {"anchors": "fixed", "pooling": "none"},
  {"anchors": "fixed", "pooling": "gaussian"},
  {"pooling": "mean", "head_kernel": 1},
  {"sigma_unit": "cell", "head_kernel": 5},
  {"group_layers": (1,), "keep_originals": False},
  {"group_layers": (1, 2, 3), "group_threshold": 0.3, "pooling": "max"},
  {
    "group_layers": (2, 3),
    "group_threshold": 0.3,
    "pooling": "none",
    "sigma_unit": "cell",
  },
  {"stop_sigma": True},
]


@pytest.mark.parametrize("fields", SWITCHES, ids=str)
def test_every_switch_trains(fields):
  model = TINY.clone(**fields)
  variables = init(model)
  spec = DetectionLossSpec(positive=0.3, force_best=True)

  @jax.jit
  @functools.partial(jax.value_and_grad, has_aux=True)
  def step(params):
    outputs = model.apply({"params": params}, FEATURES, train=True)
    losses, _ = gtan_loss(outputs, SEGMENTS, LABELS, MASK, spec=spec)
    return losses.mean(), outputs

  (loss, outputs), gradients = step(variables["params"])
  chex.assert_tree_all_finite((loss, outputs, gradients))
  slots = sum(c * (1 + (j in model.group_layers)) for j, c in ((1, 8), (2, 4), (3, 2)))
  assert outputs.logits.shape == (2, 2 * slots, 4)
  # Encoded targets are constants: sigma learns through the pooling, where that is soft.
  soft = model.pooling == "gaussian" and not model.stop_sigma
  for path, leaf in flatten_dict(gradients).items():
    if path[0].startswith("sigma"):
      assert jnp.any(leaf != 0) == soft, path
    elif path[0] != "head3" or path[1] == "overlap":  # too few anchors to be sure
      assert jnp.any(leaf != 0), path


@pytest.mark.parametrize("stop_sigma", [False, True])
def test_sigmas_learn_from_boxes(stop_sigma):
  model = TINY.clone(pooling="gaussian", stop_sigma=stop_sigma)
  cases = (
    (DetectionLossSpec(positive=0.3), False),
    (DetectionLossSpec(positive=0.3, sigma_from_loc=True), True),
    (DetectionLossSpec(positive=0.3, loc_target="decoded"), True),
  )

  @jax.jit
  @jax.jacobian  # one pass through the network for all cases
  def gradients(params):
    outputs = model.apply({"params": params}, FEATURES)
    run = lambda spec: gtan_loss(outputs, SEGMENTS, LABELS, MASK, spec=spec)[0].mean()
    return [run(spec) for spec, _ in cases]

  found = gradients(init(model)["params"])
  for (_, boxes_teach), gradient in zip(cases, found, strict=True):
    learns = jnp.any(gradient["sigma2"]["conv"]["kernel"] != 0)
    assert learns == (boxes_teach or not stop_sigma)


def with_sigmas(variables, sigma):
  """Sets the sigma heads to a constant."""
  flat = flatten_dict(variables)
  for path in flat:
    if path[1].startswith("sigma"):
      value = np.log(sigma / (1 - sigma)) if path[-1] == "bias" else 0.0
      flat[path] = jnp.full_like(flat[path], value)
  return unflatten_dict(flat)


def test_grouping_adds_an_anchor_over_the_union():
  model = TINY.clone(group_layers=(2,), group_threshold=0.5)
  variables = with_sigmas(init(model), 0.3)  # four cells: IoU .35 / .85 < .5
  outputs = run(model, variables)
  own = outputs.layer == 2
  np.testing.assert_array_equal(outputs.valid[0, own], [True] * 8 + [False] * 8)
  variables = with_sigmas(variables, 0.45)  # .65 / 1.15 > .5, then .65 / 1.4 < .5
  outputs = run(model, variables)
  valid = [True] * 8 + [False, False, True, True] * 2
  np.testing.assert_array_equal(outputs.valid[0, own], valid)
  merged = outputs.anchors[0, own][8:]
  widths = [1.15, 1.15 * 1.5]  # from .125 - .45 to .375 + .45
  np.testing.assert_allclose(merged[2:4, 0], 0.25, rtol=1e-6)
  np.testing.assert_allclose(merged[2:4, 1], widths, rtol=1e-6)
  members = run(model.clone(keep_originals=False), variables)
  assert not members.valid[0, own][:8].any()
  np.testing.assert_array_equal(members.valid[0, ~own], True)


def test_without_merges_the_originals_are_those_of_the_ungrouped_net():
  variables = init(TINY)
  plain = run(TINY, variables)
  grouped = GROUPED.clone(group_threshold=1.0, keep_originals=False)
  outputs = run(grouped, variables)
  assert outputs.valid.sum() == plain.valid.sum()
  for name in ("logits", "offsets", "overlap", "anchors"):
    kept = getattr(outputs, name)[:, outputs.valid[0]]
    chex.assert_trees_all_close(kept, getattr(plain, name), rtol=1e-5)


def test_a_merged_kernel_stands_in_for_its_neighbors():
  variables = init(GROUPED)
  outputs, values = features(GROUPED, variables, ["pooled1"])
  merged = values["pooled1"][:, 8:]
  head = variables["params"]["head1"]["class"]
  logits = merged @ head["kernel"].sum(axis=0) + head["bias"]
  found = outputs.logits[:, outputs.layer == 1][:, 16:]
  chex.assert_trees_all_close(found, logits.reshape(found.shape), atol=1e-5)


@pytest.mark.parametrize(
  ("fields", "named"),
  [
    ({"anchors": "free"}, "'free'; choose one of gaussian, fixed"),
    ({"pooling": "sum"}, "'sum'; choose one of gaussian, mean, max, none"),
    ({"sigma_unit": "second"}, "'second'; choose one of window, cell"),
    ({"group_layers": (1, 4)}, r"\(1, 4\); the layers are 1 to 3"),
    ({"group_layers": (1,), "anchors": "fixed"}, "fixed anchors never overlap"),
    ({"head_kernel": 2}, "head_kernel is 2; choose an odd one"),
  ],
)
def test_a_bad_field_is_refused(fields, named):
  with pytest.raises(UserError, match=named):
    TINY.clone(**fields).init(KEY, FEATURES)


def test_a_short_input_is_refused():
  with pytest.raises(UserError, match="the input has 2 steps"):
    TINY.init(KEY, FEATURES[:, :2])
