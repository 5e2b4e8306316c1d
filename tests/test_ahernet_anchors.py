"""Anchors, matching, encoding and decoding as in AherNet's code, in steps of 512."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import joined

from jaxvision.ops.gaussian import default_boxes, fixed_sigmas
from jaxvision.ops.matching import match
from jaxvision.ops.segments import decode, encode, to_center_width, to_start_end

STEPS = 512


@pytest.fixture(scope="module")
def anchors():
  """All anchors [765, 2] as (center, width), in steps."""

  @jax.jit
  def make():
    boxes = [default_boxes(fixed_sigmas(128 >> j)).reshape(-1, 2) for j in range(8)]
    return STEPS * jnp.concatenate(boxes)

  return make()


@pytest.fixture(scope="module")
def matched(golden, anchors):
  """IoU of the anchors with the best segment, and that segment's number."""
  truth = jnp.asarray(golden("ahernet_anchors")["match/gt"])
  spans = jnp.clip(to_start_end(anchors), 0, STEPS - 1)
  return jax.jit(match)(spans, truth, truth[..., 1] > truth[..., 0])


def flat(arrays, name):
  """Arrays of the eight layers as [b, n]."""
  return np.hstack([arrays[f"{name}{j}"].reshape(2, -1) for j in range(1, 9)])


def test_anchors(golden, anchors):
  arrays = golden("ahernet_anchors")
  expected = [
    (center, width)
    for j in range(1, 9)
    for center in arrays[f"anchors/center{j}"]
    for width in arrays[f"anchors/width{j}"]
  ]
  np.testing.assert_allclose(anchors, expected, rtol=1e-5)


def test_matching(golden, matched):
  arrays = golden("ahernet_anchors")
  iou = matched[0]
  np.testing.assert_allclose(iou, flat(arrays, "match/gscore"), atol=5e-5)
  touching = jnp.where(iou > 0, iou, -1)  # as `overlap_on="touching"` sees it
  np.testing.assert_allclose(touching, flat(arrays, "match/giou"), atol=5e-5)


def test_encoding(golden, anchors, matched):
  arrays = golden("ahernet_anchors")
  iou, index = matched
  found = np.take_along_axis(arrays["match/gt"], np.asarray(index)[..., None], axis=1)
  dummy = np.where(np.asarray(iou)[..., None] > 0, found, [0.0, 1.0])
  boxes = to_center_width(jnp.asarray(dummy, jnp.float32))
  expected = joined(arrays, "match/loc").reshape(2, -1, 2)
  np.testing.assert_allclose(encode(boxes, anchors), expected, rtol=1e-4, atol=1e-4)


def test_decoding(golden, anchors):
  arrays = golden("ahernet_anchors")
  offsets = jnp.asarray(joined(arrays, "decode/loc").reshape(2, -1, 2))
  start, end = np.moveaxis(np.asarray(to_start_end(decode(offsets, anchors))), -1, 0)
  # One-sided, as in the code: a box outside of the window keeps a negative length.
  boxes = np.stack([np.maximum(start, 0), np.minimum(end, STEPS)], axis=-1)
  seconds = boxes / STEPS * float(arrays["decode/duration"])
  expected = joined(arrays, "decode/boxes").reshape(2, -1, 2)
  np.testing.assert_allclose(seconds, expected, atol=5e-5)
