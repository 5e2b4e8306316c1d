"""Reports as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.reproduction import report as reports
from experiments.reproduction import tables


def render(
  report: Mapping[str, Any], *, figures: Mapping[str, str] | None = None, level: int = 1
) -> str:
  """Returns the report of one paper.

  Args:
    report: of `report.build`.
    figures: {metric: path from the file}; by default those that `report.write` draws.
    level: of the heading.
  """
  if figures is None:
    figures = {m: f"figures/{reports.figure_name(m)}" for m in reports.figures(report)}
  title = "#" * level
  parts = (
    f"{title} Claims of {report['method']}",
    report["about"],
    f"    {report['command']}",
    tables.made_with(report),
    tables.incomplete(report),
    f"{title}# Arms",
    tables.ARMS,
    _arms(report),
    f"{title}# Claims",
    f"{tables.RULE} {tables.chance(report)}",
    _claims(report),
    *(f"![Claims on {report['metrics'][m]}]({path})" for m, path in figures.items()),
  )
  return "\n\n".join(filter(None, parts)) + "\n"


def render_all(found: Sequence[Mapping[str, Any]]) -> str:
  """Returns one report of several papers, whose folders lie beside it."""
  parts = [f"# Claims of {len(found)} papers", tables.RULE, by_paper(found)]
  for report in found:
    folder = f"{report['method']}/figures"
    names = {m: f"{folder}/{reports.figure_name(m)}" for m in reports.figures(report)}
    parts.append(render(report, figures=names, level=2).rstrip())
  return "\n\n".join(parts) + "\n"


def by_paper(
  found: Sequence[Mapping[str, Any]], *, links: Mapping[str, str] | None = None
) -> str:
  """Returns the table of verdicts by paper.

  Args:
    found: reports.
    links: {method: path of the page that its title links to}.
  """
  heads, rows = tables.by_paper(found)
  titles = [row[0] for row in rows]
  for i, report in enumerate(found):
    if links:
      titles[i] = f"[{titles[i]}]({links[report['method']]})"
  return table(heads, [(t, *row[1:]) for t, row in zip(titles, rows, strict=True)])


def _arms(report: Mapping[str, Any]) -> str:
  heads, rows = tables.arms(report)
  return table(heads, [(arm, f"`{v}`", *rest) for arm, v, *rest in rows])


def _claims(report: Mapping[str, Any]) -> str:
  heads, rows = tables.claims(report)
  return table(heads, [(*rest, _verdict(verdict)) for *rest, verdict in rows])


def _verdict(verdict: str) -> str:
  return f"**{verdict}**" if tables.decided(verdict) else verdict


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """Returns a Markdown table; a bar in a cell is escaped."""
  lines = (heads, ["---"] * len(heads), *rows)
  return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: str) -> str:
  return value.replace("|", r"\|")
