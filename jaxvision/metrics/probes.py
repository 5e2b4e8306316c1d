"""Probes: what can be read off frozen features by a fresh linear model."""

import numpy as np

from jaxvision.typing import Array, Bool, Float, Int

RIDGE = 1e-3  # of standardized features, beside a mean square of 1
Features = Float[np.ndarray | Array, "n d"]


def probe_accuracy(
  z: Features,
  label: Int[np.ndarray | Array, " n"],
  test: Bool[np.ndarray, " n"],
) -> float:
  """Accuracy of a logistic regression that tells labels, such as domains.

  Chance is the share of the most frequent label. An adversary's own loss does not say
  what features hold: it may have lost for want of skill.

  Args:
    z: features.
    label: of each.
    test: rows to test on; the others are trained on.

  Raises:
    ValueError: nothing to train or to test on.
  """
  from sklearn.linear_model import LogisticRegression

  z, label, test = _standardized(z, test), np.asarray(label), np.asarray(test)
  if len(np.unique(label[~test])) < 2:  # nothing to tell apart
    return float(np.mean(label[test] == label[~test][0]))
  model = LogisticRegression(max_iter=1000).fit(z[~test], label[~test])
  return float(model.score(z[test], label[test]))


def probe_r2(
  z: Features,
  values: Float[np.ndarray | Array, "n c"],
  test: Bool[np.ndarray, " n"],
) -> Float[np.ndarray, " c"]:
  """Share of the variance of values that a ridge regression decodes, by column.

  Args:
    z: features.
    values: to be decoded.
    test: rows to test on; the others are trained on.

  Returns:
    R squared: 1 is all, 0 is no better than the mean of the test rows, below is worse;
    0 of a column that is constant.

  Raises:
    ValueError: nothing to train or to test on.
  """
  z, values = _standardized(z, test), np.asarray(values, np.float64)
  mean = values[~test].mean(0)
  x, y = z[~test], values[~test] - mean
  ridge = RIDGE * len(x) * np.eye(z.shape[1])
  found = z[test] @ np.linalg.solve(x.T @ x + ridge, x.T @ y) + mean
  rest = np.square(values[test] - found).mean(0)
  spread = values[test].var(0)
  return np.where(spread > 0, 1 - rest / np.where(spread > 0, spread, 1.0), 0.0)


def _standardized(z: Features, test: Bool[np.ndarray, " n"]) -> np.ndarray:
  """Features with mean 0 and variance 1 over the rows to train on."""
  if test.all() or not test.any():
    raise ValueError("a probe needs rows to train on and rows to test on.")
  z = np.asarray(z, np.float64)
  mean, deviation = z[~test].mean(0), z[~test].std(0)
  return (z - mean) / np.where(deviation > 0, deviation, 1.0)
