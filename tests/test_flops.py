"""Counts of multiply-adds against closed forms."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxvision.train.flops import count_flops

X, W = jnp.ones((5, 7)), jnp.ones((7, 3))
DENSE = 2 * 5 * 7 * 3


def dense(x, w):
  return x @ w


def shaped(*shape):
  return jax.ShapeDtypeStruct(shape, jnp.float32)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit, jax.checkpoint])
def test_dense(transform):
  assert count_flops(transform(dense), X, W) == DENSE
  assert count_flops(transform(dense), shaped(5, 7), shaped(7, 3)) == DENSE


def test_batched_and_contracted_dots():
  product = lambda a, b: jnp.einsum("bij,bjk->bik", a, b)
  assert count_flops(product, shaped(4, 5, 7), shaped(4, 7, 3)) == 4 * DENSE
  double = lambda a, b: jnp.einsum("bij,ijk->bk", a, b)
  assert count_flops(double, shaped(4, 5, 7), shaped(5, 7, 3)) == 2 * 4 * 5 * 7 * 3
  assert count_flops(jax.vmap(dense, (0, None)), shaped(9, 5, 7), W) == 9 * DENSE


def test_what_is_no_product_counts_nothing():
  assert count_flops(lambda x: jnp.tanh(x * x).sum(), X) == 0


def test_what_no_output_depends_on_counts_nothing():
  pair = jax.jit(lambda x, y: (x @ W, y @ W @ W.T))
  assert count_flops(pair, X, X) == 3 * DENSE
  assert count_flops(lambda x: pair(x, x)[0], X) == DENSE
  # Nor does what only an unused output of an inner function would need.
  assert count_flops(lambda x: pair(x, (x @ W) @ W.T)[0], X) == DENSE
  assert count_flops(lambda x: (pair(x, x), x)[1], X) == 0


def convolution(x, w, **fields):
  options = {"window_strides": (1, 1), "padding": "SAME", **fields}
  return lax.conv_general_dilated(
    x, w, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
  )


@pytest.mark.parametrize(
  "fields, kernel, expected",
  [
    ({}, (3, 3, 4, 6), 2 * (2 * 8 * 8 * 6) * (3 * 3 * 4)),
    ({"window_strides": (2, 2)}, (3, 3, 4, 6), 2 * (2 * 4 * 4 * 6) * (3 * 3 * 4)),
    ({"padding": "VALID"}, (3, 3, 4, 6), 2 * (2 * 6 * 6 * 6) * (3 * 3 * 4)),
    ({"rhs_dilation": (2, 2)}, (3, 3, 4, 6), 2 * (2 * 8 * 8 * 6) * (3 * 3 * 4)),
    # Depth-wise: an output sees one channel.
    ({"feature_group_count": 4}, (3, 3, 1, 8), 2 * (2 * 8 * 8 * 8) * (3 * 3)),
  ],
)
def test_convolutions(fields, kernel, expected):
  fn = lambda x, w: convolution(x, w, **fields)
  assert count_flops(fn, shaped(2, 8, 8, 4), shaped(*kernel)) == expected


def test_gradients_count_one_more_product_for_each_operand():
  loss = lambda w, x: dense(x, w).sum()
  assert count_flops(jax.value_and_grad(loss), W, X) == 2 * DENSE
  assert count_flops(jax.value_and_grad(loss, argnums=(0, 1)), W, X) == 3 * DENSE
  assert count_flops(jax.grad(loss), W, X) == DENSE  # needs no value of what is linear
  conv = lambda w, x: jnp.sum(convolution(x, w) ** 2)
  args = shaped(3, 3, 4, 6), shaped(2, 8, 8, 4)
  once = count_flops(conv, *args)
  assert count_flops(jax.grad(conv), *args) == 2 * once
  assert count_flops(jax.grad(conv, argnums=(0, 1)), *args) == 3 * once


def test_scans_multiply_and_nest():
  body = lambda c, _: (jnp.tanh(c @ jnp.ones((7, 7))), None)
  scan = lambda x, n: lax.scan(body, x, length=n)[0]
  once = 2 * 5 * 7 * 7
  assert count_flops(lambda x: scan(x, 11), X) == 11 * once
  nested = lambda x: lax.scan(lambda c, _: (scan(c, 3), None), x, length=4)[0]
  assert count_flops(nested, X) == 12 * once
  fori = lambda x: lax.fori_loop(0, 6, lambda i, c: body(c, i)[0], x)
  assert count_flops(fori, X) == 6 * once
  assert count_flops(jax.grad(lambda x: scan(x, 11).sum()), X) == 2 * 11 * once


def test_a_while_of_unknown_length_counts_once():
  loop = lambda x, n: lax.fori_loop(0, n, lambda i, c: jnp.tanh(c @ W @ W.T), x)
  assert count_flops(loop, X, jnp.int32(9)) == 2 * DENSE


def test_the_costliest_branch_of_a_cond_counts():
  branches = [lambda x: x @ W @ W.T, lambda x: x, lambda x: (x @ W) @ W.T @ W @ W.T]
  assert count_flops(lambda i, x: lax.switch(i, branches, x), 0, X) == 4 * DENSE
  select = lambda p, x: lax.cond(p, branches[0], branches[1], x)
  assert count_flops(select, True, X) == 2 * DENSE
  assert count_flops(jax.vmap(select), jnp.ones(4, bool), shaped(4, 5, 7)) == 8 * DENSE


@jax.custom_vjp
def expensive_backward(x, w):
  return dense(x, w)


expensive_backward.defvjp(
  lambda x, w: (dense(x, w), (x, w)),
  lambda res, g: (g @ res[1].T, res[0].T @ g + 0.0 * (res[0].T @ res[0] @ res[1])),
)


@jax.custom_jvp
def custom_dense(x, w):
  return dense(x, w)


custom_dense.defjvp(lambda p, t: (dense(*p), dense(t[0], p[1]) + dense(p[0], t[1])))


def test_custom_derivatives_count_what_runs():
  assert count_flops(expensive_backward, X, W) == DENSE
  assert count_flops(custom_dense, X, W) == DENSE
  loss = lambda x, w: expensive_backward(x, w).sum()
  extra = 2 * 7 * 5 * 7 + 2 * 7 * 7 * 3
  assert count_flops(jax.value_and_grad(loss, (0, 1)), X, W) == 3 * DENSE + extra
  loss = lambda x, w: custom_dense(x, w).sum()
  assert count_flops(jax.value_and_grad(loss, (0, 1)), X, W) == 3 * DENSE
