"""Compiles the stages of a method ahead of time, at full scale, without data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxvision.ops import trees
from jaxvision.train import sharding
from jaxvision.train.flops import count_flops
from jaxvision.train.stage import Stage
from jaxvision.typing import PyTree

MIB = 2**20


def plan_stages(
  stages: Sequence[Stage], mesh: Mesh, *, rules: trees.Rules = ()
) -> dict[str, dict[str, Any]]:
  """Returns {stage: facts}; each stage inherits the abstract states before it.

  Args:
    stages: of a method that was built on abstract data.
    mesh: from `sharding.build_mesh`.
    rules: sharding rules by path.
  """
  states: dict[str, PyTree] = {}
  found = {}
  for stage in stages:
    frozen = _placed(stage.frozen(states), lambda _: sharding.replicated(mesh))
    batch = _placed(stage.spec, lambda _: sharding.over_batch(mesh))
    key = jax.random.key(0)
    state = jax.eval_shape(stage.init, key, frozen, batch)
    states[stage.name] = state
    placed = jax.tree.map(_with, state, sharding.of_state(state, mesh, rules))
    compiled = (
      jax.jit(stage.step, donate_argnums=0).lower(placed, frozen, batch, key).compile()
    )
    found[stage.name] = {
      "steps": stage.steps,
      "parameters": _elements(state["params"]),
      "state_mib": round(_bytes(state) / MIB, 1),
      "gflops_per_step": round(
        count_flops(stage.step, state, frozen, batch, key) / 1e9, 3
      ),
      "batch_per_device": jax.tree.leaves(batch)[0].shape[0] // mesh.size,
      "devices": mesh.size,
      **_memory(compiled),
    }
  return found


def _placed(tree: PyTree, sharding_of: Callable[[Any], Any]) -> PyTree:
  return jax.tree.map(lambda x: _with(x, sharding_of(x)), tree)


def _with(x: Any, where: Any) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)


def _elements(tree: PyTree) -> int:
  return int(sum(np.prod(x.shape) for x in jax.tree.leaves(tree)))


def _bytes(tree: PyTree) -> int:
  return int(sum(np.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree)))


def _memory(compiled: Any) -> dict[str, float]:
  """Memory of one device, as the compiling backend reports it; not all do."""
  analysis = compiled.memory_analysis()
  if analysis is None:
    return {}
  return {
    "arguments_mib": round(analysis.argument_size_in_bytes / MIB, 1),
    "temporaries_mib": round(analysis.temp_size_in_bytes / MIB, 1),
  }


def show(plan: Mapping[str, Any], say: Callable[[str], None]) -> None:
  """Prints a plan."""
  for name, facts in plan["stages"].items():
    say(f"stage {name}")
    for key, value in facts.items():
      say(f"  {key.replace('_', ' '):<18} {value:,}")
  say("inserted")
  for line in plan["inserted"] or ["nothing"]:
    say(f"  {line}")
  say("files")
  for line in plan["files"] or ["none"]:
    say(f"  {line}")
