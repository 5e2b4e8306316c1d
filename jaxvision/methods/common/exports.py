"""What `--mode=export` writes: StableHLO, safetensors, packed weights, ONNX."""

from pathlib import Path

from jaxvision import config as config_lib
from jaxvision.errors import UserError
from jaxvision.interop import export, onnx, weights
from jaxvision.methods.common import quantized
from jaxvision.train import reports
from jaxvision.train.runner import Plan
from jaxvision.train.stage import State


def write(plan: Plan, now: State, folder: Path) -> None:
  """Writes the exported forms of a trained state, and shows what there is to know.

  Args:
    plan: of the experiment.
    now: state of the last stage.
    folder: is made if need be.

  Raises:
    UserError: the model cannot be exported; see `config.onnx`, too.
  """
  method, variables = plan.method, plan.method.variables(now)
  size = _onnx_size(plan.config.onnx)
  export.write(method.predict, variables, method.inputs, folder)
  path = folder / weights.FILE
  weights.write_safetensors(path, variables, metadata=_origin(plan, now))
  if plan.config.quantize.weights:
    facts = quantized.write_packed(plan.config, variables, folder)
    reports.show(
      f"packed into {facts['bytes']:,} bytes instead of {facts['float_bytes']:,}, the "
      f"quantized weights by a factor of {facts['quantized_compression']:g}"
    )
  if plan.config.onnx:
    path = folder / onnx.FILE
    far = onnx.write(method.predict, variables, method.inputs, path, batch_size=size)
    reports.show(f"onnxruntime's outputs differ by {far:.1e} of the largest value")
  reports.show(f"the exported model is in {folder}")


def _onnx_size(field: str) -> int | None:
  """The size of a batch that `config.onnx` says; None is any."""
  if field in ("", "any"):
    return None
  if not (field.isdecimal() and int(field)):
    raise UserError(f"config.onnx is {field!r}; give the size of a batch, or any.")
  return int(field)


def _origin(plan: Plan, now: State) -> dict[str, str]:
  """Where exported variables come from, for the metadata of their file."""
  return {
    **{name: str(plan.facts[name]) for name in ("method", "variant", "data")},
    "checkpoint": plan.config.eval.checkpoint,
    "step": str(int(now["step"])),
    "fingerprint": config_lib.digest(plan.marks),
  }
