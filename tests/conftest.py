"""Shared set-up: fake devices, run-time shape checks, one compilation cache."""

import os
import tempfile

flags = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=4"
os.environ["JAX_PLATFORMS"] = "cpu"
CACHE = os.path.join(tempfile.gettempdir(), f"jaxvision-test-cache-{os.getuid()}")
os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE
# Tiny programs cost more to compile than to run; optimized, tests take twice as long.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

from jaxtyping import install_import_hook  # noqa: E402

# Before the package is imported: beartype checks every annotated shape and type.
install_import_hook("jaxvision", "typechecking.checked")

import pathlib  # noqa: E402

import jax  # noqa: E402
import jaxtyping  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


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
