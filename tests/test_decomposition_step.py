"""The step of domain-class correlation decomposition: losses, gradients, state."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decomposition_support import prepare, small, step

from configs import domain_class_decomposition as configs
from jaxvision.interop.weights import write_safetensors
from jaxvision.losses.classification import cross_entropy
from jaxvision.losses.metric_learning import batch_hard_triplet
from jaxvision.methods import domain_class_decomposition as method
from jaxvision.methods.common import decomposition
from jaxvision.methods.common.distillation import part
from jaxvision.ops.statistics import batch_moments
from jaxvision.train import state

ONE = {
  "optimizer.name": "sgd",
  "optimizer.learning_rate": 1.0,
  "optimizer.momentum": 0.0,
  "adversary.ramp": False,
  "adversary.widths": (4,),
}


def test_a_step_descends_the_losses_of_both_triples():
  """A step of plain SGD is a gradient; lambda turns that of the trunk alone around."""
  scale, weight = 0.7, 2.0
  config = small(**ONE, **{"transport.weight": weight, "adversary.scale": scale})
  net, before, after, chosen, logs = step(config)
  rest, key = state.variables(before), jax.random.key(1)
  domain, label = chosen["domain"], chosen["identity"]

  def losses(params):
    variables = {**rest, "params": params}
    features, _ = decomposition.forward(net, variables, chosen["input"], key=key)
    bank = batch_moments(jax.lax.stop_gradient(features.z), domain, 4)
    moved = decomposition.intervene(config, key, bank, features.z, chosen)
    head, critic = (part(variables, name) for name in ("classifier", "critic"))

    def of_identities(z):
      entropy = cross_entropy(net.classifier.apply(head, z), label, smoothing=0.1)
      return (entropy + batch_hard_triplet(z, label, margin=0.3)).mean()

    told = cross_entropy(net.critic.apply(critic, moved.z), moved.domain).mean()
    return of_identities(features.z), of_identities(moved.z), told, bank

  @jax.jit
  def expected(params):
    of = lambda i: jax.value_and_grad(lambda p: losses(p)[i])(params)
    return of(0), of(1), of(2), losses(params)[3]

  (real, g_real), (star, g_star), (told, g_told), bank = expected(before["params"])
  found = [logs[f"{name}_loss"] for name in ("identity", "moved", "domain")]
  np.testing.assert_allclose(found, [real, star, told], rtol=1e-4)
  assert logs["loss"] == pytest.approx(float(real + weight * star + told), rel=1e-4)
  chex.assert_trees_all_close(after["bank"], bank, rtol=1e-4, atol=1e-5)
  assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(g_told["model"])) > 1e-3
  for name, sign in (("model", -scale), ("classifier", 1.0), ("critic", 1.0)):
    moved = jax.tree.map(
      lambda w, a, b, c, sign=sign: w - (a + weight * b + sign * c),
      *(tree[name] for tree in (before["params"], g_real, g_star, g_told)),
    )
    chex.assert_trees_all_close(after["params"][name], moved, rtol=1e-3, atol=1e-4)


def test_an_alternating_critic_goes_first():
  """Its step descends, penalized; then the trunk ascends on what it has become."""
  changes = {**ONE, "adversary.kind": "alternating", "adversary.scale": 1.0}
  _, before, after, _, logs = step(small("vectors,dann", **changes))
  moved = jax.tree.map(
    lambda a, b: float(jnp.abs(a - b).max()),
    after["params"]["critic"],
    before["params"]["critic"],
  )
  assert max(jax.tree.leaves(moved)) == pytest.approx(1e-3, rel=1e-2)  # Adam's first
  assert logs["domain_loss"] < logs["critic_loss"]  # the same batch, a step later
  assert logs["loss"] == pytest.approx(
    float(logs["identity_loss"] - logs["domain_loss"]), rel=1e-4
  )


def test_moved_features_wait_for_the_bank():
  """With many switches at once: what is moved does not count before `warmup`."""
  changes = {
    "transport.warmup": 1, "transport.draw": "all", "adversary.on": "both",
    "adversary.kind": "alternating", "adversary.penalty": 1.0, "coral": 0.5,
    "ema.decay": 0.9, "optimizer.accumulate": 2, "neck.use": True,
  }  # fmt: skip
  _, _, after, _, logs = step(small("vectors,full,after_neck", **changes))
  chex.assert_tree_all_finite((after["params"], logs))
  total = logs["identity_loss"] + 0.5 * logs["coral"]
  assert logs["loss"] == pytest.approx(float(total), rel=1e-5)
  assert logs["moved_loss"] > 0 and logs["coral"] > 0


def test_the_trunk_starts_from_a_file(tmp_path):
  trunk = method.build_net(small(), method.load(small())).model
  weights = jax.jit(trunk.init)(jax.random.key(7), jnp.ones((1, 64)))
  write_safetensors(tmp_path / "trunk.safetensors", weights)
  config = small(**{"init_from": str(tmp_path / "trunk.safetensors")})
  *_, before = prepare(config)
  chex.assert_trees_all_equal(before["params"]["model"], weights["params"])


TRACED = ("ot,others,bank_grad", "mean,permute,cumulative", "coral", "adversary_only")


@pytest.mark.parametrize("variant", TRACED)
def test_a_step_keeps_the_shapes_of_a_state(variant):
  config = small(f"vectors,{variant}", **{"neck.use": True})
  data = method.load(config, abstract=True)
  (stage,) = method.build(config, data).stages
  frozen, key = stage.frozen({}), jax.random.key(0)
  now = jax.eval_shape(stage.init, key, frozen, stage.spec)
  after, logs = jax.eval_shape(stage.step, now, frozen, stage.spec, key)
  chex.assert_trees_all_equal_shapes_and_dtypes(after, now)
  assert now["bank"].cov.ndim == 2 + ("ot" in variant)
  assert ("moved_loss" in logs) == bool(config.transport.weight)
  assert ("domain_loss" in logs) == (config.adversary.on != "none")


@pytest.mark.parametrize(
  "variant, trunk, width",
  [("paper", 23_508_032, 2048), ("paper_mobilenet", 4_315_776, 1792)],
)
def test_parameters_of_the_benchmark(variant, trunk, width):
  config = configs.get_config(variant)
  data = method.load(config, abstract=True)
  net = method.build_net(config, data)
  x = jax.ShapeDtypeStruct((2, 256, 128, 3), jnp.float32)
  params = jax.eval_shape(
    lambda key, x: decomposition.begin(key, net, x), jax.random.key(0), x
  )["params"]
  count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
  assert count(params["model"]) == trunk
  assert count(params["neck"]) == width
  assert count(params["classifier"]) == width * 18_530
  assert len(method.expected_files(config)) == 10
