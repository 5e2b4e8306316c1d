"""Copies complete reports to where they are read: Markdown, JSON, one figure each."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reproduction import markdown, tables
from experiments.reproduction import report as reports
from jaxvision import files
from jaxvision.errors import UserError

INDEX = "README.md"
DIGITS = 7  # that are kept of a number: single precision has no more
WIDTH = 160  # of a line of JSON


def publish(methods: Sequence[str], workdir: Path, target: Path) -> list[str]:
  """Publishes what is complete, and the table over all that were ever published.

  The reports are taken as they were written when the runs were made: a later change of
  a config neither alters nor removes them.

  Args:
    methods: whose reports may be there.
    workdir: holds their folders.
    target: takes `METHOD.json`, `METHOD.md`, `METHOD.png` and `README.md`.

  Returns:
    The methods that were published.

  Raises:
    UserError: no report is complete.
  """
  found = {method: _read(workdir / method / "report.json") for method in methods}
  complete = {m: report for m, report in found.items() if report and _complete(report)}
  if not complete:
    raise UserError(f"--publish: {workdir} has no complete report; make one first.")
  for method, report in complete.items():
    _write(rounded(report), workdir / method / "figures", target)
  files.write_text(target / INDEX, index(target))
  return list(complete)


def _read(path: Path) -> Any:
  return json.loads(path.read_text()) if path.is_file() else None


def _complete(report: Mapping[str, Any]) -> bool:
  return bool(report["claims"]) and not report["missing"]


def _write(report: Mapping[str, Any], drawn: Path, target: Path) -> None:
  method, metric = report["method"], reports.figures(report)[0]
  files.write_text(target / f"{method}.json", dump(report) + "\n")
  text = markdown.render(report, figures={metric: f"{method}.png"})
  files.write_text(target / f"{method}.md", text)
  figure = (drawn / reports.figure_name(metric)).read_bytes()
  files.write_bytes(target / f"{method}.png", figure)


def read(target: Path) -> list[dict[str, Any]]:
  """Returns the reports that were published, sorted by method."""
  return [_read(path) for path in sorted(target.glob("*.json"))]


def index(target: Path) -> str:
  """Returns the table over all published reports."""
  found = read(target)
  links = {report["method"]: f"{report['method']}.md" for report in found}
  parts = (
    "# Claims",
    "What the papers claim, put to the test in miniature with paired seeds, and "
    "reported whatever the sign. Beside each page lies its JSON, with the value of "
    "every seed.",
    markdown.by_paper(found, links=links),
    tables.RULE,
    "All of it again, as pages of Markdown and HTML with all figures (a run that is "
    "stopped resumes):",
    "    python experiments/reproduce.py",
  )
  return "\n\n".join(parts) + "\n"


def rounded(value: Any) -> Any:
  """Rounds the numbers of a report."""
  if isinstance(value, Mapping):
    return {key: rounded(item) for key, item in value.items()}
  if isinstance(value, list):
    return [rounded(item) for item in value]
  return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def dump(value: Any, indent: str = "") -> str:
  """Returns JSON in which what fits on a line stands on one."""
  text = json.dumps(value, ensure_ascii=False)
  if len(indent) + len(text) <= WIDTH or not isinstance(value, dict | list):
    return text
  inner = indent + "  "
  if isinstance(value, dict):
    items = [f"{json.dumps(k)}: {dump(item, inner)}" for k, item in value.items()]
  else:
    items = [dump(item, inner) for item in value]
  opening, closing = "{}" if isinstance(value, dict) else "[]"
  lines = ",\n".join(inner + item for item in items)
  return f"{opening}\n{lines}\n{indent}{closing}"
