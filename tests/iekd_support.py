"""A tiny distillation experiment on the 8x8 digits, and one of temporal features."""

import jax
import jax.numpy as jnp
import numpy as np

from configs import iekd as config_file

CNN = {"name": "cnn", "kernels": (3,), "norm": "batch", "dense_width": 8}
TINY = {
  "data.name": "digits",
  "data.limit": 120,
  "data.validation": 50.0,
  "teacher.limit": 160,
  "teacher.epochs": 1.0,
  "coder.epochs": 1.0,
  "coder.width": 4,
  "epochs": 2.0,
  "batch_size": 40,
  "per_dispatch": 1,
  "eval.batch_size": 60,
  "eval.every": 0,
  "log.every": 1,
  "log.figures": False,
  "metric.examples": 60,
  "metric.noise": (0.1,),
  "metric.draws": 1,
}
# Ternary weights and four-valued activations of the MLP.
QUANTIZED = {
  "quantize.weights": ({"at": "dense1/kernel", "levels": "w2"},),
  "quantize.activations": ({"at": "relu1", "levels": "a2"},),
  "quantize.options.method": "linear",
  "quantize.examples": 40,
}


def configure(variant="", *, convolutional=False, **changes):
  """Networks are MLPs, which compile in no time, unless convolutions matter."""
  config = config_file.get_config(variant)
  with config.unlocked():
    if convolutional:
      config.model = {**CNN, "widths": (4, 6)}
      config.teacher.model = {**CNN, "widths": (5, 8)}
    else:
      config.model = {"name": "mlp", "hidden": (6,)}
      config.teacher.model = {"name": "mlp", "hidden": (8,)}
      config.distill.taps = ("relu1",)
  config.update_from_flattened_dict({**TINY, **changes})
  return config


class Windows:
  """Feature sequences with one target each: rows of a data set that are no images."""

  def __init__(self, count=32, steps=16, width=5):
    rng = np.random.default_rng(0)
    self.features = rng.normal(size=(count, steps, width)).astype(np.float32)
    self.target = self.features.mean((1, 2))

  def __len__(self):
    return len(self.target)

  def __getitem__(self, rows):
    return {"features": self.features[rows], "target": self.target[rows]}

  def spec(self, size):
    like = {"features": self.features, "target": self.target}
    return {
      name: jax.ShapeDtypeStruct((size, *x.shape[1:]), jnp.float32)
      for name, x in like.items()
    }
