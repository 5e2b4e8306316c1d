"""Moving skeletons: an animated GIF and a still, with the joints that matter in colour.

Drawn with Pillow alone: a frame takes ten milliseconds, and matplotlib would need more.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from jaxvision import files
from jaxvision.viz import figures

SIDE, MARGIN, CAPTION = 320, 24, 34  # pixels of a picture, around it, above it
SMOOTH = 3  # drawn this much larger, then reduced
JOINT, BONE = 3.2, 2.4  # radius and width in pixels
SHADES = 8  # of each colour of a GIF; with closer ones Pillow mistakes white for grey
GROWTH = 1.1  # by how much more a joint that matters is larger
BONES = ("#5B6470", "#A2AAB5")  # of the first person and of the others
LOW, HIGH = "#C9CDD3", figures.PALETTE[1]  # of a joint that does not matter, that does

Sequences = Float[np.ndarray, "m t v c"]


def draw_skeleton(
  clip: Sequences,
  path: Path,
  *,
  parents: Sequence[int],
  importance: Float[np.ndarray, "m t v"] | None = None,
  caption: str = "",
  there: Bool[np.ndarray, "m t v"] | None = None,
  axes: tuple[int, int] = (0, 1),
  rate: float = 15.0,
) -> Path:
  """Draws a clip as an animated GIF that repeats.

  Args:
    clip: positions.
    path: of the GIF.
    parents: of the joints, see `jaxvision.ops.graphs`; -1 for the root.
    importance: of the joints, such as `jaxvision.ops.skeletons.joint_importance`; what
      is not positive has no colour, the largest of the clip the strongest.
    caption: such as the class and its score; of one or two lines.
    there: which joints are drawn; None draws persons in the frames in which any of
      their numbers is not 0.
    axes: coordinates to the right and upwards: (0, 1) as recorded, (0, 2) once
      `normalize_frames` has turned the spine upright on z.
    rate: frames a second.

  Raises:
    ValueError: NaN or infinity, nobody in the clip, or shapes that do not fit.
  """
  # all frames share the few colours there are: Pillow would look for some in each
  pictures = [
    Image.fromarray(picture).quantize(palette=_palette(), dither=Image.Dither.NONE)
    for picture in _pictures(clip, parents, importance, caption, there, axes)
  ]
  drawn = io.BytesIO()
  pictures[0].save(
    drawn,
    format="GIF",
    save_all=True,
    append_images=pictures[1:],
    duration=max(20, round(1000 / rate)),  # viewers slow down what is faster
    loop=0,
  )
  files.write_bytes(path, drawn.getvalue())
  return path


def draw_poses(
  clip: Sequences,
  path: Path,
  *,
  parents: Sequence[int],
  importance: Float[np.ndarray, "m t v"] | None = None,
  caption: str = "",
  there: Bool[np.ndarray, "m t v"] | None = None,
  axes: tuple[int, int] = (0, 1),
  count: int = 5,
) -> Path:
  """Draws a few equally spaced frames of a clip side by side, as a PNG.

  Args:
    clip: see `draw_skeleton`, also for the others.
    path: of the PNG.
    parents: of the joints.
    importance: of the joints.
    caption: above the first pose.
    there: which joints are drawn.
    axes: coordinates to the right and upwards.
    count: most poses.

  Raises:
    ValueError: as `draw_skeleton` does.
  """
  shown = np.unique(np.linspace(0, clip.shape[1] - 1, count).round().astype(int))
  pictures = _pictures(clip, parents, importance, caption, there, axes, shown)
  drawn = io.BytesIO()
  Image.fromarray(np.concatenate(list(pictures), 1)).save(drawn, format="PNG")
  files.write_bytes(path, drawn.getvalue())
  return path


def _pictures(
  clip: Sequences,
  parents: Sequence[int],
  importance: np.ndarray | None,
  caption: str,
  there: np.ndarray | None,
  axes: tuple[int, int],
  shown: Sequence[int] | np.ndarray | None = None,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
  """Frames as pictures of one size; all are checked and scaled together."""
  points = figures.finite("clip", clip)
  if there is None:  # a joint that others are centred on is 0, and is there
    present = points.any((2, 3))[..., None]
    there = np.broadcast_to(present, points.shape[:3])
  if not there.any():
    raise ValueError("clip shows nobody.")
  if len(parents) != points.shape[2]:
    raise ValueError(f"{points.shape[2]} joints, but {len(parents)} parents.")
  weight = _weights(points, importance)
  places = _project(points[..., axes], there)
  frames = range(points.shape[1]) if shown is None else shown
  for i, t in enumerate(frames):
    text = caption if shown is None or i == 0 else ""
    moment = f"frame {t + 1} of {points.shape[1]}"
    yield _draw(places[:, t], there[:, t], weight[:, t], parents, text, moment)


def _weights(
  points: np.ndarray, importance: np.ndarray | None
) -> Float[np.ndarray, "m t v"]:
  """Importance as a share of the largest, in [0, 1]."""
  if importance is None:
    return np.zeros(points.shape[:3])
  weight = figures.finite("importance", importance).clip(min=0)
  if weight.shape != points.shape[:3]:
    raise ValueError(f"importance {weight.shape} does not fit {points.shape[:3]}.")
  return weight / max(weight.max(), 1e-30)


def _project(
  plane: Float[np.ndarray, "m t v 2"], there: np.ndarray
) -> Float[np.ndarray, "m t v 2"]:
  """Pixels (right, down): one scale for the clip, which fills the picture."""
  seen = plane[there]
  low, high = seen.min(0), seen.max(0)
  scale = (SIDE - 2 * MARGIN) / max((high - low).max(), 1e-6)
  centred = (plane - (low + high) / 2) * scale
  return centred * (1, -1) + (SIDE / 2, CAPTION + SIDE / 2)


def _draw(
  places: Float[np.ndarray, "m v 2"],
  there: np.ndarray,
  weight: Float[np.ndarray, "m v"],
  parents: Sequence[int],
  caption: str,
  moment: str,
) -> UInt8[np.ndarray, "h w 3"]:
  """One frame; the joints that matter lie above all others."""
  size = (SIDE, SIDE + CAPTION)
  image = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), "white")
  canvas = ImageDraw.Draw(image)
  for person, joint in zip(*np.nonzero(there), strict=True):
    parent = parents[joint]
    if parent >= 0 and there[person, parent]:
      ends = places[person, [joint, parent]] * SMOOTH
      colour = BONES[min(person, len(BONES) - 1)]
      canvas.line([tuple(end) for end in ends], colour, round(BONE * SMOOTH))
  order = sorted(np.argwhere(there).tolist(), key=lambda at: weight[at[0], at[1]])
  for person, joint in order:
    share = weight[person, joint]
    radius = JOINT * (1 + GROWTH * share) * SMOOTH
    centre = tuple(places[person, joint] * SMOOTH)
    canvas.circle(centre, radius, _blend(share), "white", SMOOTH)
  image = image.reduce(SMOOTH)
  _write(image, caption, moment, coloured=bool(weight.any()))
  return np.asarray(image)


def _blend(share: float) -> tuple[int, int, int]:
  """A colour between `LOW` and `HIGH`."""
  low, high = (np.array(_channels(colour)) for colour in (LOW, HIGH))
  red, green, blue = (low + share * (high - low)).round().astype(int).tolist()
  return red, green, blue


def _channels(colour: str) -> tuple[int, ...]:
  return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def _palette() -> Image.Image:
  """White, and shades from it to all that is drawn."""
  shades = np.linspace(0, 1, SHADES)[:, None]
  inks = (*BONES, LOW, HIGH, figures.INK, figures.MUTED)
  middle = [_blend(share) for share in (0.25, 0.5, 0.75)]
  colours = [np.array(_channels(ink)) for ink in inks] + [np.array(x) for x in middle]
  table = np.concatenate([255 + shades * (colour - 255) for colour in colours])
  palette = Image.new("P", (1, 1))
  palette.putpalette(table.round().astype(np.uint8).tobytes())
  return palette


def _write(image: Image.Image, caption: str, moment: str, *, coloured: bool) -> None:
  canvas = ImageDraw.Draw(image)
  font, small = ImageFont.load_default(12), ImageFont.load_default(10)
  canvas.multiline_text((8, 4), caption, figures.INK, font)
  canvas.text((8, image.height - 16), moment, figures.MUTED, small)
  if coloured:
    right, down = image.width - 8, image.height - 10
    canvas.text((right, down), "matters", figures.MUTED, small, anchor="rm")
    for i, share in enumerate((1.0, 0.5, 0.0)):
      canvas.circle((right - 48 - 10 * i, down), 4, _blend(share))
