"""What the notebooks share: installing on Colab, devices, folders, pictures.

Before `install` has run, only the standard library is there.
"""

import collections
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from ml_collections import ConfigDict

ROOT = Path(__file__).resolve().parents[2]
COLAB = "google.colab" in sys.modules
# A few steps on tiny data: how the tests execute the notebooks.
FAST = os.environ.get("JAXVISION_NOTEBOOK_FAST") == "1"
# {module of an accelerator's plugin: the extra of jax that it belongs to}
PLUGINS = {
  "libtpu": "jax[tpu]",
  "jax_cuda12_plugin": "jax[cuda12]",
  "jax_cuda13_plugin": "jax[cuda13]",
}


def install() -> None:
  """Installs jaxvision on Colab, and elsewhere nothing.

  If pip replaces jax, it replaces the plugin of the accelerator at hand with it.
  """
  if COLAB:
    found = [name for name in PLUGINS if importlib.util.find_spec(name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", str(ROOT)]
    subprocess.run([*pip, *(PLUGINS[name] for name in found)], check=True)
    importlib.invalidate_caches()


def show_devices() -> None:
  """Prints what JAX computes on, and on Colab how to get a TPU if that is none."""
  import jax

  kinds = collections.Counter(device.device_kind for device in jax.devices())
  found = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
  print(f"jax {jax.__version__} on {jax.default_backend()}: {found}")
  if COLAB and jax.default_backend() == "cpu":
    print("For a TPU: Runtime > Change runtime type > TPU, then run all cells again.")


def fit_devices(config: "ConfigDict") -> None:
  """Raises the batch size to a multiple of the devices that share a batch.

  Args:
    config: of an experiment with a `batch_size`; changed in place.
  """
  import jax

  config.batch_size += -config.batch_size % jax.device_count()


def folder(name: str) -> Path:
  """Returns the work directory of a run, where running the cell again resumes.

  Args:
    name: of the notebook, or of one of its runs.
  """
  return (Path(tempfile.mkdtemp()) if FAST else ROOT / "runs/notebooks") / name


def show(*paths: Path) -> None:
  """Shows pictures below the cell, PNG or GIF.

  Args:
    paths: files, or folders, whose pictures are shown in the order of their names.
  """
  from IPython.display import Image, display

  for path in paths:
    for picture in [path] if path.suffix else sorted(path.glob("*.[pg][ni][gf]")):
      display(Image(filename=str(picture), format=picture.suffix[1:]))
