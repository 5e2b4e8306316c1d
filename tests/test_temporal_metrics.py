"""Temporal metrics against the numbers of the official evaluators, and by hand."""

import json
import pathlib

import numpy as np
import pytest
from temporal_data import THRESHOLDS, golden_segments, segments

from jaxvision.metrics import temporal
from jaxvision.metrics.temporal import Segments

GOLDEN = pathlib.Path(__file__).parent / "golden"
CASES = json.loads((GOLDEN / "temporal_eval_thumos.json").read_text())["cases"]


@pytest.fixture(scope="module")
def official(golden):
  return golden("temporal_eval")


def test_average_precision_is_that_of_the_official_code(official):
  truth = golden_segments(official, "gt", scored=False)
  predictions = golden_segments(official, "pred")
  thresholds = official["tiou_thresholds"]
  ap = temporal.detection_average_precision(truth, predictions, thresholds)
  np.testing.assert_array_equal(np.unique(truth.label), official["det/classes"])
  np.testing.assert_allclose(ap, official["det/ap"], rtol=0, atol=1e-12)
  np.testing.assert_allclose(ap.mean(), official["det/average_map"], rtol=0, atol=1e-12)
  # Matching is by threshold, in whatever order they are asked for.
  backwards = temporal.detection_average_precision(truth, predictions, thresholds[::-1])
  np.testing.assert_array_equal(backwards, ap[::-1])


@pytest.mark.parametrize("limit", [100, 40, None])
def test_average_recall_is_that_of_the_official_code(official, limit):
  number, recall, auc = temporal.average_recall(
    golden_segments(official, "gt", scored=False),
    golden_segments(official, "prop"),
    official["tiou_thresholds"],
    max_proposals=limit,
  )
  expected = {
    name: official[f"prop/max{'_none' if limit is None else limit}/{name}"]
    for name in ("average_number", "recall", "auc_over_last_an_percent")
  }
  np.testing.assert_allclose(number, expected["average_number"], rtol=1e-12)
  np.testing.assert_allclose(recall, expected["recall"], rtol=0, atol=1e-12)
  np.testing.assert_allclose(
    100 * auc, expected["auc_over_last_an_percent"], rtol=1e-12
  )


def thumos_segments(rows, names):
  """One class, the rows in the order of the file."""
  table = [(names.index(video), 0, *numbers) for video, *numbers in rows]
  return segments(table, scored=len(rows) > 0 and len(rows[0]) == 4)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_thumos_cases(case):
  kinds = "ground_truth", "detections", "ambiguous"
  names = sorted({row[0] for kind in kinds for row in case[kind]})
  truth, detections, ambiguous = (thumos_segments(case[kind], names) for kind in kinds)
  if detections.score is None:
    detections = detections._replace(score=np.zeros(0))
  threshold = case["threshold"]
  ap = temporal.thumos_average_precision(
    truth, detections, threshold, ambiguous=ambiguous
  )
  np.testing.assert_allclose(ap, [case["expected_ap"]], rtol=0, atol=1e-9)
  if case["expected_activitynet_ap"] is not None:
    ap = temporal.detection_average_precision(truth, detections, [threshold])
    np.testing.assert_allclose(ap, [[case["expected_activitynet_ap"]]], atol=1e-12)


def test_a_class_without_predictions_counts_and_an_unknown_class_does_not():
  truth = segments([(0, 3, 0, 1), (0, 7, 0, 1)])
  found = segments([(0, 3, 0, 1, 0.5), (0, 9, 0, 1, 0.9)], scored=True)
  ap = temporal.detection_average_precision(truth, found, [0.5])
  np.testing.assert_array_equal(ap, [[1.0, 0.0]])
  np.testing.assert_array_equal(
    temporal.thumos_average_precision(truth, found, 0.5), [1.0, 0.0]
  )


def test_a_detection_takes_its_second_best_if_the_best_is_taken():
  truth = segments([(0, 0, 0, 10), (0, 0, 2, 12)])
  found = segments([(0, 0, 0, 10, 0.9), (0, 0, 0, 11, 0.8)], scored=True)
  ap = temporal.detection_average_precision(truth, found, [0.5, 0.8])
  np.testing.assert_array_equal(ap[:, 0], [1.0, 0.5])


def test_predictions_of_a_video_without_truth_are_false_positives():
  truth = segments([(0, 0, 0, 1)])
  found = segments([(5, 0, 0, 1, 0.9), (0, 0, 0, 1, 0.5)], scored=True)
  ap = temporal.detection_average_precision(truth, found, [0.5])
  np.testing.assert_array_equal(ap, [[0.5]])


def test_an_instance_that_runs_backwards_counts_and_is_never_found():
  truth = segments([(0, 0, 0, 1), (0, 0, 9, 4), (0, 0, 2, 2)])
  found = segments([(0, 0, 0, 1, 0.9), (0, 0, 2, 2, 0.8)], scored=True)
  ap = temporal.detection_average_precision(truth, found, [0.5])
  np.testing.assert_allclose(ap, [[1 / 3]], rtol=1e-15)
  _, recall, _ = temporal.average_recall(truth, found, [0.5])
  np.testing.assert_allclose(recall[0, -1], 1 / 3, rtol=1e-15)


