"""A toy protocol, its results, and a run that trains nothing."""

import json
import pathlib
import sys

# `experiments` is not installed.
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from experiments.claims import Arm, Claim, Protocol
from jaxvision import interruption

CONFIG = """
from jaxvision import config as shared
def get_config(variant=""):
  config = shared.base("toy")
  config.data = shared.images()
  config.width = 1.0
  config.model = dict(name="mlp", hidden=(8,))
  variants = {"wide": {"width": 2.0}, "cnn": {"model": {"name": "cnn"}}}
  return shared.finish(config, variant, variants)
"""


def protocol(tmp_path, **changes):
  (tmp_path / "toy.py").write_text(CONFIG)
  fields = dict(
    about="A toy.",
    config=str(tmp_path / "toy.py"),  # absolute, so not below the repository
    arms={"narrow": Arm("", {}), "wide": Arm("wide", {"eval.batch_size": 7})},
    claims=(
      Claim("wide errs less", "wide", "narrow", "error", "lower", "the paper"),
      Claim("wide is surer", "wide", "narrow", "dependence/loss", "lower", "the paper"),
      Claim("by |.5|", "wide", "narrow", "error", "lower", "us", 0.5),
    ),
    metrics={"error": "test error", "dependence/loss": "NLL"},
    seeds=3,
  )
  return Protocol(**{**fields, **changes})


def result(arm, seed, **changes):
  wide = arm == "wide"
  metrics = {
    "error": 0.5 - 0.2 * wide + 0.01 * seed**2 * wide,
    "dependence/loss": 1.0 + seed,
  }
  return {
    "variant": arm, "data": "toy data", "versions": {"jax": "1.0"}, "seed": seed,
    "metrics": metrics, **changes,
  }  # fmt: skip


class FakeRun:
  """Writes what `experiment.run` does, trains nothing, remembers its calls."""

  def __init__(self, fail_at=None):
    self.calls, self.fail_at = [], fail_at

  def __call__(self, config, workdir, mode, *, source=""):
    arm = "wide" if config.width == 2 else "narrow"
    self.calls.append((arm, config.seed))
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(json.dumps(config.to_dict()))
    if len(self.calls) == self.fail_at:
      raise interruption.Interrupted
    (workdir / "results.json").write_text(json.dumps(result(arm, config.seed)))
