"""Converts every method to ONNX and compares it with onnxruntime's outputs.

  python -m experiments.checks.onnx_parity --environment=FOLDER [METHOD ...]

Prints a line of JSON a method: for which batches it converts, and the largest
difference of an output over the largest value, or why it does not convert. Ends with
code 1 if a method does worse than `EXPECTED`. jax2onnx needs an older Orbax, so this
runs in an environment of its own, which is made in the folder if there is none; without
--environment it runs in the one at hand.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Suppression is a loop that jax2onnx makes a wrong one of; patches' order needs a
# remainder, which it computes for known shapes only.
NOT_AT_ALL, FIXED, ANY = range(3)
EXPECTED = {
  "ahernet": NOT_AT_ALL,
  "causal_adv": ANY,
  "continuous_dropout": ANY,
  "domain_class_decomposition": ANY,
  "gtan": NOT_AT_ALL,
  "iekd": ANY,
  "patch_reordering": FIXED,
  "quantization_networks": ANY,
  "stigcn": ANY,
  "ticnn": ANY,
}
SIZE = 2  # of a fixed batch
BATCHES = {ANY: "of any size", FIXED: "of a fixed size", NOT_AT_ALL: "none"}


def make(folder: Path) -> Path:
  """Makes the environment if there is none, and returns its interpreter."""
  python = folder / "bin" / "python"
  if not python.is_file():
    venv.create(folder, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[onnx]"]
    subprocess.run(install, check=True)
  return python


def convert(name: str, folder: Path) -> int:
  """Converts one method, prints what came of it, and returns for which batches."""
  from experiments.checks import tiny_methods
  from jaxvision.errors import UserError
  from jaxvision.interop import onnx

  tiny = tiny_methods.build(name)
  own = (tiny.method.predict, tiny.variables, tiny.method.inputs)
  path, found, facts = folder / f"{name}.onnx", NOT_AT_ALL, {}
  for wanted, size in ((ANY, None), (FIXED, SIZE)):
    try:
      facts["difference"] = onnx.write(*own, path, batch_size=size)
    except UserError as error:
      facts[f"why not {BATCHES[wanted]}"] = str(error)
    else:
      found = wanted
      break
  print(json.dumps({"method": name, "batches": BATCHES[found], **facts}), flush=True)
  return found


def main() -> int:
  """Converts all methods, or those that the command line names."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--environment", type=Path, help="folder of the environment")
  parser.add_argument("methods", nargs="*", metavar="METHOD")
  flags = parser.parse_args()
  names = flags.methods or list(EXPECTED)
  if unknown := sorted(set(names) - set(EXPECTED)):
    parser.error(f"there is no method {unknown[0]!r}; choose {', '.join(EXPECTED)}")
  if flags.environment:
    command = [make(flags.environment), "-m", "experiments.checks.onnx_parity"]
    return subprocess.run([*command, *names], cwd=ROOT).returncode
  with tempfile.TemporaryDirectory() as folder:
    worse = [n for n in names if convert(n, Path(folder)) < EXPECTED[n]]
  if worse:
    print(f"converted before, but not now: {', '.join(worse)}", file=sys.stderr)
  return int(bool(worse))


if __name__ == "__main__":
  sys.exit(main())
