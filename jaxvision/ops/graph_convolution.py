"""Graph convolutions on skeleton sequences, in the form that is fast on all backends.

Features are [b, v, t, c]: joints in front of time. Then every aggregation over joints
is a batch of matrix products, [w, v] by [v, t c], that reads the features as they lie;
a convolution over time has the joints in its batch; and the batch leads, so that it may
stay sharded. Einsums on channels-first features, as papers' codes have them, transpose
the whole map before and after every product instead.

As aggregation (over joints) and projection (over channels) commute, STIGCN's four
branches are projected first, by one product, and aggregated after: of c channels in all
instead of 4 c.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxvision.typing import Array, Float


def aggregate(
  x: Float[Array, "b v t c"], graph: Float[Array, "*g v w"]
) -> Float[Array, "b w t c"]:
  """Mixes joints: y[w] = sum over v of x[v] * graph[v, w].

  Args:
    x: features.
    graph: [source, target], one for all examples or one each.
  """
  b, v, t, c = x.shape
  targets = graph.shape[-1]
  graph = jnp.broadcast_to(graph, (b, v, targets)).astype(x.dtype)
  # On [v, t c], not by an einsum on [v, t, c], of which the gradient transposes x.
  y = _batched(graph, x.reshape(b, v, t * c))
  return y.reshape(b, targets, t, c)


def aggregate_branches(
  x: Float[Array, "b v t c"], graphs: Float[Array, "*g k v w"]
) -> Float[Array, "b w t c"]:
  """Mixes joints by k graphs, each for its share of the channels.

  Args:
    x: features; the first c / k channels are the first graph's.
    graphs: [graph, source, target], the same for all examples or some each.
  """
  b, v, t, c = x.shape
  k, _, targets = graphs.shape[-3:]
  graphs = jnp.broadcast_to(graphs, (b, k, v, targets)).astype(x.dtype)
  # Examples and branches together are the batch of one product.
  x = x.reshape(b, v * t, k, c // k).swapaxes(1, 2).reshape(b * k, v, -1)
  y = _batched(graphs.reshape(b * k, v, targets), x)
  y = y.reshape(b, k, targets * t, c // k).swapaxes(1, 2)
  return y.reshape(b, targets, t, c)


def aggregate_channels(
  x: Float[Array, "b v t c"], graphs: Float[Array, "b v w c"]
) -> Float[Array, "b w t c"]:
  """Mixes joints by a graph for each channel.

  Args:
    x: features.
    graphs: [source, target, channel].
  """
  return jnp.einsum("bvtc,bvwc->bwtc", x, graphs.astype(x.dtype))


def _batched(
  graph: Float[Array, "b v w"], x: Float[Array, "b v f"]
) -> Float[Array, "b w f"]:
  return lax.batch_matmul(graph.swapaxes(1, 2), x)


def attention_graph(
  theta: Float[Array, "b v t c"], phi: Float[Array, "b v t c"]
) -> Float[Array, "b v v"]:
  """Makes a graph a sequence from two embeddings of its joints.

  Shi et al. (2019), "Two-Stream Adaptive Graph Convolutional Networks", CVPR, eq. 4, as
  in their code and STIGCN's: softmax over the sources v of theta[v] . phi[w] / (c t),
  products over channels and time. In float32.

  Args:
    theta: embeddings of the joints as sources.
    phi: embeddings of the joints as targets.
  """
  b, v, t, c = theta.shape
  theta, phi = theta.reshape(b, v, t * c), phi.reshape(b, v, t * c)
  logits = jnp.einsum("bvf,bwf->bvw", theta, phi, preferred_element_type=jnp.float32)
  return jax.nn.softmax(logits / (t * c), axis=1)


def temporal_difference(x: Float[Array, "*b t c"]) -> Float[Array, "*b t c"]:
  """Motion: the next frame minus this one; 0 in the last frame."""
  return jnp.concatenate(
    [x[..., 1:, :] - x[..., :-1, :], jnp.zeros_like(x[..., -1:, :])], axis=-2
  )


def halve_time(x: Float[Array, "*b t c"]) -> Float[Array, "*b s c"]:
  """Maxima of pairs of frames; a last frame without a partner is dropped.

  Of equal frames, as empty persons have them, the first gets the gradient, as in torch;
  the gradient of `flax.linen.max_pool` is scalar code on the CPU.
  """
  last = x.shape[-2] // 2 * 2
  first, second = x[..., :last:2, :], x[..., 1:last:2, :]
  return jnp.where(first >= second, first, second)


def max_of_three(
  x: Float[Array, "*b t c"], *, stride: int = 1
) -> Float[Array, "*b s c"]:
  """Maxima of a frame and its neighbors, at every stride-th frame.

  Of equal frames the first gets the gradient, see `halve_time`.
  """
  edges = [(0, 0)] * (x.ndim - 2) + [(1, 1), (0, 0)]
  padded = jnp.pad(x, edges, constant_values=-jnp.inf)
  t = x.shape[-2]
  y, *others = (padded[..., i : i + t : stride, :] for i in range(3))
  for z in others:
    y = jnp.where(y >= z, y, z)
  return y
