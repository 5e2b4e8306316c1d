"""The networks of causal_adv.npz, the authors' arrays in our layout."""

import jax
import jax.numpy as jnp

from jaxvision.attacks.objectives import Aim
from jaxvision.methods.common import style
from jaxvision.methods.common.style import Net, Outputs
from jaxvision.models.style_head import StyleHead
from jaxvision.ops.moment_bank import MomentBank
from jaxvision.ops.style import style as coordinates_of

NET = Net(None, "", StyleHead(5), "sequential")


def head_params(torch):
  """Parameters of `StyleHead` from torch's names."""
  dense = lambda name: {
    "kernel": jnp.asarray(torch[f"{name}.weight"]).T,
    "bias": jnp.asarray(torch[f"{name}.bias"]),
  }
  norm = {
    "scale": jnp.asarray(torch["pred.1.weight"]),
    "bias": jnp.asarray(torch["pred.1.bias"]),
  }
  return {
    "dense1": dense("pred.0"),
    "norm1": norm,
    "dense2": dense("pred.3"),
    "logits": dense("fc.0"),
  }


def head_variables(arrays, after=""):
  """Variables of the head: at first, or with the statistics `after` some batches."""
  prefix = "params/style_head."
  torch = {k.removeprefix(prefix): arrays[k] for k in arrays}
  names = {k: f"{after}bn_running_{k}" for k in ("mean", "var")}
  if not after:
    names = {k: f"{prefix}pred.1.running_{k}" for k in names}
  stats = {k: jnp.asarray(arrays[name]) for k, name in names.items()}
  return {"params": head_params(torch), "batch_stats": {"norm1": stats}}


def model_params(arrays):
  """Parameters of the stand-in classifier."""
  prefix = "params/model."
  return {
    k.removeprefix(prefix): jnp.asarray(arrays[k])
    for k in arrays
    if k.startswith(prefix)
  }


def model(params, x):
  """(features, logits) of the stand-in classifier."""
  hidden = jnp.tanh(x @ params["a.weight"].T + params["a.bias"])
  feature = jax.nn.softplus(hidden @ params["b.weight"].T + params["b.bias"])
  return feature, feature @ params["c.weight"].T


def outputs(seen, x):
  """What `methods.common.style.outputs` returns, of the stand-in."""
  feature, logits = model(seen.model, x)
  answer, _ = NET.head.apply(seen.head, coordinates_of(feature, seen.basis))
  return Outputs(logits, answer)


def seen(arrays):
  """The networks after some batches, as the alignment and the attacks see them."""
  basis = jnp.asarray(arrays["basis/basis2"])
  return style.Seen(model_params(arrays), head_variables(arrays, "head2/"), basis)


def moments(arrays):
  """Covariances of the head's features after some batches."""
  empty = MomentBank.zeros(5, 24, full=True)
  return empty._replace(cov=jnp.asarray(arrays["head2/cov"]))


def aim(arrays, x, label, ratio, *strengths) -> Aim:
  shifts = style.shifts(head_variables(arrays, "head2/"), moments(arrays), ratio)
  clean = outputs(seen(arrays), x)
  return style.aim(clean, label, shifts, style.Strengths(*strengths))
