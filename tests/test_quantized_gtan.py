"""A detector of actions becomes one with ternary weights, by config overrides alone."""

import jax
import numpy as np

from configs import gtan as config_file
from jaxvision.methods import gtan as method
from jaxvision.methods.common import supervised
from jaxvision.ops import trees
from jaxvision.ops.quantization import hard_quantize

TINY = {
  "data.length": 64,
  "data.generated.train": 32,
  "data.generated.val": 8,
  "data.generated.test": 8,
  "data.generated.width": 8,
  "batch_size": 16,
  "model.base_widths": (8, 8),
  "model.anchor_widths": (8, 8),
  "steps": 4,
  "per_dispatch": 1,
  "optimizer.schedule.warmup": 1.0,
}
QUANTIZED = {
  "quantize.weights": (
    {"at": "(head|sigma).*", "quantizer": "none"},
    {"at": "base/conv1/.*", "quantizer": "none"},
    {"at": ".*/kernel", "levels": "w2"},
  ),
  "quantize.options.method": "linear",
}


def test_gtan_is_quantized_by_the_config():
  config = config_file.get_config()
  config.update_from_flattened_dict({**TINY, **QUANTIZED})
  found = method.build(config, method.load(config))
  (line,) = found.inserted
  assert line.startswith("quantization_networks w2 for the weights ")
  stage = found.stages[0]
  frozen, rows, key = stage.frozen({}), stage.batches(0), jax.random.key(0)
  first = jax.jit(stage.init)(key, frozen, rows[0])
  step = jax.jit(stage.step)
  second, logs = step(first, frozen, rows[0], key)
  assert np.isfinite(logs["loss"])
  third, _ = step(second, frozen, rows[1], key)
  third, _ = step(third, frozen, rows[2], key)  # the second epoch
  assert float(second["schedule"]["quantizers"]["temperature"]) == 5.0
  assert float(third["schedule"]["quantizers"]["temperature"]) == 10.0

  model = supervised.build_model(config, 10)
  before, after = (model.model.owned(s["params"]) for s in (first, third))
  hard = dict(
    zip(trees.paths(third["params"]), jax.tree.leaves(third["params"]), strict=True)
  )
  assert "base/conv2/kernel" in after and len(after) >= 3
  for path, own in after.items():
    assert own["alpha"] != before[path]["alpha"]
    levels = hard_quantize(hard[path], **own, levels=(-1, 0, 1)) / own["alpha"]
    assert set(np.unique(levels)) <= {-1.0, 0.0, 1.0}
