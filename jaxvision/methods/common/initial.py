"""Where a stage starts: at random, from a file of weights, or from an earlier stage."""

from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from jaxvision.interop import weights
from jaxvision.layers.insertion import Inserted
from jaxvision.train import state
from jaxvision.train.stage import State
from jaxvision.typing import PRNGKey, PyTree

# (states of earlier stages, function that tells the shapes of the variables) -> what of
# the variables is not to be random. Called on the host; `init` gets it in `frozen`.
Start = Callable[[Mapping[str, State], Callable[[], PyTree]], PyTree]


def from_file(
  config: ConfigDict, network: nn.Module, leave: str = "", *, part: str = ""
) -> Start:
  """Reads `config.init_from`, all but `config.init_leave`; nothing if it is "".

  The file is read whenever the stage begins or is restored, so it has to stay.

  Args:
    config: of the experiment.
    network: without what is inserted; a file with torch's names needs to know it.
    leave: pattern of further modules that are not read.
    part: name that the network has in our own file of several.

  Raises:
    UserError: when called; a file that cannot be read or does not fit the network.
  """

  def start(inherited: Mapping[str, State], like: Callable[[], PyTree]) -> PyTree:
    del inherited
    if not config.init_from:
      return {}
    left = "|".join(filter(None, (config.init_leave, leave)))
    plain = Inserted(network, ())
    path = config.init_from
    return weights.load_variables(path, plain, like(), leave=left, part=part)

  return start


def from_stage(name: str) -> Start:
  """Takes the variables that an earlier stage ended with."""
  return lambda inherited, like: state.variables(inherited[name])


def merge(variables: PyTree, start: PyTree) -> PyTree:
  """Returns variables with the values of `start` where it has any.

  What only `start` has is of no use to this network and left out.
  """
  if not isinstance(variables, Mapping):
    return start
  return {
    name: merge(value, start[name]) if name in start else value
    for name, value in variables.items()
  }


def sample(frozen: PyTree, batch: PyTree, count: int, key: PRNGKey) -> PyTree:
  """Row numbers of `count` random resident examples; else the batch itself."""
  if "data" not in frozen:
    return batch
  rows = jax.tree.leaves(frozen["data"])[0].shape[0]
  return jax.random.permutation(key, rows)[: min(count, rows)]
