"""The claims files: all that they name exists, and controls are fair."""

import pytest
import toy_claims  # noqa: F401, puts `experiments` on sys.path

from experiments import claims
from experiments.claims import iekd
from experiments.reproduction import runs
from jaxvision import config as config_lib
from jaxvision.errors import UserError
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

  def test_iekd_arms_have_their_teachers_and_the_weights_that_were_chosen(self):
    found = iekd.PROTOCOL
    assert (found.first_seed, found.seeds, len(found.arms)) == (2, 5, 15)
    for arm in found.arms:
      config = runs.run_config(found, arm, 2)
      weak = arm.startswith("weak_")
      assert config.teacher.limit == (300 if weak else 3000), arm
      assert (config.teacher.model.widths[0] < config.model.widths[0]) == weak, arm
      assert config.distill.both_inherit == arm.endswith("both"), arm
      assert (config.distill.inherit_weight == 0) == arm.endswith("explore"), arm
    for name, weight in iekd.WEIGHTS.items():
      arm = iekd.IE if name == "ie" else name
      config = config_lib.flat(runs.run_config(found, arm, 2))
      keys = iekd.KEYS[name.removeprefix("weak_")]
      assert {config[key] for key in keys} == {weight}, arm

  def test_iekd_chooses_weights_with_a_seed_that_no_claim_uses(self, tmp_path):
    pilot = claims.load("iekd", pilot=True)
    assert pilot.first_seed + pilot.seeds <= iekd.PROTOCOL.first_seed
    assert set(pilot.metrics) == {"val/accuracy"} and not pilot.claims
    for name, weight in iekd.WEIGHTS.items():
      assert f"{name}_{weight:g}" in pilot.arms  # what was chosen was tried
    plan = runs.plan_runs(pilot, tmp_path, range(1))
    prints = {config_lib.digest(config_lib.fingerprint(run.config)) for run in plan}
    assert len(prints) == len(plan) == 36

  def test_claims_compare_arms_of_equally_many_anchors(self):
    for claim in claims.load("gtan").claims:
      assert claim.arm[-3:] == claim.against[-3:], claim


class TestCausalAdv:
  def test_arms_are_attacked_alike_and_once(self, tmp_path):
    found = claims.load("causal_adv")
    assert len(found.arms) == 4 and found.seeds == 5
    planned = runs.plan_runs(found, tmp_path, range(1))
    assert len({str(run.config.attack) for run in planned}) == 1
    for run in planned:
      attack = run.config.attack
      assert (attack.name, attack.eps) == ("autoattack", run.config.adversarial.eps)
      assert run.config.eval.checkpoint == "best"
      assert (run.config.style.alpha == 0) == (run.arm in ("madry", "trades"))

  def test_the_pilot_has_other_seeds_and_attacks_no_test_image(self, tmp_path):
    pilot, found = claims.load("causal_adv", pilot=True), claims.load("causal_adv")
    assert pilot.first_seed + pilot.seeds <= found.first_seed
    assert all(metric.startswith("val/") for metric in pilot.metrics)
    planned = runs.plan_runs(pilot, tmp_path, range(1))
    prints = [config_lib.digest(config_lib.fingerprint(run.config)) for run in planned]
    assert len(set(prints)) == 8
    assert not any(run.config.attack.name for run in planned)

  def test_methods_without_a_pilot_say_so(self):
    with pytest.raises(UserError, match="--pilot: experiments/claims/gtan"):
      claims.load("gtan", pilot=True)


def noise_strength(found, arm):
  """Var m / E m^2 of an arm's hidden mask, as its config describes it."""
  mask = runs.run_config(found, arm, 0).mask
  names = ("kind", "rate", "low", "high", "mean", "std", "clip")
  spec = masks.MaskSpec(**{name: mask[name] for name in names})
  mean, variance = masks.mask_moments(
    masks.matched_bernoulli(spec) if mask.matched else spec
  )
  return variance / mean**2
