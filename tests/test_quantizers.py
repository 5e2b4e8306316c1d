"""Quantizers by name: every scheme in its slots."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import UserError
from jaxvision.ops import lq_nets, quantizers
from jaxvision.ops.quantization import LEVELS
from jaxvision.ops.quantizers import ACTIVATIONS, QUANTIZERS, WEIGHTS, make_scheme

W = 0.6 * jax.random.normal(jax.random.key(0), (3, 3, 4, 5))
X = jax.nn.relu(2.0 * jax.random.normal(jax.random.key(1), (2, 5, 5, 3)))
G = jax.random.normal(jax.random.key(2), W.shape)

# Every quantizer with a level set that it can have.
SLOTS = [
  ("quantization_networks", "w3pm2", WEIGHTS),
  ("quantization_networks", "a2", ACTIVATIONS),
  ("ste", "w2", WEIGHTS),
  ("ste", "a2", ACTIVATIONS),
  ("bwn", "w1", WEIGHTS),
  ("twn", "w2", WEIGHTS),
  ("ttq", "w2", WEIGHTS),
  ("dorefa", "w1", WEIGHTS),
  ("dorefa", "s3", WEIGHTS),
  ("dorefa", "a2", ACTIVATIONS),
  ("pact", "a3", ACTIVATIONS),
  ("lsq", "s3", WEIGHTS),
  ("lsq", "a2", ACTIVATIONS),
  ("lq_nets", "s2", WEIGHTS),
  ("lq_nets", "a2", ACTIVATIONS),
]
each_slot = pytest.mark.parametrize(
  ("name", "levels", "target"), SLOTS, ids=[f"{s[0]}-{s[1]}" for s in SLOTS]
)


def tensor(target):
  return W if target == WEIGHTS else X


@each_slot
def test_every_scheme_fits_its_slot(name, levels, target):
  scheme, x = make_scheme(name, levels, target=target), tensor(target)
  assert target in QUANTIZERS[name].targets
  params = jax.jit(scheme.init)(x)
  assert set(params) == set(scheme.owns)
  hard = jax.jit(lambda params, x: scheme.apply(params, x, None, False))(params, x)
  channels = W.shape[-1] if name in ("bwn", "lq_nets") and target == WEIGHTS else 1
  count = len(LEVELS[levels])
  for column in np.asarray(hard).reshape(-1, channels).T:
    assert 2 <= len(np.unique(column)) <= count
  assert float(jnp.mean((hard - x) ** 2)) < float(jnp.mean(x**2))
  assert set(scheme.update(params, x)) == set(scheme.owns)


@each_slot
def test_every_scheme_trains_weights_and_what_it_owns(name, levels, target):
  scheme, x = make_scheme(name, levels, target=target), tensor(target)
  params = scheme.init(x)
  if name == "pact":
    params = {"clip": jnp.float32(2.0)}

  def loss(params, x):
    y = scheme.apply(params, x, 3.0, True)
    return jnp.sum(jnp.sin(jnp.arange(y.size)) * y.reshape(-1))

  own, dx = jax.jit(jax.grad(loss, (0, 1)))(params, x)
  assert jnp.isfinite(dx).all() and jnp.abs(dx).max() > 0
  fixed = {"biases", "basis"}
  assert {key for key, d in own.items() if not d.any()} == fixed & set(scheme.owns)


def test_a_scheme_in_bfloat16_keeps_its_dtype():
  for name, levels, target in SLOTS:
    scheme, x = make_scheme(name, levels, target=target), tensor(target)
    low = x.astype(jnp.bfloat16)
    params = jax.eval_shape(scheme.init, x)
    run = lambda p, x, s=scheme: s.apply(p, x, 3.0, True)
    assert jax.eval_shape(run, params, low).dtype == jnp.bfloat16, name


def test_lq_update_moves_a_tenth_of_the_way():
  scheme = make_scheme("lq_nets", "s2", target=WEIGHTS)
  old = scheme.init(W)
  fitted = lq_nets.fit_basis(3 * W.reshape(-1, 5), old["basis"], signed=True)
  expected = 0.9 * old["basis"] + 0.1 * fitted
  chex.assert_trees_all_close(scheme.update(old, 3 * W)["basis"], expected, rtol=1e-5)


def test_options_reach_the_quantizer():
  make = lambda **kw: make_scheme("quantization_networks", "w2", target=WEIGHTS, **kw)
  np.testing.assert_allclose(make(method="paper").init(W)["biases"], [-0.05, 0.05])
  params = {**make(method="linear").init(W), "biases": jnp.asarray([0.4, -0.4])}
  grad = lambda s: jax.grad(lambda p: s.apply(p, W, 5.0, True).sum())(params)
  learned, frozen = grad(make(learn_biases=True)), grad(make())
  assert learned["biases"].any() and not frozen["biases"].any()
  t1, exact = grad(make(backward="t1")), grad(make(backward="exact"))
  assert not jnp.allclose(t1["beta"], exact["beta"], rtol=0.1)


@pytest.mark.parametrize(
  ("call", "named"),
  [
    ({"name": "magic"}, "'magic': choose one of quantization_networks"),
    ({"name": "pact"}, "'pact' is for activations, not weights"),
    ({"levels": "w9"}, "'w9'; choose one of w1"),
    ({"levels": (1, 1)}, "levels are"),
    ({"rate": 3}, "no option 'rate'; it has method"),
    ({"backward": "both"}, "both"),
    ({"method": "median"}, "median"),
    ({"name": "ste", "method": "median"}, "median"),
    ({"name": "bwn"}, "'bwn': levels are.*two levels"),
    ({"name": "twn", "levels": "w1"}, "three levels"),
    ({"name": "ttq", "levels": "w1"}, "three levels"),
    ({"name": "lsq", "levels": "w3pm4"}, "consecutive"),
    ({"name": "lq_nets"}, "power of two"),
    ({"name": "pact", "levels": "w2", "target": ACTIVATIONS}, "levels from 0"),
  ],
)
def test_a_bad_choice_is_refused(call, named):
  call = {"name": "quantization_networks", "levels": "w2", "target": WEIGHTS, **call}
  with pytest.raises(UserError, match=named):
    quantizers.make_scheme(**call)
