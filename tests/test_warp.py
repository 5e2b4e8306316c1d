"""Affine warps against the authors' numbers, and their closed forms."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import warp_sampling
from jaxvision.ops.affine import affine_coordinates, affine_matrix, determinant
from jaxvision.ops.warp import affine_warp, warp

KEY = jax.random.key(0)
STATIC = ("border", "interpolation")
jit_warp = jax.jit(warp, static_argnames=STATIC)
jit_affine_warp = jax.jit(affine_warp, static_argnames=STATIC)
MODES = {
  "zero": {"border": "zero"},
  "clamp": {"border": "clamp"},
  "nearest": {"border": "zero", "interpolation": "nearest"},
}


def images(shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.fixture(params=["set0", "set1"])
def case(request, golden):
  arrays, prefix = golden("warp"), request.param + "/"
  return {k.removeprefix(prefix): arrays[k] for k in arrays.files if prefix in k}


def channels_last(x):
  return np.moveaxis(x, -3, -1)


def test_matrices_and_coordinates_are_the_authors(case):
  angle, scale, *shift = case["params"].T
  matrix = affine_matrix(angle, scale, shift)
  np.testing.assert_allclose(matrix, case["T"], atol=1e-5)
  size = case["x"].shape[2:]
  np.testing.assert_allclose(
    affine_coordinates(jnp.asarray(case["T"]), size), case["coords"], atol=1e-5
  )
  np.testing.assert_allclose(
    affine_coordinates(jnp.asarray(case["affine/T"]), size),
    case["affine/coords"],
    atol=1e-5,
  )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("jit", [False, True])
def test_outputs_and_gradients_are_the_authors(case, mode, jit):
  def run(x, angle, scale, shift, gy):
    function = lambda x: affine_warp(
      x, angle=angle, scale=scale, shift=shift, **MODES[mode]
    )
    y, pull = jax.vjp(function, x)
    return y, pull(gy)[0]

  run = jax.jit(run) if jit else run
  x, gy = channels_last(case["x"]), channels_last(case["gy"])
  tolerance = 0 if mode == "nearest" else 2e-5
  for k, (angle, scale, *shift) in enumerate(case["params"][: None if jit else 1]):
    y, gx = run(x, angle, scale, jnp.array(shift), gy)
    expected = [channels_last(case[f"{mode}_{part}"][k]) for part in ("y", "gx")]
    np.testing.assert_allclose(y, expected[0], atol=tolerance)
    np.testing.assert_allclose(gx, expected[1], atol=max(tolerance, 1e-6))


def test_general_affine_outputs_and_gradients_are_the_authors(case):
  x, gy = channels_last(case["x"]), channels_last(case["gy"])
  for k, matrix in enumerate(case["affine/T"]):
    coordinates = affine_coordinates(jnp.asarray(matrix)[None], x.shape[1:3])
    y, pull = jax.vjp(functools.partial(jit_warp, coordinates=coordinates), x)
    np.testing.assert_allclose(y, channels_last(case["affine/zero_y"][k]), atol=2e-5)
    np.testing.assert_allclose(
      pull(jnp.asarray(gy))[0], channels_last(case["affine/zero_gx"][k]), atol=2e-5
    )


@pytest.mark.parametrize("border", warp_sampling.BORDERS)
@pytest.mark.parametrize("interpolation", warp_sampling.INTERPOLATIONS)
def test_neutral_parameters_are_the_identity(border, interpolation):
  x = images((2, 7, 10, 3))
  y = jit_affine_warp(x, border=border, interpolation=interpolation)
  chex.assert_trees_all_equal(y, x)


@pytest.mark.parametrize("interpolation", warp_sampling.INTERPOLATIONS)
def test_integer_shifts_move_pixels_down_and_right(interpolation):
  x = images((2, 6, 7, 3))
  y = jit_affine_warp(x, shift=(2, 1), interpolation=interpolation)
  expected = jnp.pad(x[:, :-2, :-1], ((0, 0), (2, 0), (1, 0), (0, 0)))
  chex.assert_trees_all_equal(y, expected)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("turns", [1, 2, 3, -1])
def test_quarter_turns_are_counter_clockwise(size, turns):
  x = images((2, size, size, 3))
  y = jit_affine_warp(x, angle=90.0 * turns)
  chex.assert_trees_all_close(y, jnp.rot90(x, turns, (1, 2)), atol=2e-5)


def test_scale_magnifies():
  x = jnp.zeros((1, 9, 9, 1)).at[0, 3:6, 3:6].set(1.0)
  assert jit_affine_warp(x, scale=2.0).sum() > 3 * x.sum()
  np.testing.assert_array_equal(
    jit_affine_warp(x, scale=3.0, interpolation="nearest"), 1
  )


def test_reflection_folds_any_number_of_times():
  x = jnp.arange(4.0).reshape(1, 4, 1, 1)
  q = jnp.arange(-7.0, 12.0)
  coordinates = jnp.stack([q, jnp.zeros_like(q)], -1)[None, :, None]
  expected = np.pad(np.arange(4.0), (7, 8), mode="reflect")
  for interpolation in warp_sampling.INTERPOLATIONS:
    y = jit_warp(x, coordinates, border="reflect", interpolation=interpolation)
    np.testing.assert_array_equal(y[0, :, 0, 0], expected)
  between = jit_warp(x, coordinates - 0.25, border="reflect")[0, :, 0, 0]
  np.testing.assert_allclose(
    between[1:], 0.75 * expected[1:] + 0.25 * expected[:-1], atol=1e-6
  )


def test_the_rim_is_repeated_for_half_a_pixel():
  x = jnp.array([3.0, 5.0]).reshape(1, 1, 2, 1)
  q = jnp.array([-0.51, -0.5, -0.2, 0.5, 1.4, 1.5])
  coordinates = jnp.stack([jnp.zeros_like(q), q], -1)[None, None]
  np.testing.assert_allclose(
    jit_warp(x, coordinates)[0, 0, :, 0], [0, 3, 3, 4, 5, 0], atol=1e-6
  )
  nearest = jit_warp(x, coordinates, interpolation="nearest")
  np.testing.assert_array_equal(nearest[0, 0, :, 0], [0, 0, 3, 5, 5, 0])


def test_nearest_rounds_halves_away_from_zero_and_no_more():
  x = jnp.arange(4.0).reshape(1, 1, 4, 1)
  q = jnp.array([0.5, np.nextafter(np.float32(0.5), np.float32(0)), 1.5, 2.49])
  coordinates = jnp.stack([jnp.zeros_like(q), q], -1)[None, None]
  y = jit_warp(x, coordinates, interpolation="nearest")
  np.testing.assert_array_equal(y[0, 0, :, 0], [1, 0, 2, 2])


def test_linear_and_backward_is_the_transpose():
  x, z = images((2, 8, 6, 3)), images((2, 8, 6, 3), 1)
  run = functools.partial(jit_affine_warp, angle=33.0, scale=0.8, shift=(1.2, -0.4))
  chex.assert_trees_all_close(run(2 * x - z), 2 * run(x) - run(z), atol=1e-5)
  y, pull = jax.vjp(run, x)
  np.testing.assert_allclose(jnp.vdot(y, z), jnp.vdot(x, pull(z)[0]), rtol=1e-4)


def smooth(size=33):
  axis = jnp.linspace(-2.0, 2.0, size)
  bumps = jnp.exp(-((axis[:, None] - 0.3) ** 2) - (axis[None] + 0.2) ** 2)
  return bumps[None, :, :, None], (axis[:, None] ** 2 + axis[None] ** 2) < 1.5


@pytest.mark.parametrize(
  ("there", "back"),
  [({"angle": 25.0}, {"angle": -25.0}), ({"scale": 1.25}, {"scale": 0.8})],
)
def test_an_inverse_restores_the_centre(there, back):
  x, disc = smooth()
  y = jit_affine_warp(jit_affine_warp(x, **there), **back)
  assert jnp.abs((y - x)[0, :, :, 0][disc]).max() < 0.05
  assert jnp.abs((jit_affine_warp(x, **there) - x)[0, :, :, 0][disc]).max() > 0.05


def test_one_value_an_image_equals_one_image_at_a_time():
  x = images((3, 6, 8, 2))
  angle, scale = jnp.array([5.0, -70.0, 200.0]), jnp.array([0.7, 1.0, 1.4])
  shift = jnp.array([[1.0, 0.2], [-2.0, 0.0], [0.3, 3.0]])
  together = jit_affine_warp(x, angle=angle, scale=scale, shift=shift)
  apart = [
    jit_affine_warp(x[i : i + 1], angle=angle[i], scale=scale[i], shift=tuple(shift[i]))
    for i in range(3)
  ]
  chex.assert_trees_all_close(together, jnp.concatenate(apart), atol=1e-6)
  pairs = jit_affine_warp(x, angle=angle, scale=scale, shift=(shift[:, 0], shift[:, 1]))
  chex.assert_trees_all_equal(pairs, together)
  mixed = jit_affine_warp(x, angle=angle)  # the others remain scalars
  chex.assert_trees_all_close(mixed[1:2], jit_affine_warp(x[1:2], angle=-70), atol=1e-6)


def test_coordinates_are_float32_though_images_are_not():
  x = images((1, 600, 4, 1)).astype(jnp.bfloat16)
  y = jit_affine_warp(x, shift=(257, 0))
  assert y.dtype == jnp.bfloat16
  chex.assert_trees_all_equal(y[:, 257:], x[:, :-257])
  low = affine_matrix(*(jnp.bfloat16(v) for v in (10, 1)))
  assert low.dtype == affine_coordinates(low, (4, 4)).dtype == jnp.float32
  pull = jax.vjp(functools.partial(jit_affine_warp, angle=10.0), x)[1]
  assert pull(y)[0].dtype == jnp.bfloat16


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 1, 5, 1), (2, 5, 1, 1)])
@pytest.mark.parametrize("border", warp_sampling.BORDERS)
def test_images_of_one_row_or_column(shape, border):
  x = images(shape)
  y, pull = jax.vjp(functools.partial(jit_affine_warp, angle=180.0, border=border), x)
  chex.assert_trees_all_close(y, x[:, ::-1, ::-1], atol=1e-5)
  chex.assert_trees_all_close(pull(y)[0], x, atol=1e-5)


def test_coordinates_far_off_or_nan_read_no_foreign_memory():
  x = images((1, 3, 3, 1))
  far = jnp.array([1e30, -1e30, jnp.inf, -jnp.inf, jnp.nan])
  coordinates = jnp.stack([far, far], -1)[None, None]
  for interpolation in warp_sampling.INTERPOLATIONS:
    y = jit_warp(x, coordinates, interpolation=interpolation)
    np.testing.assert_array_equal(y, 0)
  clamped = jit_warp(x, coordinates, border="clamp")[0, 0, :4, 0]
  np.testing.assert_array_equal(clamped, x[0, [2, 0, 2, 0], [2, 0, 2, 0], 0])


def test_second_derivatives_in_either_order():
  x = images((1, 4, 4, 1))
  energy = lambda x: jnp.sum(jit_affine_warp(x, angle=30.0) ** 2)
  forward = jax.jit(jax.jacfwd(jax.grad(energy)))(x)
  chex.assert_trees_all_close(jax.jit(jax.jacrev(jax.grad(energy)))(x), forward)
  operator = jax.jacfwd(functools.partial(jit_affine_warp, angle=30.0))(x).reshape(
    16, 16
  )
  chex.assert_trees_all_close(
    forward.reshape(16, 16), 2 * operator.T @ operator, atol=1e-5
  )


def test_no_gradient_to_the_parameters():
  x = images((1, 5, 5, 1))
  loss = lambda angle: jnp.sum(jit_affine_warp(x, angle=angle) ** 2)
  assert jax.grad(loss)(20.0) == 0


def test_the_output_may_have_another_size():
  x = images((2, 4, 6, 1))
  coordinates = affine_coordinates(affine_matrix()[None], (8, 8), source=(4, 6))
  y = jit_warp(x, coordinates)
  chex.assert_trees_all_equal(y, jnp.pad(x, ((0, 0), (2, 2), (1, 1), (0, 0))))


def test_determinant_is_that_of_the_whole_matrix():
  matrix = jax.random.normal(KEY, (4, 3, 3)).at[:, :, 2].set(jnp.array([0.0, 0, 1]))
  chex.assert_trees_all_close(determinant(matrix), jnp.linalg.det(matrix), atol=1e-5)


def test_vmap_over_angles():
  x = images((2, 5, 5, 1))
  angles = jnp.array([10.0, 20.0])
  y = jax.vmap(lambda angle: jit_affine_warp(x, angle=angle))(angles)
  chex.assert_trees_all_close(y[1], jit_affine_warp(x, angle=20.0), atol=1e-6)


@pytest.mark.parametrize(
  ("settings", "named"),
  [
    ({"border": "wrap"}, "'wrap'.*zero, clamp, reflect"),
    ({"interpolation": "cubic"}, "'cubic'.*bilinear, nearest"),
    ({"scale": 0.0}, "scale is 0"),
    ({"angle": np.zeros(3, np.float32)}, "3 warps for 2 images"),
    ({"shift": (1.0, 2.0, 3.0)}, "3 components"),
  ],
)
def test_mistakes_are_named(settings, named):
  with pytest.raises(ValueError, match=named):
    affine_warp(images((2, 4, 4, 1)), **settings)
