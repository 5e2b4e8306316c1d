"""ST-GCN, 2s-AGCN and CTR-GCN: published sizes, and blocks written out literally."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_support import KEY, filled, tiny

from jaxvision import models
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.models.agcn import AGCNBlock
from jaxvision.models.ctr_gcn import ChannelGraphs, CTRGCNBlock, MultiScaleTemporal
from jaxvision.models.skeleton import LAYERS, WIDTHS
from jaxvision.models.st_gcn import STGCNBlock
from jaxvision.ops import graphs
from jaxvision.train.flops import count_flops

V, T, PERSONS, CLASSES = 25, 300, 2, 60
CLIP = jax.ShapeDtypeStruct((1, PERSONS, T, V, 3), jnp.float32)
ADJACENCY = graphs.spatial_adjacency(graphs.skeleton("ntu"))
X = jax.random.normal(KEY, (2, V, 6, 8))
BASELINES = ("st_gcn", "agcn", "ctr_gcn")


def st_gcn(c, d, s, residual):
  """Multiply-adds of a block at a frame of its input: in convolutions, in graphs."""
  shortcut = c * d / s if residual and (c != d or s > 1) else 0
  return 3 * c * d + 9 * d * d / s + shortcut, 3 * d * V


def agcn(c, d, s, residual):
  convolutions, _ = st_gcn(c, d, s, residual)
  embeddings = 6 * c * (d // 4)
  down = c * d if c != d else 0
  return convolutions + embeddings + down, 3 * V * (c + d // 4)


def ctr_gcn(c, d, s, residual):
  """Embeddings at all frames; the refinement of graphs, once a clip, is not here."""
  shortcut = c * d / s if residual and (c != d or s > 1) else 0
  down, q = (c * d if c != d else 0), d // 4
  temporal = 3 * d * q + d * q / s + 2 * 5 * q * q / s
  embeddings = 3 * 2 * c * max(c // 8, 8)
  return 3 * c * d + embeddings + down + temporal + shortcut, 3 * d * V


def closed_form(block):
  """Multiply-adds of a clip: in convolutions, in graph products."""
  sums, c, t = np.zeros(2), 3, T
  for stage, (layers, d) in enumerate(zip(LAYERS, WIDTHS, strict=True)):
    for i in range(layers):
      s = 2 if stage > 0 and i == 0 else 1
      sums += np.array(block(c, d, s, residual=c != 3)) * t * V * PERSONS
      if block is ctr_gcn:
        sums[0] += 3 * V * V * max(c // 8, 8) * d * PERSONS
      c, t = d, t // s
  return sums + np.array([WIDTHS[-1] * CLASSES, 0])


PUBLISHED = {  # block, parameters, GMAC of convolutions and of all
  "st_gcn": (st_gcn, 3_098_832, 16.23, 17.09),
  "agcn": (agcn, 3_469_510, 18.54, 19.41),
  "ctr_gcn": (ctr_gcn, 1_446_672, 7.84, 8.71),
}


@pytest.mark.parametrize("name", BASELINES)
def test_published_sizes(name):
  block, parameters, convolutions, products = PUBLISHED[name]
  model = models.build({"name": name})
  spec = jax.eval_shape(model.init, KEY, CLIP)
  assert sum(leaf.size for leaf in jax.tree.leaves(spec["params"])) == parameters
  sums = closed_form(block)
  assert round(sums[0] / 1e9, 2) == convolutions
  assert round(sums.sum() / 1e9, 2) == products
  computed = count_flops(model.apply, spec, CLIP) / 2
  if name == "ctr_gcn":  # embeds means over time, not every frame
    assert computed < sums.sum()
  else:
    assert computed == sums.sum()


def test_places():
  places = insertion.places(models.build({"name": "st_gcn"}), CLIP)
  shapes = [places[f"block{i}/relu"][2:] for i in (1, 4, 5, 8, 10)]
  assert shapes == [(300, 64), (300, 64), (150, 128), (75, 256), (75, 256)]
  assert places["input_norm/norm"] == (2, 300, 75)  # persons alike
  assert "block5/shortcut_conv" in places and "block2/shortcut_conv" not in places
  places = insertion.places(models.build({"name": "agcn"}), CLIP)
  assert places["input_norm/norm"] == (1, 300, 150)
  assert "block1/down_conv" in places and "block1/shortcut_conv" not in places


class Bound:
  """A module with its other arguments given, as `filled` wants a model."""

  def __init__(self, module, *args):
    self.init = lambda key, x: module.init(key, x, *args)


def dense(p, x):
  return x @ p["kernel"] + p.get("bias", 0)


def normed(variables, path, x):
  """The norm of a place by its running statistics."""
  p, s = variables["params"], variables["batch_stats"]
  for name in path.split("/"):
    p, s = p[name], s[name]
  return (x - s["mean"]) / jnp.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]


def over_time(p, x, *, stride=1, dilation=1):
  """A convolution over time as a sum over its taps."""
  taps, t = p["kernel"].shape[1], x.shape[2]
  pad = (taps - 1) * dilation // 2
  x = jnp.pad(x, ((0, 0), (0, 0), (pad, pad), (0, 0)))
  shifted = [x[:, :, i * dilation : i * dilation + t : stride] for i in range(taps)]
  return sum(y @ p["kernel"][0, i] for i, y in enumerate(shifted)) + p["bias"]


def close(found, expected):
  chex.assert_trees_all_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("width", "stride"), [(8, 1), (12, 2)])
def test_block_of_st_gcn(width, stride):
  block = STGCNBlock(width, stride)
  variables = filled(Bound(block, False, ADJACENCY), X)
  p = variables["params"]
  weighted = ADJACENCY * p["importance"]
  y = sum(
    jnp.einsum("nvtd,vw->nwtd", dense(p[f"graph{k}"], X), weighted[k]) for k in range(3)
  )
  y = jax.nn.relu(normed(variables, "norm1", y))
  y = normed(variables, "norm2", over_time(p["temporal"], y, stride=stride))
  res = X
  if stride == 2:
    res = dense(p["shortcut_conv"], X[:, :, ::2])
    res = normed(variables, "shortcut_norm", res)
  close(block.apply(variables, X, False, ADJACENCY), jax.nn.relu(y + res))


def test_block_of_2s_agcn():
  block = AGCNBlock(12, residual=False)
  variables = filled(Bound(block, False, ADJACENCY), X)
  p, y = variables["params"], 0
  theta = jnp.split(dense(p["attention"]["theta"], X), 3, axis=-1)
  phi = jnp.split(dense(p["attention"]["phi"], X), 3, axis=-1)
  for k in range(3):
    logits = jnp.einsum("nvtc,nwtc->nvw", theta[k], phi[k]) / theta[k][0, 0].size
    graph = ADJACENCY[k] + p["graphs"][k] + jax.nn.softmax(logits, 1)
    y += dense(p[f"graph{k}"], jnp.einsum("nvtc,nvw->nwtc", X, graph))
  down = normed(variables, "down_norm", dense(p["down_conv"], X))
  y = jax.nn.relu(normed(variables, "norm1", y) + down)
  y = normed(variables, "norm2", over_time(p["temporal"], y))
  close(block.apply(variables, X, False, ADJACENCY), jax.nn.relu(y))


def test_channel_wise_graphs():
  layer, scale = ChannelGraphs(12, 8), jnp.array([0.7])
  variables = filled(Bound(layer, ADJACENCY[1], scale), X)
  p = variables["params"]
  # Embedded at every frame, as in the authors' code, where [target, source] is usual.
  target, source = (dense(p[name], X).mean(2) for name in ("target", "source"))
  relations = jnp.tanh(target[:, :, None] - source[:, None])
  refined = dense(p["refine"], relations) * scale + ADJACENCY[1].T[..., None]
  expected = jnp.einsum("nuvc,nvtc->nutc", refined, dense(p["project"], X))
  close(layer.apply(variables, X, ADJACENCY[1], scale), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_branches_over_time(stride):
  layer = MultiScaleTemporal(12, stride)
  variables = filled(Bound(layer, False), X)
  p, found = variables["params"], []
  reduced = [
    normed(variables, f"reduce{i}_norm", dense(p[f"reduce{i}_conv"], X))
    for i in range(4)
  ]
  for i, dilation in ((0, 1), (1, 2)):
    options = {"stride": stride, "dilation": dilation}
    y = over_time(p[f"temporal{i}"], jax.nn.relu(reduced[i]), **options)
    found.append(normed(variables, f"norm{i}", y))
  y = jax.nn.relu(reduced[2])
  y = jnp.stack([y[:, :, max(i - 1, 0) : i + 2].max(2) for i in range(0, 6, stride)], 2)
  found += [normed(variables, "norm2", y), reduced[3][:, :, ::stride]]
  close(layer.apply(variables, X, False), jnp.concatenate(found, -1))


def test_ctr_gcn_starts_on_the_skeleton():
  block = CTRGCNBlock(8)
  init = jax.jit(lambda: block.init(KEY, X, False, ADJACENCY))
  params = init()["params"]
  np.testing.assert_array_equal(params["graphs"], ADJACENCY)
  assert not params["refinement"].any()


@pytest.mark.parametrize("name", BASELINES)
def test_remat_changes_no_name(name):
  plain, x = tiny(name)
  saving = plain.clone(remat=True)
  assert insertion.places(saving, x) == insertion.places(plain, x)


@pytest.mark.parametrize("name", BASELINES)
def test_mistakes_are_told(name):
  model, x = tiny(name)
  with pytest.raises(UserError, match="have 17 joints, but the skeleton has 25"):
    jax.eval_shape(model.clone(graph="ntu").init, KEY, x)
  with pytest.raises(UserError, match="give one of each a stage"):
    jax.eval_shape(model.clone(widths=(4,)).init, KEY, x)


def test_dropout_is_in_training_alone():
  model, x = tiny("st_gcn")
  variables = filled(model, x)
  run = jax.jit(
    lambda key: model.apply(
      variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": key}
    )[0]
  )
  assert not jnp.allclose(run(KEY), run(jax.random.key(5)))
