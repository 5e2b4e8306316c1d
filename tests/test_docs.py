"""The documentation: links lead somewhere, config keys exist, nothing stands twice."""

import pathlib
import re
import runpy

import pytest

from jaxvision import config as config_lib

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WRITTEN = [
  page for page in PAGES if page.parent.name != "claims"
]  # those are generated
METHODS = [page for page in PAGES if page.parent.name == "methods"]
# Pages with tables of keys: the method whose config has them.
KEYED = {page: page.stem for page in METHODS} | {
  ROOT / "docs" / name: method
  for name, method in {
    "index.md": "gtan",
    "scaling.md": "gtan",
    "own_data/images.md": "ticnn",
    "own_data/videos.md": "gtan",
    "own_data/skeletons.md": "stigcn",
  }.items()
}
LONG = 14  # words; a shorter passage may say the same by chance


def prose(page):
  """Passages of a page: paragraphs, list items and rows, without code and links."""
  text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
  text = re.sub(r"\]\([^)]*\)", "]", text)
  for passage in re.split(r"\n\s*\n|\n(?=[-|#] ?)", text):
    yield " ".join(passage.split())


def keys(page):
  """Config keys in the first column of the tables of a page that list them.

  Behind `model.anchors`, a short `pooling` stands for `model.pooling`.
  """
  for table in re.findall(r"^\| key \|.*?(?=\n\n)", page.read_text(), re.S | re.M):
    for row in table.splitlines()[2:]:
      parent = ""
      for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
        full = name.lstrip(".") if "." in name.lstrip(".") else f"{parent}{name}"
        parent = f"{full.rpartition('.')[0]}." if "." in full else ""
        yield name, full


def get_config(method):
  return config_lib.flat(runpy.run_path(f"{ROOT}/configs/{method}.py")["get_config"]())


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
  for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
    assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", METHODS, ids=lambda page: page.stem)
def test_method_pages_are_whole(page):
  text = page.read_text()
  for heading in ("Equations", "Config keys", "Measured"):
    assert f"\n## {heading}\n" in text, heading


@pytest.mark.parametrize("page", KEYED, ids=lambda page: page.stem)
def test_keys_exist(page):
  known, found = get_config(KEYED[page]), list(keys(page))
  assert found
  for name, full in found:
    # A short name may also be a key by itself.
    choices = (full.replace("<stage>", "weights"), name)
    there = (key == c or key.startswith(f"{c}.") for c in choices for key in known)
    assert any(there), full


def test_no_page_repeats_another():
  seen = {}
  for page in WRITTEN:
    for passage in prose(page):
      if len(passage.split()) >= LONG:
        assert seen.setdefault(passage, page) == page, passage


def test_every_page_is_listed():
  listed = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text()))
  assert {str(page.relative_to(ROOT / "docs")) for page in WRITTEN} <= listed
