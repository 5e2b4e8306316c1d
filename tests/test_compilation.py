"""The compilation cache is on by default and yields to what the user has set."""

import jax
import pytest

from jaxvision import compilation


@pytest.fixture
def unset():
  before = jax.config.jax_compilation_cache_dir
  seconds = jax.config.jax_persistent_cache_min_compile_time_secs
  jax.config.update("jax_compilation_cache_dir", None)
  yield
  jax.config.update("jax_compilation_cache_dir", before)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


def test_default_is_the_users_cache_folder(unset, monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  compilation.use_cache()
  expected = tmp_path / "jaxvision" / "xla"
  assert jax.config.jax_compilation_cache_dir == str(expected)


def test_a_folder_that_is_set_stays(unset):
  jax.config.update("jax_compilation_cache_dir", "elsewhere")
  compilation.use_cache()
  assert jax.config.jax_compilation_cache_dir == "elsewhere"
