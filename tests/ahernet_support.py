"""A tiny AherNet on a few generated windows."""

from configs import ahernet as config_file

TINY = {
  "data.length": 32,
  "data.generated.source": 16,
  "data.generated.target": 16,
  "data.generated.moments": 16,
  "data.generated.val": 4,
  "data.generated.test": 4,
  "data.generated.source_classes": 3,
  "data.generated.target_classes": 2,
  "data.generated.width": 6,
  "data.foreground.least": 1,
  "batch_size": 4,
  "model.base_widths": (4,),
  "model.anchor_widths": (4,),
  "model.ratios": (1.0, 1.5),
  "model.generator_width": 4,
  "model.transfer_depth": 1,
  "suppression.keep": 8,
  "suppression.candidates": 16,
  "steps": 4,
  "warm_start": 2,
  "per_dispatch": 1,
  # Less to compile: one round, and an optimizer with fewer operations than Adam.
  "adversarial.rounds": 1,
  "optimizer.name": "sgd",
  "optimizer.schedule.warmup": 1.0,
  "eval.every": 0,
  "eval.batch_size": 4,
  "log.figures": False,
}


def configure(variant="", **changes):
  config = config_file.get_config(variant)
  for key, value in {**TINY, **changes}.items():
    config.update_from_flattened_dict({key: value})
  return config
