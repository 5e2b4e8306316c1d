"""State dicts in torch's layout and by torch's names, made without torch."""

import numpy as np


class State(dict):
  """Random arrays by name; layers are added in any order."""

  def __init__(self, seed=0):
    super().__init__()
    self._rng = np.random.default_rng(seed)

  def add(self, name, *shape):
    self[name] = self._rng.normal(size=shape).astype(np.float32)

  def conv(self, name, width_in, width, size, *, bias=False):
    self.add(f"{name}.weight", width, width_in, size, size)
    if bias:
      self.add(f"{name}.bias", width)

  def norm(self, name, width):
    for part in ("weight", "bias", "running_mean", "running_var"):
      self.add(f"{name}.{part}", width)
    self[f"{name}.running_var"] = 0.5 + abs(self[f"{name}.running_var"])
    self[f"{name}.num_batches_tracked"] = np.int64(7)

  def dense(self, name, width_in, width, *, bias=True):
    self.add(f"{name}.weight", width, width_in)
    if bias:
      self.add(f"{name}.bias", width)

  def conv_norm(self, conv, norm, *sizes, bias=False):
    self.conv(conv, *sizes, bias=bias)
    self.norm(norm, sizes[1])


def cifar_resnet(blocks=1, width=2, *, option="A"):
  """Names of IE-KD."""
  state, now = State(), width
  state.conv_norm("conv1", "bn1", 3, width, 3)
  for i in range(3):
    out = width * 2**i
    for j in range(blocks):
      place = f"layer{i + 1}.{j}"
      state.conv_norm(f"{place}.conv1", f"{place}.bn1", now, out, 3)
      state.conv_norm(f"{place}.conv2", f"{place}.bn2", out, out, 3)
      if option == "B" and now != out:
        state.conv_norm(f"{place}.shortcut.0", f"{place}.shortcut.1", now, out, 1)
      now = out
  state.dense("linear", now, 10)
  return state


def resnet50(width=2, classes=5, *, stem=7):
  """Names of torchvision."""
  state, now = State(), width
  state.conv_norm("conv1", "bn1", 3, width, stem)
  for i, blocks in enumerate((3, 4, 6, 3)):
    inner = width * 2**i
    for j in range(blocks):
      place = f"layer{i + 1}.{j}"
      state.conv_norm(f"{place}.conv1", f"{place}.bn1", now, inner, 1)
      state.conv_norm(f"{place}.conv2", f"{place}.bn2", inner, inner, 3)
      state.conv_norm(f"{place}.conv3", f"{place}.bn3", inner, 4 * inner, 1)
      if j == 0:
        names = f"{place}.downsample.0", f"{place}.downsample.1"
        state.conv_norm(*names, now, 4 * inner, 1)
      now = 4 * inner
  state.dense("fc", now, classes)
  return state


def wide_resnet(blocks=1, widen=1):
  """Names of CausalAdv, with the part that it never uses."""
  state = State()
  state.conv("conv1", 3, 16, 3)
  now = 16
  for stage in ("block1", "sub_block1", "block2", "block3"):
    out = 16 * widen * {"2": 2, "3": 4}.get(stage[-1], 1)
    width = 16 if stage == "sub_block1" else now
    for j in range(blocks):
      place = f"{stage}.layer.{j}"
      state.norm(f"{place}.bn1", width)
      state.conv(f"{place}.conv1", width, out, 3)
      state.norm(f"{place}.bn2", out)
      state.conv(f"{place}.conv2", out, out, 3)
      if width != out:
        state.conv(f"{place}.convShortcut", width, out, 1)
      width = out
    now = out
  state.norm("bn1", now)
  state.dense("fc.0", now, 10, bias=False)
  return state


def alexnet(widths=(2, 3, 2, 3, 2), dense=4, classes=5, positions=1):
  """Names of Yang et al."""
  state, now = State(), 3
  places = ("features_0.0", "features_1.0", *(f"features_2.{i}" for i in range(3)))
  for place, width, size in zip(places, widths, (11, 5, 3, 3, 3), strict=True):
    names = f"{place}.conv", f"{place}.bn"
    state.conv_norm(*names, now, width, size, bias=True)
    now = width
  for place, width in ((1, now * positions), (3, dense)):
    state.dense(f"classifier.{place}.linear", width, dense)
    state.norm(f"classifier.{place}.bn", dense)
  state.dense("classifier.4", dense, classes)
  return state


def vgg11(width=1, dense=3, classes=5, positions=1, *, normed=False):
  """Names of torchvision."""
  state, now = State(), 3
  numbers = (0, 4, 8, 11, 15, 18, 22, 25) if normed else (0, 3, 6, 8, 11, 13, 16, 18)
  for number, times in zip(numbers, (1, 2, 4, 4, 8, 8, 8, 8), strict=True):
    state.conv(f"features.{number}", now, width * times, 3, bias=True)
    if normed:
      state.norm(f"features.{number + 1}", width * times)
    now = width * times
  for place, a, b in (
    (0, now * positions, dense),
    (3, dense, dense),
    (6, dense, classes),
  ):
    state.dense(f"classifier.{place}", a, b)
  return state


def mobilenet(multiplier=0.02):
  """Names of IE-KD."""
  state, now = State(), 32
  state.conv_norm("conv1", "bn1", 3, 32, 3)
  widths = (64, 128, 128, 256, 256, *(512,) * 6, 1024, 1024)
  for i, width in enumerate(int(w * multiplier) for w in widths):
    place = f"layers.{i}"
    state.conv_norm(f"{place}.conv1", f"{place}.bn1", 1, now, 3)  # depthwise
    state.conv_norm(f"{place}.conv2", f"{place}.bn2", now, width, 1)
    now = width
  state.dense("linear", now, 10)
  return state


def mobilenet_v2(classes=5):
  """Names of torchvision, full width."""
  state, now = State(), 32
  state.conv_norm("features.0.0", "features.0.1", 3, 32, 3)
  counts = {16: 1, 24: 2, 32: 3, 64: 4, 96: 3, 160: 3, 320: 1}
  widths = [width for width, count in counts.items() for _ in range(count)]
  for i, width in enumerate(widths, start=1):
    place, inner, k = f"features.{i}.conv", now * (6 if i > 1 else 1), 0
    if i > 1:
      state.conv_norm(f"{place}.0.0", f"{place}.0.1", now, inner, 1)
      k = 1
    state.conv_norm(f"{place}.{k}.0", f"{place}.{k}.1", 1, inner, 3)
    state.conv_norm(f"{place}.{k + 1}", f"{place}.{k + 2}", inner, width, 1)
    now = width
  state.conv_norm("features.18.0", "features.18.1", now, 1280, 1)
  state.dense("classifier.1", 1280, classes)
  return state
