"""The config fields that all methods share, and what of a config shapes training.

A config file (`configs/<method>.py`) starts from `base`, adds the method's own numbers
and ends with `finish`, which applies the variant and locks the result.
"""

import hashlib
import json
from collections.abc import Mapping

from ml_collections import ConfigDict

from jaxvision.data import images as image_sets
from jaxvision.data import partial_defaults as partial_sets
from jaxvision.data import reid_defaults as reid_sets
from jaxvision.data import skeleton_defaults as skeleton_sets
from jaxvision.data import temporal_defaults as temporal_sets
from jaxvision.errors import UserError

SCHEDULE = {
  "name": "constant",  # constant, step, multistep, cosine, linear
  "unit": "epochs",  # of warmup, every, boundaries: epochs, steps, run (the whole)
  "warmup": 0.0,  # the rate rises linearly from 0 over this long
  "every": 1.0,  # step: multiply by `factor` once in this long
  "boundaries": (),  # multistep: multiply by `factor` at each of these
  "factor": 0.1,
  "final": 0.0,  # cosine, linear: the last rate as a fraction of the first
}
OPTIMIZER = {
  "name": "sgd",  # sgd, adam, adamw
  "learning_rate": 0.1,
  "momentum": 0.9,  # sgd
  "nesterov": False,
  "dampened": False,  # sgd: v <- m v + (1 - m) g, as Hinton et al. (2012)
  "momentum_start": -1.0,  # sgd: if >= 0, momentum rises from here linearly ...
  "momentum_epochs": 0.0,  # ... over this long
  "b1": 0.9,
  "b2": 0.999,
  "eps": 1e-8,
  "weight_decay": 0.0,  # sgd, adam: added to the gradient; adamw: decoupled
  "decay": ((".*kernel", True),),  # (path pattern, decayed or not); first match rules
  "groups": (),  # (path pattern, {field of these: value}); first match rules
  "freeze": (),  # path patterns of parameters that never change
  "clip_norm": 0.0,  # global norm of all gradients; 0 is off
  "max_norm": 0.0,  # squared norm of a unit's incoming weights; 0 is off
  "accumulate": 1,  # micro-batches per optimizer step
  "schedule": SCHEDULE,
}
# Quantized weights and activations of any supervised network; see methods.common.
QUANTIZE = {
  # {"at": path pattern, "quantizer": of ops.quantizers, or "none" to spare what
  # matches, "levels": of ops.quantization.LEVELS, options}; the first match decides.
  "weights": (),
  # The same behind places, as in `insert`; every entry inserts.
  "activations": (),
  # Where an entry is silent: its quantizer, and options if its quantizer has them.
  "quantizer": "quantization_networks",
  "options": {"method": "paper", "backward": "exact", "learn_biases": False},
  "shared": False,  # one quantizer for all weights of an entry
  "rate": 5.0,  # temperature: rate * epoch, from 1
  "constant": False,  # the temperature is `rate` throughout
  "start": 0.0,  # epochs that the temperature has behind it
  "cap": 2000.0,  # of the weights' temperature
  "examples": 1000,  # that activation quantizers are fitted to
  "integers": False,  # int8 arithmetic at inference, where it is possible and a gain
}
# Attacks on a trained classifier of images, see methods.common.robust_attacks: `eval`
# runs them, and `train` in its end. 0 stands for an attack's own number.
ATTACK = {
  # fgsm, pgd, apgd, fab, square, autoattack, or several with commas; "" is none
  "name": "",
  "eps": 8 / 255,  # largest change of a value in [0, 1]
  "loss": "ce",  # pgd: ce, cw, dlr, trades; apgd: ce, dlr, cw
  "steps": 0,  # pgd 20; apgd, fab 100
  "step_size": 0.0,  # pgd: eps / 10
  "restarts": 1,  # pgd
  "queries": 0,  # square 5000
  "examples": 1000,  # the first ones of the split; 0 is all
  "curve": "pgd",  # attack of the curve over radii; "" draws none
  "radii": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0),  # of the curve, in multiples of eps
}
# Retrieval with a classifier's features, see methods.common.retrieval.
RETRIEVAL = {
  "source": "test",  # images in poses of `distortion`, ukbench:FOLDER, holidays:FOLDER
  "at": "relu_dense",  # place of the descriptors
  "pooling": "average",
  "distortion": "unseen_pose/rst",
  "instances": 500,
}
# ImageNet: the shorter side becomes 256 pixels; a square of 224 is cut out, flipped or
# not. Pixels are those that published weights were trained on.
IMAGENET = {
  "data.name": "imagenet2012",
  "data.size": 256,
  "data.fit": "crop",
  "data.augment.crop": 224,
  "data.augment.flip": True,
  "data.limit": 0,
}
IMAGENET_PIXELS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SHARED = {
  "method": "",
  "variant": "",
  "seed": 0,  # of parameters, order of data, every random draw
  "seeds": 1,  # runs: seed, seed + 1, ...
  "dtype": "float32",  # of the computation: float32 or bfloat16; state stays float32
  "per_dispatch": 1,  # steps in one call of the compiled program
  "inherit": "last",  # what the next stage takes of the one before: last or best
  "init_from": "",  # file of the network's weights to start from; "" is at random
  "init_leave": "",  # pattern of its modules that start at random all the same
  "insert": (),  # {"at": path pattern, "kind": ..., its fields}: layers.transforms
  "quantize": QUANTIZE,
  "optimizer": OPTIMIZER,
  "ema": {"decay": 0.0},  # of parameters and batch statistics; 0 is off
  "mesh": {
    "data": -1,  # devices that split the batch only; -1 is all that are left
    "fsdp": 1,  # devices that split the batch and the parameters too
    "rules": (),  # (path pattern, "replicated" or "fsdp"), before the default, fsdp
  },
  "checkpoint": {
    "every": 1000,  # steps between two, beside those at evaluations; 0 is at the end
    "keep": 2,  # latest ones kept, beside the best
  },
  "eval": {
    "every": 1000,  # steps between two evaluations on the validation split
    "batch_size": 500,
    "checkpoint": "last",  # eval, predict, export: last or best
    "split": "test",  # --mode=eval
  },
  "attack": ATTACK,
  "log": {
    "every": 100,  # steps between two lines of training logs
    "tensorboard": False,  # needs pip install "jaxvision[tb]"
    "profile_steps": 0,  # traced by jax.profiler into DIR/profile
    "figures": True,
  },
}
# Keys that may change between two runs over one work directory.
NOT_TRAINING = (
  "variant", "seeds", "per_dispatch", "mesh", "checkpoint", "eval", "log", "attack",
  "data.folder", "data.distort.test", "data.resident_bytes", "data.targets",
  "data.splits", "data.features", "data.annotations", "data.target.features",
  "data.target.annotations", "data.moments.features", "data.moments.annotations",
  "suppression", "metric", "retrieval", "robust", "robustness", "quantize.integers",
)  # fmt: skip


