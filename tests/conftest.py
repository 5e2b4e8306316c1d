"""Shared set-up: fake devices, run-time shape checks, one compilation cache."""

import os
import tempfile

flags = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=4"
os.environ["JAX_PLATFORMS"] = "cpu"
CACHE = os.path.join(tempfile.gettempdir(), f"jaxvision-test-cache-{os.getuid()}")
os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
# Tiny programs cost more to compile than to run; optimized, tests take twice as long.
QUICK = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1"
# The older code generator, in one piece, halves that again.
QUICK_FLAGS = (
  " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)

from jaxtyping import install_import_hook  # noqa: E402

# Before the package is imported: beartype checks every annotated shape and type.
install_import_hook("jaxvision", "typechecking.checked")

import pathlib  # noqa: E402

import jax  # noqa: E402
import jaxtyping  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# XLA exits at a flag that it does not know: not for releases that were never tried.
if QUICK and jax.__version_info__ < (0, 11):
  os.environ["XLA_FLAGS"] += QUICK_FLAGS  # read when the first array is made


@pytest.fixture(scope="session")
def golden():
  """`golden("dropout")` loads tests/golden/dropout.npz, outputs of authors' code."""
  folder = pathlib.Path(__file__).parent / "golden"
  return lambda name: np.load(folder / f"{name}.npz", allow_pickle=False)


@pytest.fixture
def unchecked():
  """Turns jaxtyping off, which does not understand symbolic batch sizes."""
  jaxtyping.config.update("jaxtyping_disable", True)
  yield
  jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
  """Frees what a file compiled: a worker would end with gigabytes of it."""
  yield
  jax.clear_caches()
