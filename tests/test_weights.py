"""Files of weights: what is written is read, what does not fit is refused."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import torch_states
from network_support import KEY, filled, tiny

from jaxvision.errors import UserError
from jaxvision.interop import weights
from jaxvision.interop.torch import import_state_dict


@pytest.fixture(scope="module")
def network():
  """A model, its variables and their shapes."""
  model, x = tiny("cifar_resnet")
  return model, filled(model, x), jax.eval_shape(model.init, KEY, x)


def test_our_own_files_round_trip(network, tmp_path):
  model, variables, spec = network
  path = tmp_path / "deep" / "weights.safetensors"
  weights.write_safetensors(path, variables)
  names = set(weights.read_weights(path))
  assert "params/stage1/block0/conv1/kernel" in names
  assert "batch_stats/norm1/var" in names
  chex.assert_trees_all_equal(weights.load_variables(path, model, spec), variables)
  assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_memory_order_does_not_matter(tmp_path):
  path = tmp_path / "w.safetensors"
  transposed = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
  weights.write_safetensors(path, {"params": {"w": transposed, "s": np.float32(2)}})
  found = weights.read_weights(path)
  np.testing.assert_array_equal(found["params/w"], transposed)
  assert found["params/s"] == 2 and found["params/s"].shape == ()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "bool"])
def test_types_of_numbers_are_kept(tmp_path, dtype):
  path, x = tmp_path / "w.safetensors", jnp.array([0, 1, 1], dtype)
  weights.write_safetensors(path, {"params": {"w": x}})
  found = weights.read_weights(path)["params/w"]
  assert found.dtype == x.dtype and np.array_equal(found, x)


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_files_with_torch_names_are_read(network, tmp_path, kind):
  model, _, spec = network
  state = torch_states.cifar_resnet()
  path = tmp_path / f"model.{kind}"
  if kind == "npz":
    np.savez(path, **state)
  else:
    arrays = {name: np.asarray(value) for name, value in state.items()}
    path.write_bytes(safetensors.numpy.save(arrays))
  found = weights.load_variables(path, model, spec)
  chex.assert_trees_all_equal(found, import_state_dict(model, state))


def test_files_of_torch_are_read(network, tmp_path):
  torch = pytest.importorskip("torch")
  model, _, spec = network
  state = torch_states.cifar_resnet()
  tensors = {name: torch.tensor(value) for name, value in state.items()}
  expected = import_state_dict(model, state)
  for name, content in {
    "a.pth": tensors,
    "b.pt": {"state_dict": tensors, "epoch": 3},
    "c.pth.tar": {"model": {f"module.{n}": t for n, t in tensors.items()}},
  }.items():
    torch.save(content, tmp_path / name)
    found = weights.load_variables(tmp_path / name, model, spec)
    chex.assert_trees_all_equal(found, expected)
  torch.save({"w": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "d.pt")
  assert weights.read_weights(tmp_path / "d.pt")["w"].dtype == np.float32


class Evil:
  """Would write a file when unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


def test_pickles_are_not_executed(tmp_path):
  torch = pytest.importorskip("torch")
  trap = tmp_path / "executed"
  torch.save({"w": Evil(trap)}, tmp_path / "evil.pth")
  np.savez(tmp_path / "evil.npz", w=np.array([Evil(trap)], dtype=object))
  for name, named in {"evil.pth": "more than weights", "evil.npz": "no npz"}.items():
    with pytest.raises(UserError, match=f"{name} .*{named}"):
      weights.read_weights(tmp_path / name)
  assert not trap.exists()


@pytest.mark.parametrize(
  ("name", "content", "named"),
  [
    ("w.safetensors", b"12345678901234", "no whole safetensors file"),
    ("w.safetensors", b"", "no whole safetensors file"),
    ("w.npz", b"PK\x03\x04 cut off", "no npz file of plain arrays"),
    ("w.npz", b"", "no npz file of plain arrays"),
    ("w.h5", b"", "no file of weights; their names end in .safetensors, .npz"),
    ("w.npz", None, "there is no file of weights"),
  ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, named):
  path = tmp_path / name
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(UserError, match=named) as caught:
    weights.read_weights(path)
  assert str(path) in str(caught.value)


def test_a_cut_safetensors_file_is_refused(network, tmp_path):
  path = tmp_path / "w.safetensors"
  weights.write_safetensors(path, network[1])
  path.write_bytes(path.read_bytes()[:-5])
  with pytest.raises(UserError, match="no whole safetensors file"):
    weights.read_weights(path)


def test_a_damaged_file_of_torch_is_refused(tmp_path):
  pytest.importorskip("torch")
  path = tmp_path / "w.pth"
  path.write_bytes(b"no torch")
  with pytest.raises(UserError, match=r"w.pth is damaged"):
    weights.read_weights(path)


def test_a_tensor_alone_is_no_state_dict(tmp_path):
  torch = pytest.importorskip("torch")
  torch.save(torch.ones(2), tmp_path / "w.pth")
  with pytest.raises(UserError, match="holds no state dict"):
    weights.read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
  ("fields", "named"),
  [
    ({"classes": 7}, r"'params/logits/bias' has shape \(10,\), .* has \(7,\)"),
    ({"option": "B"}, "'batch_stats/stage2/block0/shortcut_norm/mean', which"),
    ({"classes": 0}, "it has 'params/logits/bias', for which the network has no place"),
  ],
)
def test_weights_of_another_network_are_refused(network, tmp_path, fields, named):
  path = tmp_path / "w.safetensors"
  weights.write_safetensors(path, network[1])
  model, x = tiny("cifar_resnet", **fields)
  spec = jax.eval_shape(model.init, KEY, x)
  with pytest.raises(UserError, match=named) as caught:
    weights.load_variables(path, model, spec)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize("classes", [0, 7])
def test_modules_can_be_left_to_the_caller(network, tmp_path, classes):
  path = tmp_path / "w.safetensors"
  _, variables, _ = network
  weights.write_safetensors(path, variables)
  model, x = tiny("cifar_resnet", classes=classes)
  spec = jax.eval_shape(model.init, KEY, x)
  found = weights.load_variables(path, model, spec, leave="logits")
  expected = {name: dict(tree) for name, tree in variables.items()}
  del expected["params"]["logits"]
  chex.assert_trees_all_equal(found, expected)


def test_safetensors_files_are_called_so(tmp_path):
  with pytest.raises(UserError, match=r"is to be a \.safetensors"):
    weights.write_safetensors(tmp_path / "w.npz", {"params": {}})
