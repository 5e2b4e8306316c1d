"""AherNet's weight transfer: how it starts, each class by itself, its forms."""

import chex
import jax
import jax.numpy as jnp
import pytest

from jaxvision.models.moments import Classifier, WeightTransfer

KEY = jax.random.key(0)


def classifiers(classes=5, widths=(3, 3, 4)):
  keys = jax.random.split(KEY, len(widths))
  normal = jax.random.normal
  return [
    Classifier(normal(k, (d, classes)), normal(k, (classes,)))
    for k, d in zip(keys, widths, strict=True)
  ]


def test_transfer_starts_as_the_activation_of_the_weights():
  layers = tuple(classifiers())
  positive = jax.tree.map(jnp.abs, layers)

  @jax.jit
  def run(layers, positive):
    elus = jax.tree.map(lambda w: jax.nn.elu(jax.nn.elu(w)), layers)
    model, linear = WeightTransfer(), WeightTransfer(depth=1, activation="none")
    first, params = model.init_with_output(KEY, layers)
    second = linear.init_with_output(KEY, layers)[0]
    return (first, elus), (second, layers), (model.apply(params, positive), positive)

  for found, expected in run(layers, positive):
    chex.assert_trees_all_close(found, expected)


def test_transfer_takes_each_class_by_itself():
  layers, order = classifiers(widths=(3, 4)), jnp.array([3, 0, 4, 1, 2])
  some = lambda layers, rows: tuple(
    Classifier(kernel[:, rows], bias[rows]) for kernel, bias in layers
  )

  @jax.jit
  def run(layers):
    model = WeightTransfer(start="xavier")
    whole, params = model.init_with_output(KEY, layers)
    moved = lambda rows: model.apply(params, some(layers, rows))
    return [(moved(rows), some(whole, rows)) for rows in (order, order[:2])]

  for found, expected in run(layers):
    chex.assert_trees_all_close(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
  ("fields", "names"),
  [
    ({"share": True}, {"width3", "width4"}),
    ({}, {"layer1", "layer2", "layer3"}),
    ({"depth": 0}, None),
  ],
)
def test_forms_of_the_transfer(fields, names):
  layers = classifiers()
  model = WeightTransfer(**fields)
  found, variables = jax.jit(model.init_with_output)(KEY, layers)
  if names is None:
    assert not variables
    chex.assert_trees_all_equal(found, tuple(layers))
  else:
    assert set(variables["params"]) == names
