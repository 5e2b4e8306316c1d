"""Makes links that leave `docs/` hold on the site, too.

A page links to `../../configs/gtan.py`, which is right where the repository is read. On
the site each of these files has a page of its own, below `source/`.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?:\.\./)+[^)#\s]+(?=[)#])")
PAGE = """---
search:
  exclude: true
---

# {path}

~~~~~{language}
{text}
~~~~~
"""
LANGUAGES = {".py": "python", ".toml": "toml", ".md": "markdown"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Adds the pages of all files that are linked to."""
  root = Path(config.docs_dir).parent
  linked = {
    path
    for page in files.documentation_pages()
    for path in _outside(page.content_string, page.src_uri, root)
  }
  for path in sorted(linked):
    language = LANGUAGES.get(Path(path).suffix, "text")
    text = (root / path).read_text()
    content = PAGE.format(path=path, language=language, text=text)
    files.append(File.generated(config, _uri(path), content=content))
  return files


def on_page_markdown(
  markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
  """Turns links to files into links to their pages."""
  del files
  uri, root = page.file.src_uri, Path(config.docs_dir).parent
  outside = _outside(markdown, uri, root)
  targets = {
    path: posixpath.relpath(_uri(path), posixpath.dirname(uri)) for path in outside
  }

  def replace(match: re.Match) -> str:
    return targets.get(_path(match[0], uri), match[0])

  return LINK.sub(replace, markdown)


def _outside(markdown: str, uri: str, root: Path) -> Iterator[str]:
  """Yields the paths, from the root of the repository, of files out of `docs/`."""
  for match in LINK.finditer(markdown):
    path = _path(match[0], uri)
    if not path.startswith("docs/") and (root / path).is_file():
      yield path


def _path(link: str, uri: str) -> str:
  return posixpath.normpath(posixpath.join("docs", posixpath.dirname(uri), link))


def _uri(path: str) -> str:
  return f"source/{path}.md"
