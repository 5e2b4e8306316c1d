"""CausalAdv's losses, gradients and attacks, against the authors' numbers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import style_support as support
from ml_collections import ConfigDict

from configs import causal_adv
from jaxvision.attacks import objectives
from jaxvision.attacks.pgd import ascend
from jaxvision.errors import UserError
from jaxvision.losses.style import alignment
from jaxvision.methods.common import adversarial_training, style, style_evaluation
from jaxvision.ops.style import style as coordinates_of

KINDS = {"M": "madry", "T": "trades"}


@pytest.fixture(scope="module")
def arrays(golden):
  found = golden("causal_adv")
  return {name: found[name] for name in found}  # read once


def training(form, beta, eps=0.1):
  fields = {"kind": KINDS[form], "beta": float(beta), "eps": eps}
  return adversarial_training.build(ConfigDict(fields))


@pytest.fixture(scope="module")
def aligned(arrays):
  """(detach) -> what the loss of the classifier and its gradients are, by form."""
  x, x_adv = (jnp.asarray(arrays[f"align/{k}"]) for k in ("x", "x_adv"))
  label = jnp.asarray(arrays["head/y"])
  seen, ratio = support.seen(arrays), float(arrays["align/ratio"])

  def losses(params, head, features, detach):
    """Content and style; `features` are added to f and f_adv to see their gradients."""
    pairs = []
    for images, extra in zip((x, x_adv), features, strict=True):
      feature, logits = support.model(params, images)
      moved = feature + extra
      pairs.append((moved, logits + extra @ params["c.weight"].T))
    (f, z), (f_adv, z_adv) = pairs
    shifts = style.shifts(head, support.moments(arrays), ratio)
    natural, adversarial = (
      style.head_logits(
        support.NET, head, coordinates_of(feature, seen.basis), label, shifts
      )
      for feature in (f, f_adv)
    )
    return z, z_adv, alignment(natural, adversarial, detach=detach).mean()

  def total(params, head, features, form, detach):
    z, z_adv, apart = losses(params, head, features, detach)
    if form == "style":
      return apart
    beta, alpha = arrays[f"align/{form}/beta_alpha"]
    return training(form, beta).loss(z, z_adv, label).mean() + alpha * apart

  zeros = tuple(jnp.zeros_like(arrays[f"align/{k}"]) for k in ("f", "f_adv"))
  grad = jax.jit(jax.value_and_grad(total, (0, 1, 2)), static_argnums=(3, 4))
  return lambda form, detach=False: grad(seen.model, seen.head, zeros, form, detach)


def test_the_stand_in_is_the_authors(arrays):
  for end in ("", "_adv"):
    x = jnp.asarray(arrays[f"align/x{end}"])
    found = support.model(support.model_params(arrays), x)
    for name, array in zip(("f", "z"), found, strict=True):
      np.testing.assert_allclose(array, arrays[f"align/{name}{end}"], atol=1e-5)


@pytest.mark.parametrize("form", KINDS)
def test_loss_and_gradients_are_the_authors(arrays, aligned, form):
  value, (by_model, _, by_features) = aligned(form)
  np.testing.assert_allclose(value, arrays[f"align/{form}/total"], rtol=1e-5)
  for name, found in by_model.items():
    expected = arrays[f"align/{form}/grad_total/{name}"]
    np.testing.assert_allclose(found, expected, atol=2e-6)
  for name, found in zip(("f", "f_adv"), by_features, strict=True):
    expected = arrays[f"align/{form}/grad_total/{name}"]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_style_loss_and_its_gradients_are_the_authors(arrays, aligned):
  value, (_, by_head, by_features) = aligned("style")
  np.testing.assert_allclose(value, arrays["align/style"], rtol=1e-5)
  for name, found in zip(("f", "f_adv"), by_features, strict=True):
    np.testing.assert_allclose(found, arrays[f"align/grad_style/{name}"], atol=1e-6)
  prefix = "align/grad_style/head."
  expected = support.head_params({k.removeprefix(prefix): arrays[k] for k in arrays})
  chex.assert_trees_all_close(by_head["params"], expected, atol=1e-6)


def test_a_detached_target_changes_the_gradients(arrays, aligned):
  _, (_, _, (by_natural, by_adversarial)) = aligned("style", True)
  expected = arrays["align/grad_style_detached_target/f_adv"]
  np.testing.assert_allclose(by_adversarial, expected, atol=1e-6)
  assert not by_natural.any()


def starts(arrays):
  """Where the authors' attacks start: theirs for TRADES is not clipped."""
  x, uniform, normal = (
    arrays[k] for k in ("align/x", "attack/uniform_start", "attack/normal_start")
  )
  return {"uniform": np.clip(x + uniform, 0, 1), "normal": x + 0.001 * normal}


