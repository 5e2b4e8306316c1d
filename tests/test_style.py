"""CausalAdv's anchor, basis, covariances and losses: the authors' numbers, properties.

The golden network is f = softplus(b(tanh(a(x)))), z = c(f); see tests/style_support.py.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import style_support
from style_support import head_variables

from jaxvision.losses import style as losses
from jaxvision.losses.classification import cross_entropy
from jaxvision.methods.common import style as style_net
from jaxvision.methods.common.style import Net
from jaxvision.models.style_head import StyleHead
from jaxvision.ops import style
from jaxvision.ops.moment_bank import MomentBank, update_bank

CLASSES, SIZE = 5, 24
NET = Net(None, "", StyleHead(CLASSES), "sequential")
make_basis = jax.jit(style.style_basis, static_argnames="kind")
make_anchor = jax.jit(style.make_anchor, static_argnums=1)
update = jax.jit(functools.partial(update_bank, mode="cumulative"))
EMPTY = MomentBank.zeros(CLASSES, SIZE, full=True)


@pytest.fixture(scope="module")
def arrays(golden):
  return golden("causal_adv")


class TestMomentsOfClasses:
  def test_is_the_authors_estimator_batch_by_batch(self, arrays):
    moments = EMPTY
    for i in range(5):
      features = jnp.asarray(arrays[f"estimator/features{i}"])
      moments = update(moments, features, jnp.asarray(arrays[f"estimator/labels{i}"]))
      for field in ("mean", "cov", "count"):
        expected = arrays[f"estimator/{field}{i}"]
        np.testing.assert_allclose(getattr(moments, field), expected, atol=1e-5)

  def test_is_the_biased_covariance_of_all_batches_together(self):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)) + 3, rng.integers(0, 3, 60)
    moments = MomentBank.zeros(4, 4, full=True)  # nothing is of the last class
    for rows in np.split(np.arange(60), 4):
      part = jnp.asarray(x[rows], jnp.float32), jnp.asarray(y[rows])
      moments = update(moments, *part)
    for c in range(3):
      own = x[y == c]
      np.testing.assert_allclose(moments.mean[c], own.mean(0), atol=1e-5)
      np.testing.assert_allclose(moments.cov[c], np.cov(own.T, ddof=0), atol=1e-5)
    assert moments.count.tolist() == [*np.bincount(y), 0]
    chex.assert_trees_all_equal(moments.cov[3], jnp.zeros((4, 4)))


class TestBasis:
  def test_anchor_is_the_authors(self, arrays):
    found = jax.jit(style.choose_anchor)(jnp.asarray(arrays["anchor/draws"]))
    np.testing.assert_allclose(found, arrays["anchor/anchor"], atol=3e-4)
    np.testing.assert_allclose(found @ found.T, np.eye(SIZE), atol=1e-5)

  def test_three_bases_in_turn_are_the_authors(self, arrays):
    anchor = jnp.asarray(arrays["anchor/anchor"])
    kernel = jnp.asarray(arrays["basis/classifier_weight"]).T
    own = {"anchor": anchor, "features": MomentBank.zeros(1, SIZE, full=True)}
    for i in range(3):
      features = jnp.asarray(arrays[f"basis/features{i}"])
      own = style_net.watch(own, features)
      cov = own["features"].cov[0]
      found = make_basis(anchor, kernel, cov)
      np.testing.assert_allclose(cov, arrays[f"basis/cov{i}"], atol=1e-6)
      mean = own["features"].mean[0]
      np.testing.assert_allclose(mean, arrays[f"basis/mean{i}"], atol=1e-6)
      np.testing.assert_allclose(found, arrays[f"basis/basis{i}"], atol=1e-5)
    found = style.style(features, found)
    np.testing.assert_allclose(found, arrays["basis/style2"], atol=1e-5)

  def test_only_the_exact_basis_is_free_of_all_classes(self):
    keys, size = jax.random.split(jax.random.key(0), 3), SIZE
    anchor = make_anchor(keys[0], size)
    kernel = jax.random.normal(keys[1], (size, CLASSES))
    root = jax.random.normal(keys[2], (size, size))
    covariance = root @ root.T / size
    left = {
      kind: np.abs(
        make_basis(anchor, kernel, covariance, kind=kind) @ covariance @ kernel
      ).max(0)
      for kind in style.KINDS
    }
    assert left["exact"].max() < 1e-5
    assert left["sequential"][-1] < 1e-5 and left["sequential"][0] > 1e-2
    chex.assert_trees_all_equal(
      make_basis(anchor, kernel, covariance, kind="random"), anchor
    )

  @pytest.mark.parametrize("kind", style.KINDS)
  def test_dependent_directions_leave_a_finite_basis(self, kind):
    anchor = make_anchor(jax.random.key(0), 6)
    kernel = jnp.ones((6, 3))
    for covariance in (jnp.zeros((6, 6)), jnp.eye(6)):
      found = make_basis(anchor, kernel, covariance, kind=kind)
      norms = jnp.linalg.norm(found, axis=1)
      np.testing.assert_allclose(norms, 1, atol=1e-5)
      if kind == "exact" and covariance.any():
        np.testing.assert_allclose(found @ kernel, 0, atol=1e-5)

  @pytest.mark.parametrize("kind", style.KINDS)
  def test_no_gradient_flows_through_it(self, kind):
    anchor = make_anchor(jax.random.key(0), 6)
    total = lambda w: make_basis(anchor, w, jnp.eye(6), kind=kind).sum()
    assert not jax.jit(jax.grad(total))(jnp.ones((6, 3))).any()

  def test_another_kind_is_named(self):
    with pytest.raises(ValueError, match="kind is 'svd'; choose one of sequential"):
      style.style_basis(jnp.eye(2), jnp.ones((2, 1)), jnp.eye(2), kind="svd")


class TestLosses:
  def test_shifts_are_the_closed_form(self):
    rng = np.random.default_rng(0)
    v, root = rng.normal(size=(4, 3)), rng.normal(size=(3, 4, 4))
    cov = np.einsum("cij,ckj->cik", root, root)
    kernel, covariance = (jnp.asarray(a, jnp.float32) for a in (v, cov))
    found = losses.covariance_shifts(kernel, covariance, ratio=0.6)
    for y in range(3):
      for c in range(3):
        apart = v[:, c] - v[:, y]
        assert found[y, c] == pytest.approx(0.3 * apart @ cov[y] @ apart, rel=1e-4)
    chex.assert_trees_all_equal(jnp.diagonal(found), jnp.zeros(3))

  def test_without_a_ratio_nothing_is_corrected(self):
    shifts = losses.covariance_shifts(jnp.ones((4, 3)), jnp.ones((3, 4, 4)), ratio=0.0)
    logits = jnp.arange(6.0).reshape(2, 3)
    chex.assert_trees_all_equal(
      losses.corrected(logits, jnp.array([0, 2]), shifts), logits
    )

  def test_gradient_reaches_weights_and_not_covariances(self):
    key = jax.random.key(0)
    kernel, covariance = jax.random.normal(key, (4, 3)), jnp.ones((3, 4, 4))
    total = lambda v, c: losses.covariance_shifts(v, c, ratio=1.0).sum()
    by_kernel, by_covariance = jax.grad(total, (0, 1))(kernel, covariance)
    assert jnp.abs(by_kernel).max() > 0.1 and not by_covariance.any()

  def test_alignment_is_least_where_the_two_agree(self):
    logits = jax.random.normal(jax.random.key(0), (6, 4))
    p = jax.nn.softmax(logits)
    entropy = -(p * jnp.log(p)).sum(1)
    np.testing.assert_allclose(losses.alignment(logits, logits), entropy, rtol=1e-5)
    by_adversarial = jax.grad(lambda q: losses.alignment(logits, q).sum())(logits)
    np.testing.assert_allclose(by_adversarial, 0, atol=1e-6)

  def test_detached_target_gets_no_gradient(self):
    pair = jax.random.normal(jax.random.key(0), (2, 6, 4))
    total = lambda p, detach: losses.alignment(p, pair[1], detach=detach).sum()
    assert not jax.grad(total)(pair[0], True).any()
    assert jnp.abs(jax.grad(total)(pair[0], False)).max() > 0.01


class TestHead:
  def test_logits_before_any_covariance(self, arrays):
    found = self._logits(arrays, "", EMPTY, 0.7)
    np.testing.assert_allclose(found, arrays["head/eval_logits_zero_cov"], atol=1e-5)

  @pytest.mark.parametrize("ratio", [0.0, 0.7])
  def test_logits_with_covariances(self, arrays, ratio):
    moments = EMPTY._replace(cov=jnp.asarray(arrays["head2/cov"]))
    found = self._logits(arrays, "head2/", moments, ratio)
    expected = arrays[f"head2/eval_logits_ratio{round(100 * ratio)}"]
    np.testing.assert_allclose(found, expected, atol=1e-5)

  def _logits(self, arrays, after, moments, ratio):
    head = head_variables(arrays, after)
    coordinates, label = (jnp.asarray(arrays[f"head/{k}"]) for k in ("style", "y"))

    @jax.jit
    def logits(head, cov):
      shifts = style_net.shifts(head, moments._replace(cov=cov), ratio)
      return style_net.head_logits(NET, head, coordinates, label, shifts)

    return logits(head, moments.cov)

  def test_training_step_takes_the_covariance_in_first(self, arrays):
    head = head_variables(arrays)
    coordinates, label = (jnp.asarray(arrays[f"head/{k}"]) for k in ("style", "y"))

    def loss(params):
      own = {**head, "params": params}
      logits, changed, moments = style_net.moved_head(
        NET, own, coordinates, label, EMPTY
      )
      logits = losses.corrected(logits, label, style_net.shifts(own, moments, 0.7))
      return cross_entropy(logits, label).mean(), (logits, changed, moments)

    gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, (logits, changed, moments)), grads = gradient(head["params"])
    np.testing.assert_allclose(logits, arrays["head/train_logits"], atol=1e-5)
    np.testing.assert_allclose(value, arrays["head/train_ce"], rtol=1e-5)
    for field in ("mean", "cov", "count"):
      expected = arrays[f"head/{field}_after"]
      np.testing.assert_allclose(getattr(moments, field), expected, atol=1e-5)
    stats = changed["batch_stats"]["norm1"]
    for name in ("mean", "var"):
      expected = arrays[f"head/bn_running_{name}_after"]
      np.testing.assert_allclose(stats[name], expected, atol=1e-5)
    expected = style_support.head_params(
      {k.removeprefix("head/grad_train_ce/"): arrays[k] for k in arrays}
    )
    chex.assert_trees_all_close(grads, expected, atol=1e-6)

  @pytest.mark.parametrize(("size", "count"), [(512, 268_554), (640, 417_610)])
  def test_parameter_counts(self, size, count):
    x = jax.ShapeDtypeStruct((1, size), jnp.float32)
    params = jax.eval_shape(StyleHead(10).init, jax.random.key(0), x)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