def base(method: str) -> ConfigDict:
  """Returns the shared fields, unlocked, for a config file to add its own to."""
  config = ConfigDict(SHARED)
  config.method = method
  return config


def images(**fields: object) -> ConfigDict:
  """Returns the fields of an image data set, some of them changed."""
  config = ConfigDict(image_sets.DEFAULTS)
  config.update(fields)
  return config


def actions(**fields: object) -> ConfigDict:
  """Returns the fields of a data set of actions in time, some of them changed."""
  config = ConfigDict(temporal_sets.DEFAULTS)
  config.update(fields)
  return config


def partial_actions(**fields: object) -> ConfigDict:
  """Returns the fields of actions of which some classes have trimmed clips only."""
  config = actions()
  with config.ignore_type():
    config.update(partial_sets.PARTIAL)
  del config.frames
  config.generated = ConfigDict(partial_sets.PARTIAL["generated"])
  config.update(fields)
  return config


def skeletons(**fields: object) -> ConfigDict:
  """Returns the fields of a data set of skeletons, some of them changed."""
  config = ConfigDict(skeleton_sets.DEFAULTS)
  config.update(fields)
  return config


def people(**fields: object) -> ConfigDict:
  """Returns the fields of data for re-identification, some of them changed."""
  config = ConfigDict(reid_sets.DEFAULTS)
  config.update(fields)
  return config


def finish(
  config: ConfigDict, variant: str, variants: Mapping[str, Mapping[str, object]]
) -> ConfigDict:
  """Applies variants, "a" or "a,b" in this order, and locks the config.

  Args:
    config: from `base`, with the method's own fields.
    variant: what stands behind the colon of `--config=FILE:VARIANT`.
    variants: {name: {"dotted.key": value}}.

  Raises:
    UserError: no such variant.
  """
  for name in filter(None, variant.split(",")):
    if name not in variants:
      raise UserError(
        f"{config.method} has no variant {name!r}; it has {', '.join(variants)}."
      )
    for key, value in variants[name].items():
      _set(config, key, value)
  config.variant = variant
  return config.lock()


def _set(config: ConfigDict, key: str, value: object) -> None:
  """Sets an existing dotted key; a mapping replaces all below it."""
  parent, _, last = key.rpartition(".")
  for name in filter(None, parent.split(".")):
    config = config.get(name, {})
  if last not in config:
    raise UserError(f"a variant sets config.{key}, which the config lacks.")
  with config.ignore_type():  # a variant may give a number where the default has a pair
    config[last] = ConfigDict(value) if isinstance(value, Mapping) else value


def flat(config: ConfigDict) -> dict[str, object]:
  """Returns {"dotted.key": value} of all leaves."""
  leaves = {}
  for key, value in config.items():
    if isinstance(value, ConfigDict):
      leaves.update({f"{key}.{k}": v for k, v in flat(value).items()})
    else:
      leaves[key] = value
  return leaves


def fingerprint(config: ConfigDict, **facts: object) -> dict[str, str]:
  """Returns {key: value} of all that shapes training; a checkpoint carries it.

  Args:
    config: of the run.
    **facts: what else shapes training, such as the name of the data set found.
  """
  shaping = {
    f"config.{key}": value
    for key, value in flat(config).items()
    if not any(key == k or key.startswith(f"{k}.") for k in NOT_TRAINING)
  }
  return {key: json.dumps(v, default=str) for key, v in {**shaping, **facts}.items()}


def digest(marks: Mapping[str, str]) -> str:
  """Returns twelve hex digits of a fingerprint."""
  text = json.dumps(dict(marks), sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:12]