def attack(arrays, content, strengths, ratio, start, *, eps, step_size, steps):
  x, label = (jnp.asarray(arrays[k]) for k in ("align/x", "head/y"))
  run = lambda x, start: ascend(
    support.outputs, style.objective(content), x,
    support.aim(arrays, x, label, ratio, *strengths), start,
    eps=eps, step_size=step_size, steps=steps, variables=support.seen(arrays),
  )  # fmt: skip
  return jax.jit(run)(x, jnp.asarray(starts(arrays)[start]))


@pytest.mark.parametrize(("form", "start"), [("M", "uniform"), ("T", "normal")])
def test_inner_attack_is_the_authors(arrays, form, start):
  eps, step_size, steps, ratio, alpha = map(float, arrays["attack/settings"])
  beta = float(arrays[f"align/{form}/beta_alpha"][0])
  content = training(form, beta).objective
  fields = {"eps": eps, "step_size": step_size, "steps": round(steps)}
  found = attack(arrays, content, (beta, alpha), ratio, start, **fields)
  np.testing.assert_allclose(found, arrays[f"attack/{form}/x_adv"], atol=1e-6)


@pytest.mark.parametrize("loss", ["ce", "cw"])
def test_adaptive_attack_is_the_authors(arrays, loss):
  config = causal_adv.get_config()
  config.eval.batch_size = len(arrays["head/y"])
  strengths = style_evaluation.adaptive_strengths(config)["adaptive"]
  content, fields = objectives.OBJECTIVES[loss], {"eps": 0.08, "step_size": 0.02}
  ratio = config.robust.ratio
  found = attack(arrays, content, strengths, ratio, "uniform", steps=6, **fields)
  np.testing.assert_allclose(found, arrays[f"attack/adaptive_{loss}/x_adv"], atol=1e-6)


def test_adaptive_forms_differ_by_the_size_of_the_batch():
  forms = style_evaluation.adaptive_strengths(causal_adv.get_config())
  authors, summed = forms["adaptive"], forms["adaptive_summed"]
  assert authors.content == summed.content == pytest.approx(0.8)
  assert summed.style == 0.2 and authors.style == pytest.approx(0.2 / 500)


def test_cw_is_the_authors(arrays):
  z, label = jnp.asarray(arrays["align/z"]), jnp.asarray(arrays["head/y"])
  found = objectives.cw(z, objectives.Aim(label))
  np.testing.assert_allclose(found, arrays["cw/loss"], rtol=1e-5)


def test_style_moves_the_attack_only_where_it_has_a_weight(arrays):
  eps, step_size, steps, ratio, alpha = map(float, arrays["attack/settings"])
  fields = {"eps": eps, "step_size": step_size, "steps": round(steps)}
  runs = [
    attack(arrays, objectives.ce, (1.0, weight), ratio, "uniform", **fields)
    for weight in (0.0, alpha)
  ]
  assert np.abs(runs[0] - runs[1]).max() > step_size / 2
  x, label = (jnp.asarray(arrays[k]) for k in ("align/x", "head/y"))
  variables = support.model_params(arrays)
  plain = ascend(
    lambda params, x: support.model(params, x)[1], objectives.ce, x,
    objectives.Aim(label), jnp.asarray(starts(arrays)["uniform"]), **fields,
    variables=variables,
  )  # fmt: skip
  np.testing.assert_allclose(runs[0], plain, atol=1e-6)


def test_an_unknown_kind_is_named():
  fields = ConfigDict({"kind": "free", "beta": 1.0, "eps": 0.1})
  with pytest.raises(UserError, match="choose one of madry, trades, mart"):
    adversarial_training.build(fields)
