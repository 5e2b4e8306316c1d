"""Notebooks: their files are what the sources make, and every cell runs."""

import json
import os
import pathlib
import re

import jupytext
import pytest

from experiments.notebooks import build, support

METHODS = sorted(p.stem for p in (support.ROOT / "configs").glob("*.py"))
NAMES = [*METHODS, "compose"]


def cells(name, kind="code"):
  notebook = jupytext.read(build.sources()[name], fmt="py:percent")
  return [cell.source for cell in notebook.cells if cell.cell_type == kind]


def test_there_is_one_for_each_method_and_an_overview():
  assert set(build.sources()) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_what_the_source_makes(name):
  source = build.sources()[name]
  assert build.in_sync(source), "run: python experiments/notebooks/build.py"
  for cell in json.loads(source.with_suffix(".ipynb").read_text())["cells"]:
    assert not cell.get("outputs") and not cell.get("execution_count")


def test_a_changed_source_or_a_kept_output_is_noticed(tmp_path):
  source = tmp_path / "toy.py"
  source.write_text("# %%\nprint(1)\n")
  assert not build.in_sync(source)
  target = source.with_suffix(".ipynb")
  target.write_text(build.text(source))
  assert build.in_sync(source)
  source.write_text("# %%\nprint(2)\n")
  assert not build.in_sync(source)
  notebook = json.loads(build.text(source))
  notebook["cells"][0]["execution_count"] = 1
  target.write_text(json.dumps(notebook, indent=1) + "\n")
  assert not build.in_sync(source)


@pytest.mark.parametrize("name", NAMES)
def test_begins_alike_and_ends_with_own_data(name):
  assert cells(name)[0] == cells("compose")[0]
  assert "## Your own" in cells(name, "markdown")[-1]
  links = f"../../docs/methods/{name}.md" if name in METHODS else "../../docs/"
  first, last = (cells(name, "markdown")[i] for i in (0, -1))
  assert links in last and (name not in METHODS or links in first)


def test_colab_installs_the_clone_with_the_plugin_at_hand(monkeypatch):
  commands = []
  monkeypatch.setattr(support, "COLAB", True)
  monkeypatch.setattr(support, "PLUGINS", {"jax": "jax[tpu]", "no_such": "jax[x]"})
  monkeypatch.setattr(
    support.subprocess, "run", lambda command, check: commands.append(command)
  )
  support.install()
  ((*_, root, plugin),) = commands
  assert pathlib.Path(root) == support.ROOT and plugin == "jax[tpu]"
  monkeypatch.setattr(support, "COLAB", False)
  support.install()
  assert len(commands) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name, tmp_path, monkeypatch):
  monkeypatch.setenv("JAXVISION_NOTEBOOK_FAST", "1")
  monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the kernel's work directories
  flags = re.sub(r"--xla_force_host\S+", "", os.environ["XLA_FLAGS"])
  monkeypatch.setenv("XLA_FLAGS", flags)  # one device, as Colab's TPU
  notebook = build.execute(build.sources()[name])
  outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
  pictures = [out for out in outputs if "image/png" in out.get("data", {})]
  assert len(pictures) >= 2
