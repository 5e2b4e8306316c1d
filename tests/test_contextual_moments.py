"""Synthetic sequences of moments: the authors' numbers, every placement, gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.moments import ContextGenerator
from jaxvision.ops import contextual_moments as lib

KEY = jax.random.key(0)
ALL = np.stack(
  np.meshgrid(np.arange(1, 20), np.arange(1, 20), [0, 1], indexing="ij"), axis=-1
).reshape(-1, 3)  # ratio, position in twentieths; odd


def placements(rows, **options):
  ratio, position = lib.TWENTIETHS[rows[:, 0]], lib.TWENTIETHS[rows[:, 1]]
  place = jax.jit(jax.vmap(functools.partial(lib.place_moment, **options)))
  return place(ratio, position, rows[:, 2] == 1)


def golden_case(arrays):
  odd = np.arange(4) % 2
  rows = np.stack([arrays["context/ratio_id"], arrays["context/pos_id"], odd], axis=-1)
  return placements(rows), odd == 1


def sequence(arrays, start, end):
  return jax.vmap(lib.synthesize)(
    jnp.asarray(arrays["context/moment"]), start, end, golden_case(arrays)[0]
  )


def generators(arrays):
  def layers(side):
    parts = {}
    for i in (1, 2):
      path = f"params_tf/g_conv_{side}{i}"
      parts[f"conv{i}"] = {
        "kernel": arrays[f"{path}/weights"],
        "bias": arrays[f"{path}/biases"],
      }
    return {"params": parts}

  return layers("s"), layers("e")


def test_sequences_are_the_authors(golden):
  arrays = golden("ahernet_context")
  contexts = (arrays[f"context/{side}_context"] for side in ("start", "end"))
  found = jax.jit(functools.partial(sequence, arrays))(*contexts)
  np.testing.assert_allclose(found, arrays["context/sequence"], atol=5e-4)


def test_generated_contexts_and_their_gradient_are_the_authors(golden):
  arrays = golden("ahernet_context")
  model = ContextGenerator(width=16)
  start, end = generators(arrays)

  @functools.partial(jax.value_and_grad, has_aux=True)
  def loss(start):
    moments = jnp.asarray(arrays["context/moment"])
    contexts = [model.apply(v, moments) for v in (start, end)]
    return (sequence(arrays, *contexts) ** 2).sum(), contexts

  (_, contexts), gradient = jax.jit(loss)(start)
  for side, found in zip(("start", "end"), contexts, strict=True):
    np.testing.assert_allclose(found, arrays[f"context/{side}_context"], atol=1e-5)
  expected = arrays["context/grad_sumsq_wrt_g_conv_s2_weights"]
  np.testing.assert_allclose(
    gradient["params"]["conv2"]["kernel"], expected, atol=1e-4 * abs(expected).max()
  )


def test_segments_are_the_authors_and_their_mistake_is_an_option(golden):
  arrays = golden("ahernet_context")
  case = golden_case(arrays)
  segments = jax.vmap(lib.moment_segment)
  np.testing.assert_array_equal(segments(*case), arrays["context/gt_correct"])
  legacy = jax.vmap(functools.partial(lib.moment_segment, legacy_odd_end=True))
  np.testing.assert_array_equal(legacy(*case), arrays["context/gt_legacy"])


def test_all_positions_are_the_authors(golden):
  table = golden("ahernet_context")["context/table"]
  case = placements(table[:, :3])
  legacy = jax.vmap(functools.partial(lib.moment_segment, legacy_odd_end=True))
  np.testing.assert_array_equal(legacy(case, table[:, 2] == 1), table[:, 3:])


@pytest.mark.parametrize("placing", lib.PLACINGS)
@pytest.mark.parametrize("steps", [128, 512])
def test_every_placement_holds_each_piece_once_and_in_order(steps, placing):
  case = placements(ALL, steps=steps, placing=placing)
  index = jax.jit(jax.vmap(functools.partial(lib.context_index_map, steps=steps)))
  piece, within = index(case)
  total = case.length + case.start + case.end
  np.testing.assert_array_equal(total, steps)
  for number, length in enumerate((case.length, case.start, case.end)):
    np.testing.assert_array_equal((piece == number).sum(-1), length)
    there = np.where(piece == number, within, -1)
    np.testing.assert_array_equal(
      np.maximum(there.max(-1), 0), np.maximum(length, 1) - 1
    )
  joined = np.where(piece == lib.END, within + case.start[:, None], within)
  rest = np.where(piece == lib.MOMENT, -1, joined)
  for row in rest:
    np.testing.assert_array_equal(row[row >= 0], np.arange((row >= 0).sum()))
  lasts = np.asarray(case.at + case.length)[:, None]
  time = np.arange(steps)
  inside = (time >= np.asarray(case.at)[:, None]) & (time < lasts)
  np.testing.assert_array_equal(piece == lib.MOMENT, inside)


def test_a_sequence_shows_the_resized_moment_where_it_says():
  rows = np.array([[14, 10, 0], [14, 10, 1], [19, 1, 1], [3, 19, 0]])
  case = placements(rows)
  moment = jax.random.normal(KEY, (40, 3))
  contexts = jnp.full((7, 3), 5.0), jnp.full((9, 3), 9.0)
  found = jax.vmap(lambda p: lib.synthesize(moment, *contexts, p))(case)
  segments = jax.vmap(lib.moment_segment)(case, rows[:, 2] == 1).astype(int)
  for x, (first, last) in zip(np.asarray(found), np.asarray(segments), strict=True):
    expected = lib.legacy_resize(moment, int(last - first))
    np.testing.assert_allclose(x[first:last], expected, atol=1e-4)
    outside = np.delete(x, np.s_[first:last], axis=0)
    assert set(np.unique(outside)) <= {5.0, 9.0}


def test_legacy_resizing_in_closed_form():
  x = jnp.arange(4.0)[:, None]
  doubled = lib.legacy_resize(x, 8)[:, 0]
  np.testing.assert_allclose(doubled, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3])
  np.testing.assert_allclose(lib.legacy_resize(x, 2)[:, 0], [0, 2])
  np.testing.assert_allclose(lib.legacy_resize(x, 4), x)


def test_draws_cover_their_range_and_no_more():
  draw = jax.jit(
    functools.partial(lib.draw_twentieths, low=14, high=19), static_argnums=1
  )
  drawn = np.unique(draw(KEY, 500))
  np.testing.assert_array_equal(drawn, lib.TWENTIETHS[14:20])


def test_background_contexts_show_what_is_no_action():
  x = jnp.arange(10.0)[:, None]
  segments, valid = jnp.array([[0.2, 0.5], [0.0, 1.0]]), jnp.array([True, False])
  copy = jax.jit(functools.partial(lib.background_contexts, steps=7))
  start, end = copy(x, segments, valid)
  np.testing.assert_array_equal(start[:, 0], [0, 0, 1, 1, 5, 5, 6][:7])
  assert set(np.asarray(end[:, 0])) <= {5.0, 6.0, 7.0, 8.0, 9.0} and end[-1] == 9
  start, end = copy(x, segments, jnp.array([False, True]))
  assert not start.any() and not end.any()


def test_an_unknown_placing_is_refused():
  with pytest.raises(ValueError, match="placing is 'before'"):
    lib.place_moment(
      jnp.float32(0.5), jnp.float32(0.5), jnp.array(True), placing="before"
    )
