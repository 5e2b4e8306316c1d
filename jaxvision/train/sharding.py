"""Where arrays live: a mesh from the config, batches over it, parameters by rules."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.ops import trees
from jaxvision.typing import PyTree

SMALLEST_SHARDED = 2**12  # elements; splitting a smaller array costs more than it saves


def build_mesh(config: ConfigDict) -> Mesh:
  """Makes the (data, fsdp) mesh over all devices of all processes.

  Axes are `Auto`: `jax.make_mesh` now defaults to explicit sharding in types, which
  ordinary Linen and optax code does not pass.

  Raises:
    UserError: the axes do not multiply to the number of devices.
  """
  devices = jax.device_count()
  fsdp = config.fsdp
  data = devices // max(fsdp, 1) if config.data == -1 else config.data
  if fsdp < 1 or data < 1 or data * fsdp != devices:
    raise UserError(
      f"config.mesh asks for data={config.data}, fsdp={fsdp}, which does not make "
      f"{devices} devices; set data=-1 and an fsdp that divides them."
    )
  return jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
  """The whole array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
  """The leading axis split over all devices."""
  return NamedSharding(mesh, PartitionSpec(("data", "fsdp")))


def of_state(abstract: PyTree, mesh: Mesh, rules: trees.Rules = ()) -> PyTree:
  """Shardings of a state: rules by path; by default fsdp splits the largest axis.

  Optimizer states and averages end with their parameter's path and have its shape, so
  that a rule such as ".*dense1/kernel" holds for all of them.

  Args:
    abstract: the state, or `jax.ShapeDtypeStruct`s of it.
    mesh: as `build_mesh` makes it.
    rules: (pattern, "replicated" or "fsdp") pairs; the first match decides.
  """

  def sharding(path: str, leaf: Any) -> NamedSharding:
    kind = trees.first_match(rules, path, "fsdp")
    if kind not in ("replicated", "fsdp"):
      raise UserError(
        f"config.mesh.rules says {kind!r} for {path}; choose replicated or fsdp."
      )
    spec = _fsdp_spec(leaf.shape, mesh.shape["fsdp"]) if kind == "fsdp" else ()
    return NamedSharding(mesh, PartitionSpec(*spec))

  return trees.map_with_path(sharding, abstract)


def _fsdp_spec(shape: tuple[int, ...], devices: int) -> tuple[str | None, ...]:
  fits = [i for i, size in enumerate(shape) if size % devices == 0]
  if devices == 1 or not fits or np.prod(shape) < SMALLEST_SHARDED:
    return ()
  largest = max(fits, key=lambda i: shape[i])
  return tuple("fsdp" if i == largest else None for i in range(len(shape)))


def place_batch(batch: PyTree, mesh: Mesh, *, axis: int = 0) -> PyTree:
  """Makes global arrays of this process's rows, split over the batch axis.

  Args:
    batch: numpy arrays: this process's rows.
    mesh: as `build_mesh` makes it.
    axis: the batch axis; 1 for a stack of several batches.

  Raises:
    UserError: the rows do not divide among the devices.
  """
  spec = PartitionSpec(*(None,) * axis, ("data", "fsdp"))
  sharding = NamedSharding(mesh, spec)
  rows = jax.tree.leaves(batch)[0].shape[axis] * jax.process_count()
  if rows % mesh.size:
    raise UserError(
      f"a batch of {rows} does not split over {mesh.size} devices; "
      "set the batch size to a multiple of them."
    )
  if jax.process_count() == 1:
    return jax.device_put(batch, sharding)
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), batch
  )


def place_replicated(tree: PyTree, mesh: Mesh) -> PyTree:
  """Puts what every process holds whole onto every device; typed keys pass too."""
  sharding = replicated(mesh)

  def place(x: object) -> jax.Array:
    if isinstance(x, jax.Array) and x.sharding.is_equivalent_to(sharding, x.ndim):
      return x
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
      return jax.jit(lambda y: y, out_shardings=sharding)(x)
    if jax.process_count() == 1:
      return jax.device_put(x, sharding)
    host = np.asarray(x)
    return jax.make_array_from_callback(host.shape, sharding, lambda i: host[i])

  return jax.tree.map(place, tree)


def mesh_of(tree: PyTree) -> Mesh:
  """Returns the mesh that a placed tree lives on."""
  return jax.tree.leaves(tree)[0].sharding.mesh
