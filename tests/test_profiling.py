"""Traces of a few steps."""

import jax
import jax.numpy as jnp
import pytest

from jaxvision.train import profiling


@pytest.fixture
def calls(monkeypatch):
  """Records what is asked of `jax.profiler`, and does not do it."""
  seen = []
  monkeypatch.setattr(jax.profiler, "start_trace", lambda path: seen.append("start"))
  monkeypatch.setattr(jax.profiler, "stop_trace", lambda: seen.append("stop"))
  return seen


def run(folder, traced, steps, calls, stride=1):
  with profiling.Profiler(folder, traced) as profiler:
    for step in range(5, 5 + steps, stride):
      profiler.at(step)
      calls.append(step)
  return calls


@pytest.mark.parametrize(
  "traced, steps, stride, expected",
  [
    (0, 3, 1, [5, 6, 7]),
    (2, 5, 1, [5, "start", 6, 7, "stop", 8, 9]),
    (2, 9, 3, [5, "start", 8, "stop", 11]),  # whole dispatches
    (9, 3, 1, [5, "start", 6, 7, "stop"]),  # the run is shorter
    (9, 1, 1, [5]),  # only the step that compiles
  ],
)
def test_the_first_dispatch_is_left_out(
  tmp_path, calls, traced, steps, stride, expected
):
  assert run(tmp_path, traced, steps, calls, stride) == expected


def test_an_error_ends_the_trace(tmp_path, calls):
  with pytest.raises(ZeroDivisionError), profiling.Profiler(tmp_path, 9) as profiler:
    profiler.at(0)
    profiler.at(1)
    raise ZeroDivisionError
  assert calls == ["start", "stop"]


def test_a_trace_appears(tmp_path):
  with profiling.Profiler(tmp_path / "profile", 1) as profiler:
    for step in range(4):
      profiler.at(step)
      jnp.ones(step + 1).sum().block_until_ready()
  assert list((tmp_path / "profile").rglob("*.xplane.pb"))
