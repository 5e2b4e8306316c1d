"""JAX's persistent compilation cache, on by default in the user's cache folder."""

import os
from pathlib import Path

import jax

WORTH_KEEPING = 0.3  # seconds; compiling something faster costs less than a file


def cache_folder() -> Path:
  """Returns the folder that jaxvision keeps between runs."""
  home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
  return Path(home) / "jaxvision"


def use_cache() -> None:
  """Turns the cache on, unless JAX_COMPILATION_CACHE_DIR or the user did already."""
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)