def test_ambiguous_intervals_spare_detections_of_any_class():
  truth = segments([(0, 1, 0, 1), (0, 2, 0, 1)])
  rows = [(0, label, *row) for label in (1, 2) for row in ((5, 6, 0.9), (0, 1, 0.5))]
  found, unclear = segments(rows, scored=True), segments([(0, 8, 5.5, 7)])
  ap = temporal.thumos_average_precision
  np.testing.assert_array_equal(ap(truth, found, 0.5), [0.5, 0.5])
  np.testing.assert_array_equal(ap(truth, found, 0.5, ambiguous=unclear), [1.0, 1.0])


def test_curve_of_one_video_with_few_proposals():
  truth = segments([(0, 0, 0, 1), (0, 0, 5, 6)])
  found = segments([(0, 0, 5, 6, 0.2), (0, 0, 0, 1, 0.7)], scored=True)
  number, recall, auc = temporal.average_recall(truth, found, [0.5], max_proposals=None)
  np.testing.assert_allclose(number, np.arange(1, 101) / 50, rtol=1e-12)
  expected = np.repeat([0.0, 0.5, 1.0], [49, 50, 1])  # one from 50 %, both at 100 %
  np.testing.assert_array_equal(recall[0], expected)
  np.testing.assert_allclose(auc, (0.25 + 49 * 0.5 + 0.75) / 100, rtol=1e-12)


def test_nothing_predicted_is_found_nowhere():
  truth = segments([(0, 0, 0, 1), (1, 2, 0, 1)])
  none = segments([], scored=True)
  ap = temporal.detection_average_precision(truth, none, THRESHOLDS)
  np.testing.assert_array_equal(ap, np.zeros((10, 2)))
  np.testing.assert_array_equal(
    temporal.thumos_average_precision(truth, none, 0.5), [0.0, 0.0]
  )
  number, recall, auc = temporal.average_recall(truth, none, THRESHOLDS)
  assert not number.any() and not recall.any() and auc == 0.0


def test_no_rows_have_no_type():
  empty = Segments(*[np.array([])] * 5)
  truth = segments([(0, 0, 0, 1)])
  ap = temporal.detection_average_precision(truth, empty, [0.5])
  np.testing.assert_array_equal(ap, [[0.0]])


def test_nothing_to_find_is_no_class():
  found = segments([(0, 0, 0, 1, 0.5)], scored=True)
  none = segments([])
  assert temporal.detection_average_precision(none, found, [0.5]).shape == (1, 0)
  assert temporal.thumos_average_precision(none, found, 0.5).shape == (0,)
  with pytest.raises(ValueError, match="at least one instance"):
    temporal.average_recall(none, found, [0.5])


GOOD = segments([(0, 0, 0, 1, 0.5), (0, 0, 1, 2, 0.4)], scored=True)


@pytest.mark.parametrize(
  ("wrong", "sentence"),
  [
    ({"score": None}, "predictions have no score"),
    (
      {"label": np.zeros(3, int)},
      r"predictions.label has shape \(3,\); expected \(2,\)",
    ),
    ({"start": np.zeros((2, 1))}, r"predictions.start has shape \(2, 1\)"),
    ({"video": np.zeros(2)}, "predictions.video is float64; ids are integers"),
    ({"end": np.array([1, np.nan])}, "predictions.end is nan in row 1"),
    ({"score": np.array([np.inf, 0])}, "predictions.score is inf in row 0"),
    ({"end": np.array([1.0, 0.5])}, "row 1 ends at 0.5 before it starts at 1"),
  ],
)
def test_malformed_predictions_are_named(wrong, sentence):
  truth, bad = GOOD._replace(score=None), GOOD._replace(**wrong)
  with pytest.raises(ValueError, match=sentence):
    temporal.detection_average_precision(truth, bad, [0.5])
  with pytest.raises(ValueError, match=sentence):
    temporal.thumos_average_precision(truth, bad, 0.5)
  with pytest.raises(ValueError, match=sentence.replace("predictions", "proposals")):
    temporal.average_recall(truth, bad, [0.5])


def test_malformed_truth_and_ambiguous_intervals_are_named():
  bad = Segments(*(field[:1] for field in GOOD[:3]), np.zeros(2))
  with pytest.raises(ValueError, match=r"truth.end has shape \(2,\)"):
    temporal.detection_average_precision(bad, GOOD, [0.5])
  with pytest.raises(ValueError, match=r"ambiguous.end has shape \(2,\)"):
    temporal.thumos_average_precision(GOOD, GOOD, 0.5, ambiguous=bad)


@pytest.mark.parametrize("thresholds", [[0.0], [0.5, 1.1], [np.nan]])
def test_thresholds_are_overlaps(thresholds):
  with pytest.raises(ValueError, match=r"IoUs in \(0, 1\]"):
    temporal.detection_average_precision(GOOD, GOOD, thresholds)
  with pytest.raises(ValueError, match=r"IoUs in \(0, 1\]"):
    temporal.average_recall(GOOD, GOOD, thresholds)


def test_settings_in_range():
  with pytest.raises(ValueError, match="max_proposals is 0"):
    temporal.average_recall(GOOD, GOOD, [0.5], max_proposals=0)
  with pytest.raises(ValueError, match="threshold is 1"):
    temporal.thumos_average_precision(GOOD, GOOD, 1.0)
