"""Distributions of masks: closed forms, densities, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import masks
from jaxvision.ops.masks import MaskSpec

KINDS = ("bernoulli", "gaussian", "uniform")  # as numbered in the golden arrays
SPECS = {
  "bernoulli": MaskSpec(rate=0.2),
  "uniform": MaskSpec("uniform"),
  "negative": MaskSpec("uniform", low=-1.0, high=0.5),
  "gaussian": MaskSpec("gaussian"),
  "shifted": MaskSpec("gaussian", mean=0.7, std=0.5),
  "unclipped": MaskSpec("gaussian", mean=0.7, std=0.5, clip=False),
}
all_specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def test_moments_and_atoms_match_numerical_integration(golden):
  g = golden("dropout")
  rows = zip(g["mask/specs"], g["mask/moments"], g["mask/monte_carlo"], strict=True)
  for (kind, low, high, rate, mean, std), exact, sampled in rows:
    values = (float(v) for v in (rate, low, high, mean, std))
    spec = MaskSpec(KINDS[int(kind)], *values)
    atoms = dict(masks.mask_atoms(spec))
    ours = [*masks.mask_moments(spec), atoms.get(0.0, 0.0), atoms.get(1.0, 0.0)]
    np.testing.assert_allclose(ours, exact, atol=1e-6)
    np.testing.assert_allclose(ours, sampled, atol=6e-4)


@all_specs
def test_density_and_atoms_describe_the_samples(spec):
  edges = np.linspace(-2.0, 3.0, 101)
  centres, width = jnp.asarray((edges[1:] + edges[:-1]) / 2), 0.05
  m = np.asarray(masks.sample_mask(jax.random.key(0), (200_000,), spec))
  atoms = masks.mask_atoms(spec)
  continuous = ~np.isin(m, [value for value, _ in atoms])
  counts, _ = np.histogram(m[continuous], edges)
  density = masks.mask_density(spec, centres)
  np.testing.assert_allclose(counts / m.size / width, density, atol=0.05)
  total = density.sum() * width + sum(p for _, p in atoms)
  np.testing.assert_allclose(total, 1.0, atol=5e-3)


def test_noise_strength_and_its_binary_match():
  assert masks.noise_strength(MaskSpec()) == pytest.approx(1.0)
  assert masks.noise_strength(MaskSpec("uniform")) == pytest.approx(1 / 3)
  assert masks.matched_bernoulli(MaskSpec("uniform")).rate == pytest.approx(0.25)
  for spec in SPECS.values():
    match = masks.noise_strength(masks.matched_bernoulli(spec))
    assert match == pytest.approx(masks.noise_strength(spec))


@pytest.mark.parametrize(
  ("fields", "named"),
  [
    ({"kind": "poisson"}, "poisson"),
    ({"rate": 1.0}, "rate is 1.0"),
    ({"rate": float("nan")}, "rate is nan"),
    ({"kind": "uniform", "low": 2}, "low is 2 and high is 1.0"),
    ({"kind": "uniform", "low": -1.0}, "mean 0"),
    ({"kind": "gaussian", "std": -0.1}, "std is -0.1"),
    ({"kind": "gaussian", "mean": float("inf")}, "mean is inf"),
    ({"kind": "gaussian", "mean": 0.0, "clip": False}, "mean 0"),
  ],
)
def test_a_bad_distribution_is_refused(fields, named):
  with pytest.raises(ValueError, match=named):
    MaskSpec(**fields)
