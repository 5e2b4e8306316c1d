"""Suppression and voting equal the published code, on its own outputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from suppression_support import assert_selected

from jaxvision.ops import segments as ops

CPP = {"length_offset": 1e-6}  # as the C++ code of ActionFormer and OpenTAD has it


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def inputs(g):
  return jnp.asarray(g["segment"]), jnp.asarray(g["score"])


def names(group):
  """The cases of a golden group and the numbers in their names, in hundredths."""
  parts = {
    "soft_gaussian": ["sigma30", "sigma50", "sigma75"],
    "opentad3": ["t1_50_t2_40_sigma40", "t1_25_t2_10_sigma70"],
    "bmn": ["alpha40_t1_50_t2_90", "alpha75_t1_30_t2_60"],
  }[group]
  number = lambda part: int(part.lstrip("abcdefghijklmnopqrstuvwxyz")) / 100
  return [
    (name, [number(p) for p in name.split("_") if p not in ("t1", "t2")])
    for name in parts
  ]


@pytest.mark.parametrize("percent", [30, 50, 70, 90])
@pytest.mark.parametrize("offset", [{}, CPP], ids=["plain", "cpp"])
def test_greedy_matches_opentad(golden, variant, percent, offset):
  g = golden("nms")
  f = functools.partial(ops.nms, threshold=percent / 100, max_keep=60, **offset)
  index = variant(f)(*inputs(g))
  expected = g[f"greedy/keep_{percent}"]
  np.testing.assert_array_equal(index[: len(expected)], expected)
  np.testing.assert_array_equal(index[len(expected) :], -1)
  first = ops.nms(*inputs(g), threshold=percent / 100, max_keep=5, **offset)
  np.testing.assert_array_equal(first, expected[:5])


@pytest.mark.parametrize(("name", "numbers"), names("soft_gaussian"))
@pytest.mark.parametrize("minimum", [1, 50])
def test_gaussian_matches_opentad(golden, variant, name, numbers, minimum):
  g = golden("nms")
  key = f"soft_gaussian/{name}_min{minimum:03d}"
  keywords = {"sigma": numbers[0], "min_score": minimum / 1000, "max_keep": 60}
  expected = g[f"{key}/index"], g[f"{key}/score"]
  exact = variant(functools.partial(ops.soft_nms, **keywords, **CPP))(*inputs(g))
  assert_selected(exact, *expected, rtol=1e-5)
  assert_selected(ops.soft_nms(*inputs(g), **keywords), *expected, rtol=4e-4)


def test_linear_and_vanilla_match_opentad(golden):
  g = golden("nms")
  keywords = {"min_score": 0.001, "max_keep": 60, **CPP}
  key = "soft_linear/thr30_min001"
  linear = ops.suppress(*inputs(g), ops.linear_decay(threshold=0.3), **keywords)
  assert_selected(linear, g[f"{key}/index"], g[f"{key}/score"], rtol=1e-5)
  # The vanilla form of soft-NMS is greedy suppression.
  key = "soft_vanilla/thr50_min001"
  index = ops.nms(*inputs(g), threshold=0.5, **keywords)
  scores = ops.take_kept(jnp.asarray(g["score"]), index)
  assert_selected((index, scores), g[f"{key}/index"], g[f"{key}/score"], rtol=1e-5)


@pytest.mark.parametrize(("name", "numbers"), names("opentad3"))
def test_gated_gaussian_matches_opentad(golden, variant, name, numbers):
  g = golden("nms")
  low, slope, sigma = numbers
  decay = ops.opentad_decay(sigma=sigma, low=low, slope=slope)
  f = lambda *x: ops.suppress(*x, decay, min_score=0.001, max_keep=60, **CPP)
  key = f"opentad3/{name}_min001"
  result = variant(f)(*inputs(g))
  assert_selected(result, g[f"{key}/index"], g[f"{key}/score"], rtol=1e-5)


@pytest.mark.parametrize(("name", "numbers"), names("bmn"))
def test_gated_gaussian_matches_bmn(golden, variant, name, numbers):
  g = golden("nms")
  sigma, low, high = numbers
  f = functools.partial(ops.soft_nms, sigma=sigma, low=low, high=high, max_keep=59)
  index, score = g[f"bmn/{name}/index"], g[f"bmn/{name}/score"]
  assert_selected(variant(f)(*inputs(g)), index, score, rtol=1e-6)


def test_the_cap_of_bmn(golden):
  g = golden("nms")
  segments, scores = (
    jnp.float32(g["bmn_cap/segment"]),
    jnp.float32(g["bmn_cap/score_in"]),
  )
  result = ops.soft_nms(segments, scores, sigma=0.4, low=0.5, high=0.9, max_keep=101)
  assert_selected(result, g["bmn_cap/index"], g["bmn_cap/score"], rtol=1e-5)


def test_strict_greedy_matches_ahernet(golden, variant):
  g = golden("ahernet_nms")
  boxes, scores = jnp.asarray(g["boxes"]), jnp.asarray(g["scores"])
  f = functools.partial(ops.nms, threshold=0.9, max_keep=100, strict=True)
  index = variant(f)(boxes, scores)
  np.testing.assert_array_equal(ops.take_kept(scores, index), g["kept_scores"])
  np.testing.assert_array_equal(ops.take_kept(boxes, index), g["kept_boxes"])


@pytest.mark.parametrize("percent", [50, 70, 90])
def test_votes_match_both_authors(golden, variant, percent):
  g = golden("nms")
  segments, scores = inputs(g)
  kept = segments[g["greedy/keep_50"]]
  for author, overlap_weighted in [("opentad", False), ("actionformer", True)]:
    f = functools.partial(
      ops.vote, threshold=percent / 100, overlap_weighted=overlap_weighted
    )
    voted = variant(f)(kept, segments, scores)
    expected = g[f"vote_{author}/thr{percent}"]
    np.testing.assert_allclose(voted, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_class_wise_suppression_matches_both_authors(golden, variant, kind):
  g = golden("nms")
  classes = jnp.asarray(g["class"])

  def soft(segments, scores, classes):
    keywords = {"sigma": 0.5, "min_score": 0.001, "max_keep": 40, **CPP}
    return ops.soft_nms(segments, scores, classes=classes, **keywords)

  def hard(segments, scores, classes):
    keywords = {"threshold": 0.5, "min_score": 0.1, "max_keep": 25, **CPP}
    index = ops.nms(segments, scores, classes=classes, **keywords)
    return index, ops.take_kept(scores, index)

  segments, scores = inputs(g)
  index, decayed = variant({"soft": soft, "hard": hard}[kind])(
    segments, scores, classes
  )
  expected = g[f"batched/{kind}/score"]
  k = len(expected)
  np.testing.assert_array_equal(index[k:], -1)
  np.testing.assert_allclose(decayed[:k], expected, rtol=1e-5)
  np.testing.assert_array_equal(segments[index[:k]], g[f"batched/{kind}/segment"])
  np.testing.assert_array_equal(classes[index[:k]], g[f"batched/{kind}/class"])


def test_class_agnostic_suppression_with_votes_matches_actionformer(golden):
  g = golden("nms")
  segments, scores = inputs(g)
  index, decayed = ops.soft_nms(
    segments, scores, sigma=0.75, min_score=0.001, max_keep=30, **CPP
  )
  kept = ops.take_kept(segments, index)
  voted = ops.vote(kept, segments, scores, threshold=0.9, overlap_weighted=True)
  np.testing.assert_allclose(decayed, g["batched/agnostic_vote/score"], rtol=1e-5)
  np.testing.assert_allclose(voted, g["batched/agnostic_vote/segment"], rtol=1e-6)
  labels = ops.take_kept(jnp.asarray(g["class"]), index)
  np.testing.assert_array_equal(labels, g["batched/agnostic_vote/class"])
