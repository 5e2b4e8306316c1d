"""Losses of clips, cells and background: the authors' numbers, gradients, no cells."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detector_support import joined, make_outputs

from jaxvision.losses.detection import DetectionLossSpec
from jaxvision.losses.partial_supervision import (
  background_losses,
  cell_loss,
  cell_targets,
  moment_loss,
)
from jaxvision.ops.detections import ClassifiedOutputs
from jaxvision.ops.gaussian import default_boxes, fixed_sigmas

LAYERS = range(1, 9)


def cells(golden):
  """Logits of the cells, their labels, and which of them show an action."""
  arrays = golden("ahernet_classes")
  logits = joined(arrays, "losses/in_cls_logits")
  scores = [golden("ahernet_losses")[f"match/gscore{j}"][..., 0] for j in LAYERS]
  labels = np.broadcast_to(arrays["match/label"][:, None], logits.shape[:2])
  return jnp.asarray(logits), jnp.asarray(labels), jnp.asarray(np.hstack(scores) > 0.8)


@pytest.mark.parametrize(
  ("which", "suffix"), [("all", ""), ("foreground", "_foreground_cells")]
)
def test_losses_of_cells_are_the_authors(golden, which, suffix):
  arrays = golden("ahernet_classes")
  logits, labels, foreground = cells(golden)
  counted = (which == "all") | foreground
  right = (logits.argmax(-1) == labels)[counted].mean()  # so labels are as theirs
  loss = lambda x: 2 * cell_loss(x, labels, foreground, cells=which).mean()
  found, gradient = jax.jit(jax.value_and_grad(loss))(logits)
  # Their other setting has other thresholds, which all cells do not see.
  for setting in ("losses", "losses_alt") if which == "all" else ("losses",):
    name = f"{setting}/cls{suffix}"
    np.testing.assert_allclose(found, arrays[name], rtol=1e-5)
    np.testing.assert_allclose(right, arrays[f"{name}_accuracy"], rtol=1e-5)
  expected = joined(arrays, f"losses/grad_cls_logits{suffix}")
  np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_targets_of_cells_are_the_authors(golden):
  arrays = golden("ahernet_classes")
  truth = golden("ahernet_losses")["match/gt"]
  label, foreground = targets(truth, arrays["match/label"])
  expected = np.hstack([arrays[f"match/label{j}"][..., 0] for j in LAYERS])
  np.testing.assert_array_equal(label, expected)
  np.testing.assert_array_equal(foreground, cells(golden)[2])
  assert foreground.any() and not foreground.all()


@jax.jit
def targets(truth, labels):
  """Of cells of a window of 512 steps, as the authors match them."""
  boxes = [default_boxes(fixed_sigmas(128 >> j)).reshape(-1, 2) for j in range(8)]
  anchors = jnp.broadcast_to(jnp.concatenate(boxes), (2, 765, 2))
  outputs = ClassifiedOutputs(make_outputs(anchors), jnp.zeros((2, 255, 5)))
  mask = truth[..., 1] > truth[..., 0]
  label = jnp.broadcast_to(labels[:, None], mask.shape)
  spec = DetectionLossSpec(positive=0.8, bounds=(0.0, 511 / 512))
  return cell_targets(outputs, truth / 512, label, mask, spec=spec)


def test_cells_show_the_class_of_their_own_action_and_none_without_any():
  truth = np.full((2, 2, 2), -1, np.float32)
  truth[0] = [[0, 128], [256, 384]]  # both as an anchor of the sixth layer is
  label, foreground = targets(truth, np.array([3, 4]))
  cell = 128 + 64 + 32 + 16 + 8
  np.testing.assert_array_equal(foreground[0, cell : cell + 4], [1, 0, 1, 0])
  assert (np.asarray(label) == [[3], [-1]]).all() and not foreground[1].any()
  loss = cell_loss(jnp.zeros((2, 255, 5)), label, foreground, cells="all")
  np.testing.assert_allclose(loss, [255 * np.log(5), 0], rtol=1e-5)


def test_the_loss_of_clips_is_the_authors(golden):
  arrays = golden("ahernet_classes")
  logits = [arrays[f"losses/in_regv_logits{j}"][:, 0, 0] for j in LAYERS]
  run = functools.partial(
    moment_loss, jnp.asarray(np.stack(logits)), jnp.asarray(arrays["match/label"])
  )
  right = np.mean(np.stack(logits).argmax(-1) == arrays["match/label"])
  np.testing.assert_allclose(right, arrays["losses/regv_accuracy"], rtol=1e-5)
  authors = 2 * run(legacy_scale=True).mean()
  np.testing.assert_allclose(authors, arrays["losses/regv"], rtol=1e-5)
  np.testing.assert_allclose(2 * run().mean(), 2 * arrays["losses/regv"], rtol=1e-5)


def backgrounds(golden):
  arrays = golden("ahernet_classes")
  names = ("real_logits", "fake_logits")
  logits = [jnp.asarray(joined(arrays, f"adv/{n}")[..., 0]) for n in names]
  flat = lambda name: np.hstack(
    [arrays[f"adv/{name}{j}"].reshape(2, -1) for j in LAYERS]
  )
  return *logits, *(jnp.asarray(flat(f"gscore_{n}")) for n in ("untrim", "syn"))


def test_losses_of_backgrounds_are_the_authors(golden):
  arrays = golden("ahernet_classes")
  real, fake, *iou = backgrounds(golden)
  found = background_losses(real, fake, *iou)
  for ours, name in (
    (found.real, "d_real"),
    (found.fake, "d_fake"),
    (found.generator, "g"),
  ):
    np.testing.assert_allclose(ours.mean(), arrays[f"adv/{name}"], rtol=1e-5)
  loss = lambda fake: background_losses(real, fake, *iou).generator.mean()
  gradient = jax.jit(jax.grad(loss))(fake)
  expected = joined(arrays, "adv/grad_g_fake_logits")[..., 0]
  np.testing.assert_allclose(gradient, expected, atol=1e-7)


@pytest.mark.parametrize(
  ("masks", "real", "fake"), [("joint", 1, 1), ("independent", 2, 3)]
)
def test_which_background_counts(masks, real, fake):
  logits, iou = jnp.zeros((1, 4)), jnp.array([[0.0, 0.2, 0.9, 0.8]])
  other = jnp.array([[0.5, 0.1, 0.1, 0.0]])
  gradients = jax.grad(
    lambda r, f: sum(
      x.sum() for x in background_losses(r, f, iou, other, masks=masks)[:2]
    ),
    argnums=(0, 1),
  )(logits, logits)
  counts = [int((g != 0).sum()) for g in gradients]
  assert counts == [real, fake]


def test_undecided_discriminators_lose_a_tenth_of_log_2():
  zeros = jnp.zeros((3, 5))
  found = background_losses(zeros, zeros, zeros, zeros)
  for loss in found[:3]:
    np.testing.assert_allclose(loss.mean(), 0.1 * np.log(2), rtol=1e-6)
  smoothed = background_losses(zeros + 2, zeros, zeros, zeros, targets=(0.9, 0.0))
  expected = 0.1 * (0.9 * np.log1p(np.exp(-2)) + 0.1 * np.log1p(np.exp(2)))
  np.testing.assert_allclose(smoothed.real.mean(), expected, rtol=1e-5)
  assert smoothed.correct == 1.0


def test_without_foreground_or_background_all_is_zero_and_finite():
  logits = jnp.ones((2, 3, 4))
  none = jnp.zeros((2, 3), bool)
  loss = lambda x: cell_loss(x, jnp.zeros((2, 3), jnp.int32), none).mean()
  value, gradient = jax.value_and_grad(loss)(logits)
  assert value == 0 and not gradient.any()
  full = jnp.ones((2, 3))
  found = background_losses(full, full, full, full)
  chex.assert_trees_all_equal(found, jax.tree.map(jnp.zeros_like, found))


@pytest.mark.parametrize("loss", ["cells", "masks"])
def test_an_unknown_choice_is_refused(loss):
  x = jnp.zeros((1, 2))
  with pytest.raises(ValueError, match=f"{loss} is 'some'; choose one of"):
    if loss == "cells":
      cell_loss(x[..., None], x.astype(int), x > 0, cells="some")
    else:
      background_losses(x, x, x, x, masks="some")
