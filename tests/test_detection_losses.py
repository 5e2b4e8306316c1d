"""Detection losses: the authors' numbers, hand examples, plain loops, padding."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import joined, make_outputs, plain_targets, random_case

from jaxvision.losses.detection import (
  DetectionLossSpec,
  gtan_loss,
  gtan_targets,
  smooth_l1,
)

# What AherNet's code does, in its unit: steps of a window of 512.
AHERNET = {
  "class_weight": 2.0,
  "loc_weight": 1.0,
  "overlap_weight": 25.0,
  "bounds": (0.0, 511.0),
  "extra_negatives": 1,
  "loc_mean": "selected",
  "overlap_on": "touching",
}
GENTLE = DetectionLossSpec(positive=0.4)


def test_smooth_l1_in_closed_form():
  x = jnp.array([-3.0, -1.0, -0.4, 0.0, 0.2, 1.0, 2.0])
  np.testing.assert_allclose(
    smooth_l1(x), [2.5, 0.5, 0.08, 0, 0.02, 0.5, 1.5], rtol=1e-6
  )
  np.testing.assert_allclose(
    smooth_l1(x, beta=0.5), smooth_l1(x / 0.5) * 0.5, rtol=1e-6
  )
  gradient = jax.vmap(jax.grad(smooth_l1))(x)
  np.testing.assert_allclose(gradient, jnp.clip(x, -1, 1), rtol=1e-6)


@pytest.mark.parametrize(
  ("name", "changes"),
  [
    ("losses", {}),
    ("losses_alt", {"positive": 0.6, "negative_ratio": 3.0, "loc_weight": 1.5}),
  ],
)
def test_losses_are_the_authors(golden, name, changes):
  arrays = golden("ahernet_losses")
  spec = DetectionLossSpec(**(AHERNET | changes))
  truth = jnp.asarray(arrays["match/gt"])
  mask, labels = truth[..., 1] > truth[..., 0], jnp.zeros(truth.shape[:2], jnp.int32)
  layers = [
    np.stack(np.meshgrid(arrays[f"anchors/center{j}"], arrays[f"anchors/width{j}"]), -1)
    for j in range(1, 9)
  ]
  boxes = np.concatenate([a.swapaxes(0, 1).reshape(-1, 2) for a in layers])
  boxes = jnp.broadcast_to(boxes, (2, 765, 2))

  def loss(logits, offsets, overlap):
    overlap = jax.nn.sigmoid(overlap[..., 0])
    outputs = make_outputs(boxes, logits, offsets, overlap)
    losses, logs = gtan_loss(outputs, truth, labels, mask, spec=spec)
    return losses.mean(), jax.tree.map(jnp.mean, logs)

  heads = ("prop_logits", "loc", "iou_logits")
  inputs = [joined(arrays, f"losses/in_{head}") for head in heads]
  step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
  (_, logs), gradients = step(*inputs)
  assert logs["class"] * spec.class_weight == pytest.approx(
    arrays[f"{name}/prop"], 1e-5
  )
  assert logs["location"] * spec.loc_weight == pytest.approx(
    arrays[f"{name}/loc"], 1e-5
  )
  assert logs["overlap"] * spec.overlap_weight == pytest.approx(
    arrays[f"{name}/iou"], 1e-5
  )
  if name == "losses":
    for head, gradient in zip(heads, gradients, strict=True):
      expected = joined(arrays, f"losses/grad_{head}")
      np.testing.assert_allclose(gradient, expected, atol=1e-5 * abs(expected).max())


def hand_example():
  """Four anchors, the first right, the third far off; the second is ignored."""
  anchors = jnp.array([[[0.2, 0.4], [0.4, 0.4], [0.9, 0.2], [0.7, 0.2]]])
  logits = jnp.array([[[0.0, 0, 0], [1, 2, 3], [0, 0, 0], [9, 0, 0]]])
  offsets = jnp.array([[[0.5, 2.0], [9, 9], [9, 9], [9, 9]]])
  overlap = jnp.array([[0.9, 0.3, 0.2, 0.0]])
  truth = jnp.array([[[0.0, 0.4]]]), jnp.array([[1]]), jnp.array([[True]])
  return make_outputs(anchors, logits, offsets, overlap), *truth


def test_loss_of_a_hand_example():
  loss, logs = gtan_loss(*hand_example())
  assert (logs["positives"], logs["negatives"]) == (1, 1)
  # The third anchor is the harder negative; both chosen ones are undecided.
  np.testing.assert_allclose(logs["class"], [np.log(3)], rtol=1e-6)
  np.testing.assert_allclose(logs["location"], [0.5 * 0.5**2 + 1.5], rtol=1e-5)
  overlap = (0.1**2 + (1 / 3 - 0.3) ** 2 + 0.2**2) / 4
  np.testing.assert_allclose(logs["overlap"], [overlap], rtol=1e-5)
  total = logs["class"] + 2 * logs["location"] + 75 * logs["overlap"]
  np.testing.assert_allclose(loss, total, rtol=1e-6)


def test_options_of_a_hand_example():
  case = hand_example()
  run = lambda **fields: gtan_loss(*case, spec=DetectionLossSpec(**fields))[1]
  touching = run(overlap_on="touching")["overlap"]
  np.testing.assert_allclose(touching, [(0.1**2 + (1 / 3 - 0.3) ** 2) / 2], rtol=1e-5)
  both = run(loc_mean="selected")["location"]
  np.testing.assert_allclose(both, [(0.125 + 1.5) / 2], rtol=1e-5)
  more = run(extra_negatives=1)
  easy = np.log(1 + 2 * np.exp(-9))
  np.testing.assert_allclose(more["class"], [(2 * np.log(3) + easy) / 3], rtol=1e-5)
  assert run(negative_ratio=0.0)["negatives"] == 0
  decoded = run(loc_target="decoded", loc_beta=0.05)["location"]
  center, width = 0.4 * 0.1 * 0.5, 0.4 * np.exp(0.2) - 0.4
  expected = center**2 / 0.1 + (width - 0.025)
  np.testing.assert_allclose(decoded, [expected], rtol=1e-5)


@pytest.mark.parametrize("mining", ["batch", "example"])
def test_mean_over_examples_is_the_loss_of_the_batch(mining):
  outputs, *truth = random_case()
  spec = DetectionLossSpec(positive=0.4, mining=mining)
  losses, logs = jax.jit(functools.partial(gtan_loss, spec=spec))(outputs, *truth)
  chex.assert_shape([losses, *logs.values()], (3,))
  limits = {"positive": 0.4, "negative": 0.3, "force_best": False}
  label, iou, positive, negative = plain_targets(outputs, *truth, **limits)
  log_p = np.asarray(jax.nn.log_softmax(outputs.logits))
  rows = [slice(None)] if mining == "batch" else [0, 1, 2]
  chosen = np.zeros_like(positive)
  for row in rows:
    ranked = np.sort(np.where(negative, log_p[..., 0], np.inf)[row].ravel())
    count = min(positive[row].sum(), negative[row].sum())
    chosen[row] = negative[row] & (log_p[row][..., 0] < ranked[count])
  selected = positive | chosen
  np.testing.assert_array_equal(logs["negatives"], chosen.sum(-1))
  entropy = -np.take_along_axis(log_p, label[..., None], -1)[..., 0]
  assert logs["class"].mean() == pytest.approx(
    float(entropy[selected].mean()), rel=1e-5
  )
  error = ((outputs.overlap - iou) ** 2)[outputs.valid]
  assert logs["overlap"].mean() == pytest.approx(float(error.mean()), rel=1e-5)


SPECS = [
  DetectionLossSpec(),
  DetectionLossSpec(loc_target="decoded", overlap_on="touching", mining="example"),
  DetectionLossSpec(sigma_from_loc=True, loc_mean="selected", force_best=True),
]


@pytest.mark.parametrize("spec", SPECS, ids=["default", "decoded", "learning"])
def test_without_actions_and_with_empty_anchors_all_is_finite(spec):
  outputs, segments, labels, mask = random_case()
  empty = outputs.anchors.at[:, ::3, 1].set(0)

  @jax.jit
  @functools.partial(jax.value_and_grad, has_aux=True)
  def run(now, mask):
    losses, logs = gtan_loss(outputs._replace(**now), segments, labels, mask, spec=spec)
    return losses.mean(), logs

  now = {"anchors": empty, "logits": outputs.logits, "offsets": outputs.offsets}
  for known in (mask, jnp.zeros_like(mask)):
    (loss, logs), gradients = run(now, known)
    chex.assert_tree_all_finite((loss, logs, gradients))
  np.testing.assert_array_equal(logs["positives"], 0)
  np.testing.assert_array_equal(logs["location"], 0)
  np.testing.assert_array_equal(logs["class"], 0)


def test_extra_negatives_teach_where_nothing_happens():
  outputs, segments, labels, mask = random_case()
  spec = DetectionLossSpec(extra_negatives=5)
  _, logs = gtan_loss(outputs, segments, labels, jnp.zeros_like(mask), spec=spec)
  assert logs["negatives"].sum() == 5 and logs["class"].mean() > 0


def test_padding_changes_nothing():
  outputs, segments, labels, mask = random_case()
  run = jax.jit(functools.partial(gtan_loss, spec=GENTLE))
  expected = run(outputs, segments, labels, mask)
  for junk in (-1.0, 0.5, jnp.inf):
    other = jnp.where(mask[..., None], segments, junk)
    longer = jnp.pad(other, ((0, 0), (0, 2), (0, 0)), constant_values=junk)
    more = lambda a: jnp.pad(a, ((0, 0), (0, 2)))
    found = run(outputs, longer, more(labels), more(mask))
    chex.assert_trees_all_close(found, expected, rtol=1e-6)


def test_invalid_slots_and_padded_examples_change_nothing():
  outputs, *truth = random_case()
  expected, _ = gtan_loss(outputs, *truth, spec=GENTLE)
  other = random_case(seed=5)[0]

  def mixed(name):
    a, b = getattr(outputs, name), getattr(other, name)
    return jnp.where(outputs.valid.reshape(3, 40, *[1] * (a.ndim - 2)), a, b)

  names = ("logits", "offsets", "overlap", "anchors")
  junk = outputs._replace(**{name: mixed(name) for name in names})
  chex.assert_trees_all_close(gtan_loss(junk, *truth, spec=GENTLE)[0], expected)
  twice = jax.tree.map(lambda a: jnp.concatenate([a, a]), (outputs, truth))
  padded = twice[0]._replace(
    valid=twice[0].valid.at[3:].set(False), layer=outputs.layer
  )
  losses, _ = gtan_loss(padded, *twice[1], spec=GENTLE)
  np.testing.assert_array_equal(losses[3:], 0)
  assert losses.mean() == pytest.approx(float(expected.mean()), rel=1e-6)


@pytest.mark.parametrize(
  ("fields", "moves"),
  [
    ({}, False),
    ({"sigma_from_loc": True}, True),
    ({"loc_target": "decoded"}, True),
  ],
)
def test_which_losses_move_anchors(fields, moves):
  outputs, *truth = random_case()
  spec = DetectionLossSpec(positive=0.4, **fields)

  def loss(anchors):
    return gtan_loss(outputs._replace(anchors=anchors), *truth, spec=spec)[0].mean()

  gradient = jax.grad(loss)(outputs.anchors)
  assert jnp.any(gradient != 0) == moves
  positive = gtan_targets(outputs.anchors, outputs.valid, *truth, positive=0.4).positive
  assert not jnp.any(gradient[~positive])


@pytest.mark.parametrize("field", ["mining", "loc_target", "loc_mean", "overlap_on"])
def test_an_unknown_choice_is_refused(field):
  with pytest.raises(ValueError, match=f"{field} is 'mean'; choose one of"):
    DetectionLossSpec(**{field: "mean"})
