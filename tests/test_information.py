"""The bound on invariant features on discrete toys, and linear probes."""

import numpy as np
import pytest

from jaxvision.metrics import information, probes


def toy(per_domain, domains):
  """Classes of one domain each, equally probable: [class, domain]."""
  joint = np.kron(np.eye(domains), np.ones((per_domain, 1)))
  return joint / joint.sum()


@pytest.mark.parametrize("per_domain, domains", [(2, 2), (3, 2), (2, 3), (2, 4)])
def test_the_bound_is_reached_where_domains_are_alike(per_domain, domains):
  """The number within the domain tells all that may be told: H(y) - log K."""
  joint = toy(per_domain, domains)
  bound = information.mutual_information_bound(joint)
  assert bound == pytest.approx(np.log(per_domain))
  assert bound == pytest.approx(information.entropy(joint.sum(1)) - np.log(domains))
  assert information.invariant_information(joint) == pytest.approx(bound)


def test_the_bound_need_not_be_reached():
  """Three classes in one domain, one in the other: only constants are invariant."""
  joint = np.array([[1, 0], [1, 0], [1, 0], [0, 3]]) / 6
  assert information.mutual_information_bound(joint) == pytest.approx(np.log(3) / 2)
  assert information.invariant_information(joint) == 0


def test_any_dependence_keeps_the_bound():
  rng = np.random.default_rng(0)
  for _ in range(20):
    joint = rng.dirichlet(np.full(10, 0.3)).reshape(5, 2)
    bound = information.mutual_information_bound(joint)
    assert information.invariant_information(joint) <= bound + 1e-9


def test_nothing_is_lost_without_dependence():
  """What an intervention on the domain makes: p(y) p(d*)."""
  joint = np.outer([0.1, 0.2, 0.7], [0.5, 0.5])
  assert information.mutual_information(joint) == pytest.approx(0, abs=1e-12)
  whole = information.entropy(joint.sum(1))
  assert information.mutual_information_bound(joint) == pytest.approx(whole)
  assert information.invariant_information(joint) == pytest.approx(whole)


def test_information_of_known_pairs():
  assert information.mutual_information(np.eye(3) / 3) == pytest.approx(np.log(3))
  with pytest.raises(ValueError, match="sums to 2"):
    information.mutual_information_bound(np.ones((2, 1)))


def features(n=400, seed=0):
  rng = np.random.default_rng(seed)
  label = rng.integers(0, 3, n)
  z = rng.normal(size=(n, 6))
  z[:, 0] += 4 * label
  return z, label, np.arange(n) % 2 == 1


def test_a_probe_reads_what_is_there():
  z, label, test = features()
  assert probes.probe_accuracy(z, label, test) > 0.9
  assert probes.probe_accuracy(z[:, 1:], label, test) < 0.5
  # Scale and shift are of no account.
  moved = 1e-3 * z + 50
  assert probes.probe_accuracy(moved, label, test) > 0.9
  assert probes.probe_accuracy(z, np.zeros(400, int), test) == 1


def test_a_probe_decodes_linear_codes():
  z, _, test = features()
  noise = np.random.default_rng(1).normal(size=(400, 2))
  code = np.stack([z @ np.arange(6), noise[:, 0], z[:, 1] + noise[:, 1]], 1)
  code = np.concatenate([code, np.ones((400, 1))], 1)
  found = probes.probe_r2(z, code, test)
  assert found[0] > 0.999 and abs(found[1]) < 0.1 and found[3] == 0
  assert found[2] == pytest.approx(0.5, abs=0.1)


def test_a_probe_needs_two_parts():
  z, label, _ = features(10)
  for test in (np.ones(10, bool), np.zeros(10, bool)):
    with pytest.raises(ValueError, match="rows to train on and rows to test on"):
      probes.probe_accuracy(z, label, test)
