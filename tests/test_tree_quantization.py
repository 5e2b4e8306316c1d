"""Quantization of weights: trees to trees, by path rules."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from detector_support import FEATURES, TINY

from jaxvision.errors import UserError
from jaxvision.models.cnn import CNN
from jaxvision.models.mlp import MLP
from jaxvision.ops import quantization, trees
from jaxvision.ops import tree_quantization as tq
from jaxvision.ops.quantizers import make_scheme

KEY = jax.random.key(0)
IMAGES = jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
TERNARY = make_scheme("quantization_networks", "w2", target="weights")
LINEAR = make_scheme("quantization_networks", "w2", target="weights", method="linear")
BWN = make_scheme("bwn", "w1", target="weights")

# Model, input, rules that spare the first and the last layer, quantized paths.
CASES = {
  "mlp": (
    MLP(hidden=(9, 9, 9)),
    IMAGES,
    (("dense1/kernel|logits/kernel", None), (".*/kernel", TERNARY)),
    ["dense2/kernel", "dense3/kernel"],
  ),
  "cnn": (
    CNN(widths=(4, 6), dense_width=7),
    IMAGES,
    (("conv1/.*|logits/.*", None), (".*/kernel", TERNARY)),
    ["conv2/kernel", "dense/kernel"],
  ),
  "gtan": (
    TINY,
    FEATURES,
    (("head.*|sigma.*", None), ("base/conv1/.*", None), (".*/kernel", LINEAR)),
    None,
  ),
}


def build(name):
  model, x, rules, expected = CASES[name]
  return model, jax.jit(model.init)(KEY, x), x, rules, expected


@pytest.mark.parametrize("name", CASES)
def test_chosen_weights_become_levels_and_all_others_stay(name):
  _, variables, _, rules, expected = build(name)
  params = variables["params"]
  chosen = tq.quantized_paths(params, rules)
  if expected is not None:
    assert list(chosen) == expected
  assert chosen and set(chosen.values()) == {".*/kernel"}
  own = tq.init_tree(params, rules)
  assert set(own) == set(chosen)
  hard = jax.jit(lambda p, o: tq.quantize_tree(p, rules, o, hard=True))(params, own)
  chex.assert_trees_all_equal_shapes_and_dtypes(hard, params)
  before, after = (
    dict(zip(trees.paths(t), jax.tree.leaves(t), strict=True)) for t in (params, hard)
  )
  for path, leaf in after.items():
    if path in chosen:
      values = own[path]["alpha"] * jnp.asarray([-1.0, 0.0, 1.0])
      assert np.isin(leaf, values).all() and len(np.unique(leaf)) == 3
    else:
      assert leaf is before[path] or jnp.array_equal(leaf, before[path])


@pytest.mark.parametrize("name", CASES)
def test_gradients_reach_weights_and_quantizers_through_an_untouched_model(name):
  model, variables, x, rules, _ = build(name)
  own = tq.init_tree(variables["params"], rules)

  def loss(params, own, temperature):
    soft = tq.quantize_tree(params, rules, own, temperature=temperature)
    outputs = model.apply({**variables, "params": soft}, x)
    return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(outputs) if y.dtype == "f4")

  dparams, down = jax.jit(jax.grad(loss, (0, 1)))(variables["params"], own, 2.0)
  slopes = dict(zip(trees.paths(dparams), jax.tree.leaves(dparams), strict=True))
  for path, slope in down.items():
    assert jnp.abs(slopes[path]).max() > 0, path
    assert slope["alpha"] != 0 and slope["beta"] != 0, path
    assert not slope["biases"].any()  # fixed, as in all the paper's experiments


def test_each_layer_has_its_own_quantizer_or_all_share_one():
  _, variables, _, rules, _ = build("mlp")
  params = variables["params"]
  own = tq.init_tree(params, rules)
  kernel = params["dense2"]["kernel"]
  alone = quantization.init_quantizer(kernel, (-1, 0, 1))._asdict()
  chex.assert_trees_all_equal(own["dense2/kernel"], alone)
  shared = tq.init_tree(params, rules, shared=True)
  assert list(shared) == [".*/kernel"]
  largest = max(jnp.abs(params[f"dense{i}"]["kernel"]).max() for i in (2, 3))
  np.testing.assert_allclose(shared[".*/kernel"]["beta"], 1.25 / largest, rtol=1e-6)
  hard = tq.quantize_tree(params, rules, shared, hard=True)
  values = np.unique([hard[f"dense{i}"]["kernel"] for i in (2, 3)])
  assert len(values) == 3
  assert tq.update_tree(params, rules, shared) == shared


def test_one_program_serves_a_training_run_that_sharpens():
  model, variables, x, rules, _ = build("cnn")
  params = variables["params"]
  state = {"params": params, "own": tq.init_tree(params, rules)}
  optimizer = optax.sgd(0.01)
  chex.clear_trace_counter()

  @jax.jit
  @chex.assert_max_traces(1)
  def step(state, slots, epoch):
    def loss(state):
      temperature = quantization.annealed_temperature(epoch, rate=5.0)
      soft = tq.quantize_tree(
        state["params"], rules, state["own"], temperature=temperature
      )
      logits = model.apply({**variables, "params": soft}, x)
      return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(4))

    grads = jax.grad(lambda s: loss(s).mean())(state)
    updates, slots = optimizer.update(grads, slots)
    return optax.apply_updates(state, updates), slots

  slots, before = optimizer.init(state), state
  for epoch in range(1, 5):
    state, slots = step(state, slots, epoch)
  for path in ("conv2/kernel", "dense/kernel"):
    moved, start = state["own"][path], before["own"][path]
    assert moved["alpha"] != start["alpha"] and moved["beta"] != start["beta"]
    chex.assert_trees_all_equal(moved["biases"], start["biases"])


def test_initialisation_may_be_traced():
  _, variables, _, rules, _ = build("cnn")
  fit = lambda params: tq.init_tree(params, rules)
  expected = fit(variables["params"])
  chex.assert_trees_all_close(jax.jit(fit)(variables["params"]), expected, rtol=1e-6)
  abstract = jax.eval_shape(fit, variables["params"])
  chex.assert_trees_all_equal_shapes_and_dtypes(abstract, expected)


def test_the_first_rule_decides_and_schemes_mix():
  _, variables, _, _, _ = build("cnn")
  params = variables["params"]
  lq = make_scheme("lq_nets", "s2", target="weights")
  rules = (("conv1/kernel", None), ("conv2/kernel", BWN), (".*/kernel", lq))
  own = tq.init_tree(params, rules)
  assert set(own) == {"dense/kernel", "logits/kernel"}  # BWN owns nothing
  hard = tq.quantize_tree(params, rules, own, hard=True)
  chex.assert_trees_all_equal(hard["conv1"], params["conv1"])
  chex.assert_trees_all_equal(
    hard["conv2"]["kernel"], BWN.apply({}, params["conv2"]["kernel"], None, False)
  )
  soft = tq.quantize_tree(params, rules, own)  # nothing anneals: no temperature
  chex.assert_trees_all_equal(soft, hard)
  moved = tq.update_tree(jax.tree.map(lambda w: 2 * w, params), rules, own)
  chex.assert_trees_all_equal_shapes(moved, own)
  assert not jnp.allclose(moved["dense/kernel"]["basis"], own["dense/kernel"]["basis"])


def test_mistakes_are_named():
  _, variables, _, rules, _ = build("mlp")
  params = variables["params"]
  own = tq.init_tree(params, rules)
  lost = ((".*/kernels", TERNARY),)
  for call in (tq.init_tree, lambda p, r: tq.quantize_tree(p, r, own, hard=True)):
    with pytest.raises(UserError, match=r"'\.\*/kernels' matches.*dense1/bias, dense1"):
      call(params, lost)
  with pytest.raises(
    UserError, match=r"dense2/kernel has no parameters.*given are none"
  ):
    tq.quantize_tree(params, rules, {}, hard=True)
  with pytest.raises(UserError, match="dense2/kernel anneals; give a temperature"):
    tq.quantize_tree(params, rules, own)
  few = {"a": jnp.ones(2)}
  with pytest.raises(UserError, match="quantizer of a: 2 values cannot form 3"):
    tq.init_tree(few, (("a", TERNARY),))
  lq = make_scheme("lq_nets", "s2", target="weights")
  with pytest.raises(UserError, match="cannot be shared by dense1/kernel"):
    tq.init_tree(params, ((".*/kernel", lq),), shared=True)


def test_rules_from_config_entries():
  entries = [
    {"at": "dense1/kernel|logits/kernel", "quantizer": "none"},
    {"at": ".*/kernel", "quantizer": "ste", "levels": [-1, 0, 1], "method": "paper"},
  ]
  _, variables, _, _, expected = build("mlp")
  params, rules = variables["params"], tq.make_rules(entries)
  assert list(tq.quantized_paths(params, rules)) == expected
  own = tq.init_tree(params, rules)["dense2/kernel"]
  np.testing.assert_allclose(own["biases"], [-0.05, 0.05])


@pytest.mark.parametrize(
  ("entry", "named"),
  [
    ({"quantizer": "ste", "levels": "w2"}, "has no 'at'"),
    ({"at": "x"}, "has no 'quantizer'"),
    ({"at": "x", "quantizer": "ste"}, "has no 'levels'"),
    ({"at": "x", "quantizer": "none", "levels": "w2"}, "none has no option 'levels'"),
    ({"at": "x", "quantizer": "ste", "levels": "w2", "t": 1}, "no option 't'"),
    ({"at": "x", "quantizer": "pact", "levels": "a2"}, "for activations, not weights"),
  ],
)
def test_a_bad_config_entry_is_refused(entry, named):
  with pytest.raises(UserError, match=named):
    tq.make_rules([entry])
