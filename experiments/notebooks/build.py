"""Makes the .ipynb files from their sources, the percent scripts beside them.

python experiments/notebooks/build.py              # writes them, without outputs
python experiments/notebooks/build.py --check      # exit code 1 if one is not in sync
python experiments/notebooks/build.py --execute    # runs all of them, writes nothing
JAXVISION_NOTEBOOK_FAST=1 python experiments/notebooks/build.py --execute gtan
"""

import argparse
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
TOOLS = ("build", "support")
METADATA = {
  "accelerator": "TPU",  # which runtime Colab starts
  "colab": {"provenance": []},
  "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
  "language_info": {"name": "python"},
}
TIMEOUT = 3600  # seconds a cell may take


def sources() -> dict[str, Path]:
  """Returns {name of a notebook: its script}."""
  return {p.stem: p for p in sorted(FOLDER.glob("*.py")) if p.stem not in TOOLS}


def convert(source: Path) -> nbformat.NotebookNode:
  """Reads a script as a notebook without outputs, the same to the byte every time.

  Args:
    source: a script in jupytext's percent format.
  """
  notebook = jupytext.read(source, fmt="py:percent")
  notebook.metadata = nbformat.from_dict(METADATA)
  notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first one with ids of cells
  for number, cell in enumerate(notebook.cells):
    cell.id, cell.metadata = f"cell-{number:02d}", nbformat.from_dict({})
  nbformat.validate(notebook)
  return notebook


def text(source: Path) -> str:
  """Returns what the .ipynb file of a script holds."""
  return nbformat.writes(convert(source)) + "\n"


def in_sync(source: Path) -> bool:
  """Tells whether the .ipynb file beside a script is what the script makes."""
  target = source.with_suffix(".ipynb")
  return target.is_file() and target.read_text() == text(source)


def execute(source: Path) -> nbformat.NotebookNode:
  """Runs a notebook in a kernel of its own, and returns it with its outputs.

  Args:
    source: the script.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell has failed.
  """
  notebook = convert(source)
  resources = {"metadata": {"path": str(FOLDER)}}  # where the kernel starts, as Jupyter
  NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute()
  return notebook


def main() -> int:
  """Does what the flags say; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
  mode = parser.add_mutually_exclusive_group()
  mode.add_argument("--check", action="store_true", help="tell what is not in sync")
  mode.add_argument("--execute", action="store_true", help="run them, write nothing")
  flags, known = parser.parse_args(), sources()
  if unknown := set(flags.names) - set(known):
    parser.error(f"no notebook {', '.join(unknown)}; there are {', '.join(known)}")
  chosen = [known[name] for name in flags.names or known]
  if flags.check:
    stale = [source.stem for source in chosen if not in_sync(source)]
    print(f"not in sync: {', '.join(stale)}" if stale else "all in sync")
    return bool(stale)
  for source in chosen:
    print(source.stem, flush=True)
    if flags.execute:
      execute(source)
    else:
      source.with_suffix(".ipynb").write_text(text(source))
  return 0


if __name__ == "__main__":
  sys.exit(main())
