"""Quantization Networks: the authors' values and gradients, mistakes."""

import chex
import jax
import numpy as np
import pytest
from quantization_support import WEIGHTS, each_case, read, sample

from jaxvision.ops import quantization as q


@pytest.fixture(params=[lambda f: f, jax.jit], ids=["eager", "jit"])
def variant(request):
  return request.param


def own(g):
  return {name: g[name] for name in ("alpha", "beta", "biases")}


def close(found, expected, tolerance):
  """Equal up to a part of the largest magnitude."""
  scale = np.max(np.abs(expected))
  np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def gradients(g, levels, temperature, backward, variant):
  def fn(x, alpha, beta):
    return q.soft_quantize(
      x,
      alpha=alpha,
      beta=beta,
      biases=g["biases"],
      levels=levels,
      temperature=temperature,
      backward=backward,
    )

  y, pullback = jax.vjp(variant(fn), g["x"], g["alpha"], g["beta"])
  return y, *pullback(g["g"])


@each_case
def test_soft_values_and_gradients_are_the_papers(golden, case, variant):
  g, levels = read(golden, case)
  for i, temperature in enumerate(g["T"]):
    y, dx, dalpha, dbeta = gradients(g, levels, temperature, "exact", variant)
    close(y, g["pure_soft"][i], 1e-6)
    close(dx, g["pure_dx"][i], 1e-5)
    close(dalpha, g["pure_dalpha"][i], 1e-5)
    close(dbeta, g["pure_dbeta"][i], 1e-4 if i else 2e-5)


@each_case
def test_soft_values_and_gradients_are_the_authors_where_they_do_not_clamp(
  golden, case, variant
):
  g, levels = read(golden, case)
  y, dx, dalpha, dbeta = gradients(g, levels, g["T"][0], "exact", variant)
  assert g["unclamped"][0].all()
  close(y, g["soft"][0], 1e-6)
  close(dx, g["exact_dx"][0], 1e-5)
  close(dalpha, g["exact_dalpha"][0], 1e-5)
  close(dbeta, g["exact_dbeta"][0], 2e-5)


@each_case
def test_the_clamp_of_the_authors_is_worth_what_the_docstring_says(golden, case):
  g, levels = read(golden, case)
  for i, temperature in enumerate(g["T"]):
    y, dx, *_ = gradients(g, levels, temperature, "exact", jax.jit)
    most = 4.54e-5 * float(g["alpha"]) * (levels[-1] - levels[0])
    assert np.abs(y - g["soft"][i]).max() <= most + 1e-6
    steep = most * float(g["beta"]) * temperature * np.abs(g["g"])
    assert np.all(np.abs(dx - g["exact_dx"][i]) <= steep + 1e-5 * np.abs(dx).max())


@pytest.mark.parametrize("case", WEIGHTS)
def test_the_gradients_of_the_released_code(golden, case, variant):
  g, levels = read(golden, f"weight/{case}")
  for i, temperature in enumerate(g["T"]):
    y, dx, dalpha, dbeta = gradients(g, levels, temperature, "t1", variant)
    close(y, g["pure_soft"][i], 1e-6)
    close(dx, g["t1_dx"][i], 1e-5)
    close(dalpha, g["pure_dalpha"][i], 1e-5)
    close(dbeta, g["t1_dbeta"][i], 2e-5)


@each_case
def test_hard_values_are_the_authors(golden, case, variant):
  g, levels = read(golden, case)
  y = variant(lambda x: q.hard_quantize(x, **own(g), levels=levels))(g["x"])
  np.testing.assert_allclose(y, g["hard"], rtol=1e-6)


@pytest.mark.parametrize("case", WEIGHTS)
def test_a_value_on_a_threshold_stays_below_it(golden, case):
  g, levels = read(golden, f"weight/{case}")
  unit = {"alpha": 1.0, "beta": 1.0, "biases": g["biases"], "levels": levels}
  chex.assert_trees_all_equal(q.hard_quantize(g["tie_x"], **unit), g["tie_hard"])
  above = q.hard_quantize(g["tie_x"], **unit, tie="ge")
  assert np.all(above > g["tie_hard"])


def test_the_schedule_is_linear_and_capped():
  values = [float(q.annealed_temperature(e, rate=10.0)) for e in (1, 55, 1000)]
  assert values == [10.0, 550.0, 2000.0]


@pytest.mark.parametrize(
  ("changed", "named"),
  [
    ({"levels": (0, 0, 1)}, "levels are"),
    ({"levels": (1,)}, "levels are"),
    ({"levels": (-1, 1)}, r"\(2,\); 2 levels need \(1,\)"),
    ({"backward": "both"}, "both.*exact, t1"),
  ],
)
def test_a_bad_call_is_refused(changed, named):
  x, own = sample((-1, 0, 1))
  call = {**own, "levels": (-1, 0, 1), "temperature": 1.0, **changed}
  with pytest.raises(ValueError, match=named):
    q.soft_quantize(x, **call)


def test_a_bad_fit_or_tie_is_refused():
  x, own = sample((-1, 0, 1))
  with pytest.raises(ValueError, match=r"median.*kmeans, linear, paper"):
    q.init_quantizer(x, (-1, 0, 1), method="median")
  with pytest.raises(ValueError, match="no 0 in their middle"):
    q.init_quantizer(x, (0, 1, 2, 3), central=0.05)
  with pytest.raises(ValueError, match="levels are"):
    q.init_quantizer(x, (1, 0))
  with pytest.raises(ValueError, match=r"both.*gt or ge"):
    q.hard_quantize(x, **own, levels=(-1, 0, 1), tie="both")
