"""Descriptors: features of a place, pooled, normalised, in the order of the images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.data.batches import padded_batches
from jaxvision.data.examples import ArrayExamples
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.layers.tap import Tap
from jaxvision.methods.common.descriptors import descriptors

traces = []


class Net(nn.Module):
  width: int = 4

  @nn.compact
  def __call__(self, x, train: bool = False):
    traces.append(x.shape)
    x = Tap(name="maps")(nn.Conv(self.width, (3, 3), name="conv")(x))
    x = nn.BatchNorm(use_running_average=not train, name="norm")(x).mean((1, 2))
    x = nn.Dropout(0.5, deterministic=not train)(x)
    return nn.Dense(3, name="logits", dtype=jnp.bfloat16)(Tap(name="pooled")(x))


class Double(nn.Module):
  @nn.compact
  def __call__(self, x):
    return 2 * x


@pytest.fixture(scope="module")
def variables():
  return Net().init(jax.random.key(0), jnp.zeros((1, 6, 5, 1)))


def examples(n=11):
  image = np.random.default_rng(0).integers(0, 256, (n, 6, 5, 1)).astype(np.uint8)
  return ArrayExamples(image, np.zeros(n, np.int32))


def maps(variables, image):
  found = insertion.features(Net(), variables, image / np.float32(255), ["maps"])
  return np.asarray(found[1]["maps"])


def unit(x):
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_average_and_flatten_are_by_definition(variables):
  data = examples()
  wanted = maps(variables, data.image)
  pooled = {"average": wanted.mean((1, 2)), "flatten": wanted.reshape(11, -1)}
  for pooling, feature in pooled.items():
    for normalize in (True, False):
      found = descriptors(
        Net(), variables, padded_batches(data, 4), "maps",
        normalize=normalize, pooling=pooling,
      )  # fmt: skip
      want = unit(feature) if normalize else feature
      np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_vectors_need_no_pooling_and_are_float32(variables):
  data = examples()
  average, flat = (
    descriptors(Net(), variables, padded_batches(data, 4), "logits", pooling=pooling)
    for pooling in ("average", "flatten")
  )
  assert average.shape == (11, 3) and average.dtype == np.float32
  np.testing.assert_array_equal(average, flat)
  np.testing.assert_allclose(np.linalg.norm(average, axis=1), 1, atol=1e-6)


def test_batches_do_not_matter(variables):
  data = examples()
  whole = descriptors(Net(), variables, [data[np.arange(11)]], "pooled")
  for size in (1, 4, 16):
    found = descriptors(Net(), variables, padded_batches(data, size), "pooled")
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_floats_are_the_bytes_they_stand_for(variables):
  data = examples()
  floats = [{"image": data.image.astype(np.float32) / 255}]
  found = descriptors(Net(), variables, floats, "pooled")
  whole = descriptors(Net(), variables, [{"image": data.image}], "pooled")
  np.testing.assert_allclose(found, whole, atol=1e-6)


def test_it_is_compiled_once_for_all_calls():
  net = Net(width=5)
  variables = net.init(jax.random.key(0), jnp.zeros((1, 6, 5, 1)))
  traces.clear()
  for scale in (1, 2):
    scaled = jax.tree.map(lambda x, s=scale: s * x, variables)
    descriptors(Net(width=5), scaled, padded_batches(examples(), 4), "maps")
  assert len(traces) == 1


def test_insertions_are_seen(variables):
  rules = (insertion.Rule("maps", lambda name, train: Double(name=name), "double"),)
  model, data = insertion.Inserted(Net(), rules), examples()
  plain, doubled = (
    descriptors(m, variables, padded_batches(data, 4), "maps", normalize=False)
    for m in (Net(), model)
  )
  np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-6)


def test_dead_features_are_zero_not_nan(variables):
  dead = jax.tree.map(jnp.zeros_like, variables)
  found = descriptors(Net(), dead, padded_batches(examples(), 4), "maps")
  np.testing.assert_array_equal(found, np.zeros((11, 4)))


def test_rejects(variables):
  batches = [{"image": examples().image}]
  with pytest.raises(UserError, match="no place of the model"):
    descriptors(Net(), variables, batches, "relu7")
  with pytest.raises(UserError, match="choose average or flatten"):
    descriptors(Net(), variables, batches, "maps", pooling="max")
  with pytest.raises(UserError, match="no images"):
    descriptors(Net(), variables, [], "maps")
