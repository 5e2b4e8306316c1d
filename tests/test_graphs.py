"""Skeletons and their adjacencies, against the authors' matrices and by their laws."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.errors import UserError
from jaxvision.ops import graphs

NTU = graphs.skeleton("ntu")
NAMES = tuple(graphs.SKELETONS)
# As the datasets' papers count them: from 1.
NTU_LINKS = (
  (1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9),
  (11, 10), (12, 11), (13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17),
  (19, 18), (20, 19), (22, 23), (23, 8), (24, 25), (25, 12),
)  # fmt: skip
OPENPOSE_LINKS = (
  (4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5), (8, 2),
  (5, 1), (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14),
)  # fmt: skip


def adjacency(name="ntu"):
  return graphs.spatial_adjacency(graphs.skeleton(name))


@pytest.mark.parametrize("name", NAMES)
def test_skeletons_are_trees(name):
  graph = graphs.skeleton(name)
  assert len(graph.inward) == graph.joints - 1 == len(set(graph.names)) - 1
  distance = graphs.hop_distance(adjacency(name))
  assert distance.max() < graph.joints
  chex.assert_trees_all_equal(distance, distance.T)


def test_links_are_the_published_ones():
  assert set(NTU.inward) == {(a - 1, b - 1) for a, b in NTU_LINKS}
  assert NTU.names[NTU.root] == "spine_shoulder"
  assert set(graphs.skeleton("openpose").inward) == set(OPENPOSE_LINKS)
  other = dict(graphs.skeleton("ntu_hand").inward)
  assert {i for i, p in NTU.inward if other[i] != p} == {21, 23}
  assert other[21] == 7 and other[23] == 11


def test_hops(golden):
  distance = graphs.hop_distance(adjacency())
  np.testing.assert_array_equal(distance, golden("stigcn")["graph/ntu_hop_distance"])
  assert distance.max() == 12
  hand, foot = NTU.names.index("left_hand"), NTU.names.index("right_foot")
  assert distance[hand, foot] == 10
  split = adjacency().at[:, 3].set(0).at[:, :, 3].set(0)
  assert set(np.unique(graphs.hop_distance(split)[3])) == {0, 25}


@pytest.mark.parametrize(("ours", "theirs"), [("ntu", "ntu"), ("openpose", "kinetics")])
def test_matrices_are_the_authors(golden, ours, theirs):
  data = golden("stigcn")
  found = adjacency(ours)
  np.testing.assert_allclose(found, data[f"graph/{theirs}_A"], atol=1e-6)
  inception = jax.jit(graphs.inception_adjacency)(found)
  expected = [data[f"graph/{theirs}_K{i}"] for i in range(1, 5)]
  np.testing.assert_allclose(inception, expected, atol=1e-6)


def test_powers_of_matrices(golden):
  found = graphs.inception_adjacency(adjacency(), mode="matrix")
  for i in (3, 4):
    expected = golden("stigcn")[f"graph/ntu_K{i}_matrixpower"]
    np.testing.assert_allclose(found[i - 1], expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("mode", "reach"), [("elementwise", 1), ("matrix", 2)])
def test_reach_of_the_third_graph(name, mode, reach):
  a = adjacency(name)
  third = graphs.inception_adjacency(a, mode=mode)[2]
  distance = np.asarray(graphs.hop_distance(a))
  assert set(np.unique(distance[np.asarray(third) != 0])) == set(range(reach + 1))


@pytest.mark.parametrize("mode", ["elementwise", "matrix"])
def test_fourth_graph_averages(mode):
  fourth = graphs.inception_adjacency(adjacency(), mode=mode)[3]
  np.testing.assert_allclose(fourth.sum(0), 1, rtol=1e-6)
  assert not jnp.allclose(fourth.sum(1), 1, atol=1e-3)  # the axis matters
  spread = fourth.max() - fourth.min()
  assert (spread < 0.006) == (mode == "elementwise")  # nearly the plain mean


def test_khop_reaches_exactly_so_far():
  a = adjacency()
  distance = np.asarray(graphs.hop_distance(a))
  for hops in ((0, 1, 2, 4), (0, 1, 2, 3)):
    found = graphs.inception_adjacency(a, mode="khop", hops=hops)
    for k, matrix in zip(hops, np.asarray(found), strict=True):
      assert set(distance[matrix != 0]) == {k}
      np.testing.assert_allclose(matrix.sum(0)[(distance == k).any(0)], 1, rtol=1e-6)


def test_bones_are_differences_to_the_parent():
  bone = graphs.inception_adjacency(adjacency())[1]
  x = jax.random.normal(jax.random.key(0), (25,))
  expected = [x[i] - (x[p] if p >= 0 else 0) for i, p in enumerate(NTU.parents)]
  np.testing.assert_allclose(x @ bone, jnp.stack(expected), rtol=1e-5)
  still = jnp.ones(25) @ bone
  assert jnp.flatnonzero(still).tolist() == [NTU.root]


@pytest.mark.parametrize("name", NAMES)
def test_subsets_of_neighbors(name):
  """Means over all, in ST-GCN, and over each subset, in 2s-AGCN and STIGCN."""
  graph = graphs.skeleton(name)
  subsets = graphs.configuration_adjacency(graph)
  np.testing.assert_allclose(subsets.sum((0, 1)), 1, rtol=1e-6)
  identity, inward, outward = adjacency(name)
  support = lambda matrices: np.stack(matrices) != 0
  expected = support([identity, outward, inward])
  np.testing.assert_array_equal(support(subsets), expected)
  assert inward[graph.parents[2], 2] == 1  # [source, target]
  np.testing.assert_array_equal(jnp.flatnonzero(inward.sum(0) == 0), [graph.root])
  mean = graphs.neighborhood(adjacency(name))
  np.testing.assert_allclose(3 * mean, identity + inward + outward, rtol=1e-6)


def test_columns_without_links_remain():
  found = graphs.normalize_columns(jnp.array([[0.0, 2.0], [0.0, 6.0]]))
  np.testing.assert_allclose(found, [[0, 0.25], [0, 0.75]])


def test_mistakes_are_told():
  with pytest.raises(UserError, match="no skeleton 'cat'; choose one of ntu, "):
    graphs.skeleton("cat")
  with pytest.raises(UserError, match="order mode is 'power'"):
    graphs.inception_adjacency(adjacency(), mode="power")
  with pytest.raises(UserError, match="give four"):
    graphs.inception_adjacency(adjacency(), mode="khop", hops=(0, 1))
