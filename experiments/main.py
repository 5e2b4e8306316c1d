"""Trains, evaluates, predicts, plans or exports one experiment.

python experiments/main.py --config=configs/continuous_dropout.py --workdir=runs/cd
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone, uninstalled

from jaxvision import cli

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "File with get_config, and a variant: configs/gtan.py:paper."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of checkpoints and results.")
_MODE = flags.DEFINE_enum("mode", "train", cli.MODES, "What to do.")
_DISTRIBUTED = flags.DEFINE_string(
  "distributed", "", "auto on a cluster that JAX knows, or HOST:PORT,COUNT,ID."
)
_INPUTS = flags.DEFINE_list("inputs", [], "predict: files or folders to read.")


def main(argv: Sequence[str]) -> int:
  """Runs what the flags say; returns the exit code."""
  return cli.guarded(
    argv,
    config=_CONFIG,
    workdir=_WORKDIR.value,
    mode=_MODE.value,
    inputs=_INPUTS.value,
    distributed=_DISTRIBUTED.value,
  )


if __name__ == "__main__":
  app.run(main, flags_parser=cli.parse_flags)
