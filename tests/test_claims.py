"""The claims files: all that they name exists, and controls are fair."""

import pytest
import toy_claims  # noqa: F401, puts `experiments` on sys.path

from experiments import claims
from experiments.reproduction import runs
from jaxvision import config as config_lib
from jaxvision.metrics import verdicts
from jaxvision.ops import masks

METHODS = claims.methods()


class TestClaimsFiles:
  @pytest.mark.parametrize("method", METHODS)
  def test_names_arms_metrics_and_directions_that_there_are(self, method):
    found = claims.load(method)
    for claim in found.claims:
      assert {claim.arm, claim.against} <= set(found.arms), claim
      assert claim.arm != claim.against and claim.metric in found.metrics, claim
      assert claim.direction in verdicts.DIRECTIONS and claim.by >= 0, claim
      assert claim.source and claim.text, claim
    compared = {name for claim in found.claims for name in (claim.arm, claim.against)}
    assert compared == set(found.arms), "an arm that no claim needs"
    pairs = [(claim.arm, claim.against, claim.metric) for claim in found.claims]
    assert len(set(pairs)) == len(pairs), "a claim is made twice"

  @pytest.mark.parametrize("method", METHODS)
  def test_arms_load_and_differ(self, method, tmp_path):
    plan = runs.plan_runs(claims.load(method), tmp_path, range(2))
    prints = [config_lib.digest(config_lib.fingerprint(run.config)) for run in plan]
    assert len(set(prints)) == len(plan)
    for run in plan:
      assert run.config.method == method
      assert run.config.seed == run.config.data.seed == run.seed

  def test_continuous_dropout_protocol(self, tmp_path):
    found = claims.load("continuous_dropout")
    assert found.seeds == 5 and len(found.arms) == 11 and len(found.claims) == 37
    for run in runs.plan_runs(found, tmp_path, range(1)):
      data = run.config.data
      assert (data.name, data.limit, data.label_noise) == ("fashion_mnist", 2000, 0.3)
      assert run.config.epochs == 40 and run.config.mask.mean_mode == "exact"

  def test_controls_are_as_noisy(self):
    found = claims.load("continuous_dropout")
    controls = [claim for claim in found.claims if "less noisy" in claim.source]
    assert len(controls) == 4
    for claim in controls:
      strengths = [noise_strength(found, arm) for arm in (claim.arm, claim.against)]
      assert strengths[0] == pytest.approx(strengths[1], rel=1e-6), claim

  def test_gtan_protocol(self, tmp_path):
    found = claims.load("gtan")
    assert (found.first_seed, found.seeds) == (1, 5)
    assert len(found.arms) == 14 and len(found.claims) == 28
    paper = [claim for claim in found.claims if "Long et al." in claim.source]
    assert {claim.direction for claim in paper} == {"higher"} and len(paper) == 6
    for run in runs.plan_runs(found, tmp_path, range(1)):
      config = run.config
      assert (config.data.name, config.data.generated.noise) == ("generated", 0.55)
      assert config.steps == 1500 and config.optimizer.learning_rate == 3e-3
      assert len(config.model.ratios) == int(run.arm[-1])

  def test_gtan_arms_differ_in_what_they_are_called(self):
    found = claims.load("gtan")
    for arm in found.arms:
      model = runs.run_config(found, arm, 1).model
      assert (model.anchors == "fixed") == arm.startswith("fixed"), arm
      pooled = not arm.startswith(("unpooled", "fixed_r"))
      assert (model.pooling == "gaussian") == pooled, arm
      assert bool(model.group_layers) == arm.startswith("grouped"), arm
      assert model.anchors == "fixed" or model.sigma_unit in arm, arm

  def test_claims_compare_arms_of_equally_many_anchors(self):
    for claim in claims.load("gtan").claims:
      assert claim.arm[-3:] == claim.against[-3:], claim


def noise_strength(found, arm):
  """Var m / E m^2 of an arm's hidden mask, as its config describes it."""
  mask = runs.run_config(found, arm, 0).mask
  names = ("kind", "rate", "low", "high", "mean", "std", "clip")
  spec = masks.MaskSpec(**{name: mask[name] for name in names})
  mean, variance = masks.mask_moments(
    masks.matched_bernoulli(spec) if mask.matched else spec
  )
  return variance / mean**2
