"""Matching of anchors for training, and decoding of predictions."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import make_outputs, plain_targets, random_case

from jaxvision.losses.detection import (
  DetectionLossSpec,
  Targets,
  detection_loss,
  gtan_loss,
  gtan_targets,
)
from jaxvision.ops.detections import decode_detections
from jaxvision.ops.segments import soft_nms


@pytest.mark.parametrize("force_best", [False, True])
@pytest.mark.parametrize("variant", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_targets_are_those_of_a_plain_loop(force_best, variant):
  outputs, segments, labels, mask = random_case()
  limits = {"positive": 0.5, "negative": 0.2, "force_best": force_best}
  targets = variant(functools.partial(gtan_targets, **limits))(
    outputs.anchors, outputs.valid, segments, labels, mask
  )
  label, iou, positive, negative = plain_targets(
    outputs, segments, labels, mask, **limits
  )
  np.testing.assert_array_equal(targets.label, label)
  np.testing.assert_array_equal(targets.positive, positive)
  np.testing.assert_array_equal(targets.negative, negative)
  np.testing.assert_allclose(targets.iou, iou, atol=1e-6)
  assert 0 < positive.sum() < negative.sum()


def test_forced_positives_are_more():
  outputs, *truth = random_case()
  take = functools.partial(gtan_targets, outputs.anchors, outputs.valid, *truth)
  few, more = take(positive=0.8), take(positive=0.8, force_best=True)
  assert few.positive.sum() < more.positive.sum()
  assert not jnp.any(few.positive & ~more.positive)
  assert not jnp.any(more.positive & ~outputs.valid)


def test_only_the_part_of_an_anchor_inside_the_window_counts():
  anchors = jnp.array([[0.5, 1.6]])
  whole = jnp.array([[0.0, 1.0]]), jnp.array([0]), jnp.array([True])
  valid = jnp.array([True])
  assert gtan_targets(anchors, valid, *whole).positive[0]
  free = gtan_targets(anchors, valid, *whole, bounds=None)
  assert not free.positive[0]
  np.testing.assert_allclose(free.iou, 1 / 1.6, rtol=1e-6)


def test_matched_targets_can_be_given():
  spec = DetectionLossSpec(positive=0.4)
  outputs, *truth = random_case()
  targets = gtan_targets(outputs.anchors, outputs.valid, *truth, positive=0.4)
  assert isinstance(targets, Targets)
  given = detection_loss(outputs, targets, spec=spec)
  chex.assert_trees_all_equal(given, gtan_loss(outputs, *truth, spec=spec))


def test_decoding_a_hand_example():
  anchors = jnp.array([[[0.5, 0.2], [0.1, 0.4], [1.3, 0.2], [0.5, 0.2]]])
  offsets = jnp.zeros((1, 4, 2)).at[0, 0].set([5.0, 10 * np.log(2)])
  logits = jnp.log(jnp.array([[[0.2, 0.5, 0.3]] * 4]))
  overlap = jnp.array([[0.5, 1.0, 0.9, 0.9]])
  valid = jnp.array([[True, True, True, False]])
  outputs = make_outputs(anchors, logits, offsets, overlap, valid)
  segments, scores = jax.jit(decode_detections)(outputs)
  np.testing.assert_allclose(segments[0, :2], [[0.4, 0.8], [0, 0.3]], atol=1e-6)
  gone = [-np.inf, -np.inf]  # outside the window, and no anchor
  expected = [[0.25, 0.15], [0.5, 0.3], gone, gone]
  np.testing.assert_allclose(scores[0], expected, rtol=1e-6)
  _, scores = decode_detections(outputs, overlap_in_score=False)
  np.testing.assert_allclose(scores[0, :2], [[0.5, 0.3]] * 2, rtol=1e-6)


def test_decoded_detections_go_into_class_wise_suppression():
  outputs = random_case()[0]
  segments, scores = decode_detections(outputs)
  run = functools.partial(soft_nms, sigma=0.5, max_keep=100)
  flat = scores[0].reshape(-1)
  classes = jnp.tile(jnp.arange(2), 40)
  index, kept = run(jnp.repeat(segments[0], 2, axis=0), flat, classes=classes)
  assert (index >= 0).sum() == 2 * outputs.valid[0].sum()
  assert jnp.isfinite(kept).all()
  for c in (0, 1):
    _, alone = run(segments[0], scores[0, :, c])
    own = (index >= 0) & (classes[index] == c)
    np.testing.assert_allclose(kept[own], alone[: own.sum()], rtol=1e-5)
