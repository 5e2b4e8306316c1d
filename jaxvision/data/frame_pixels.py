"""Pixels of generated frames: the clutter behind the garments, and garments on it.

Everything is numpy on many frames at once. Frames and garments are square, `SIDE`
pixels wide, in grey values from 0 (black) to 1.
"""

import numpy as np
from jaxtyping import Float, Float32, UInt8

SIDE = 28
KNOTS, KNOT_STEPS = 5, 24  # of the clutter: along a side; steps from knot to knot
TEXTURE, BRIGHTNESS = (0.0, 0.2), (-0.05, 0.1)  # ranges of the values at the knots
FAINT = 25  # of 255: what is darker counts as the garment's black surroundings
MIDDLE = (SIDE - 1) / 2  # of the pixels' coordinates 0 .. SIDE - 1


def clutter(
  rng: np.random.Generator, count: int, length: int
) -> Float32[np.ndarray, "n t h w"]:
  """Draws backgrounds: blotches that change slowly, under a light that does, too.

  Random values at knots in time and space, and of the brightness at knots in time,
  are interpolated linearly.

  Args:
    rng: source of the random numbers.
    count: number of backgrounds n.
    length: steps t of each.

  Returns:
    Grey values in [0, 0.3].
  """
  time = _hats(np.arange(length) / KNOT_STEPS, length // KNOT_STEPS + 2)
  space = _hats(np.linspace(0, KNOTS - 1, SIDE), KNOTS)
  shape = (count, time.shape[1], KNOTS, KNOTS)
  knots = rng.uniform(*TEXTURE, shape) + rng.uniform(*BRIGHTNESS, (*shape[:2], 1, 1))
  rows = space @ knots.astype(np.float32) @ space.T
  flat = time @ rows.reshape(*shape[:2], -1)
  return np.maximum(flat.reshape(count, length, SIDE, SIDE), 0)


def place(
  garments: UInt8[np.ndarray, "m h w"],
  *,
  right: Float[np.ndarray, " m"],
  down: Float[np.ndarray, " m"],
  angle: Float[np.ndarray, " m"],
  scale: Float[np.ndarray, " m"],
) -> Float32[np.ndarray, "m h w"]:
  """Moves, turns and scales garments, one a frame, with bilinear interpolation.

  Args:
    garments: their images, `SIDE` pixels wide and high.
    right: shift of the middle, in pixels.
    down: likewise.
    angle: clockwise, in radians.
    scale: of their size.

  Returns:
    Grey values in [0, 1], 0 where there is no garment.
  """
  columns = lambda x: np.asarray(x, np.float32)[:, None, None]
  y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - np.float32(MIDDLE)
  x, y = x - columns(right), y - columns(down)
  cos, sin = columns(np.cos(angle) / scale), columns(np.sin(angle) / scale)
  return _sample(garments, sin * y + cos * x + MIDDLE, cos * y - sin * x + MIDDLE)


def half_width(garments: UInt8[np.ndarray, "m h w"]) -> Float[np.ndarray, " m"]:
  """How far the visible part of each garment reaches from its middle, in pixels."""
  seen = (garments > FAINT).any(1)
  return ((np.abs(np.arange(SIDE) - MIDDLE) + 0.5) * seen).max(1)


def cover(
  backgrounds: Float32[np.ndarray, "m h w"], shown: Float32[np.ndarray, "m h w"]
) -> Float32[np.ndarray, "m h w"]:
  """Puts garments before backgrounds; the black around a garment hides nothing."""
  return np.where(shown > FAINT / 255, shown, backgrounds)


def noisy(
  rng: np.random.Generator, frames: Float32[np.ndarray, "..."], noise: float
) -> Float32[np.ndarray, "..."]:
  """Adds a camera's white noise and cuts the sum to [0, 1]."""
  added = np.float32(noise) * rng.standard_normal(frames.shape, np.float32)
  return np.clip(frames + added, 0, 1)


def _hats(x: Float[np.ndarray, " p"], knots: int) -> Float32[np.ndarray, "p k"]:
  """Weights of the knots 0, 1, ... in a linear interpolation at x."""
  return np.maximum(1 - np.abs(x[:, None] - np.arange(knots)), 0).astype(np.float32)


def _sample(
  images: UInt8[np.ndarray, "m h w"],
  x: Float32[np.ndarray, "m h w"],
  y: Float32[np.ndarray, "m h w"],
) -> Float32[np.ndarray, "m h w"]:
  """Values of images at places between their pixels; outside of them is 0."""
  bordered = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float32) / 255
  wide = SIDE + 2
  x, y = (np.clip(v + 1, 0, wide - 1.001) for v in (x, y))
  left, top = x.astype(np.int32), y.astype(np.int32)
  first = (np.arange(len(images), dtype=np.int32) * wide**2)[:, None, None]
  corner = first + top * wide + left
  flat, dx, dy = bordered.ravel(), x - left, y - top
  upper = flat[corner] * (1 - dx) + flat[corner + 1] * dx
  lower = flat[corner + wide] * (1 - dx) + flat[corner + wide + 1] * dx
  return (upper * (1 - dy) + lower * dy).astype(np.float32)
