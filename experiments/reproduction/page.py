"""Reports as one HTML page that needs no other file."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reproduction import report as reports
from experiments.reproduction import tables

STYLE = Path(__file__).with_name("page.css")
# Names of the style's classes.
CLASSES = {v: v.replace(" ", "-") for v in reports.VERDICTS}


def render(found: Sequence[Mapping[str, Any]], folders: Mapping[str, Path]) -> str:
  """Returns the page of one paper or of several.

  Args:
    found: reports.
    folders: {method: where its figures are}.
  """
  title = found[0]["title"] if len(found) == 1 else f"Claims of {len(found)} papers"
  sections = "\n".join(_paper(report, folders[report["method"]]) for report in found)
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>
{STYLE.read_text()}</style>
</head>
<body>
<header>
<h1>{html.escape(title)}</h1>
<p>{inline(tables.RULE)}</p>
</header>
<main>
{_summary(found)}
{sections}
</main>
</body>
</html>
"""


def _summary(found: Sequence[Mapping[str, Any]]) -> str:
  """The table of verdicts by paper, each with a bar of their shares."""
  heads, rows = tables.by_paper(found)
  lines = [_row([*_text(heads), ""], "th")]
  for report, (title, *rest) in zip(found, _texts(rows), strict=False):
    link = f'<a href="#{report["method"]}">{title}</a>'
    lines.append(_row([link, *rest, _bar(reports.counts(report))]))
  if len(found) > 1:
    total = _row([*_text(rows[-1]), ""])
    lines.append(total.replace("<tr>", '<tr class="total">'))
  return _table(lines, "numbers summary")


def _bar(counts: Mapping[str, int]) -> str:
  parts = "".join(
    f'<i class="{CLASSES[verdict]}" style="flex:{count}" title="{count} {verdict}"></i>'
    for verdict, count in counts.items()
  )
  return f'<span class="bar">{parts}</span>'


def _paper(report: Mapping[str, Any], folder: Path) -> str:
  heads, rows = tables.claims(report)
  judged = [_row([*_text(rest), _chip(verdict)]) for *rest, verdict in rows]
  warning = tables.incomplete(report)
  parts = (
    f'<section id="{report["method"]}">',
    f"<h2>{html.escape(report['title'])}</h2>",
    f'<p class="warning">{inline(warning)}</p>' if warning else "",
    f"<p>{inline(report['about'])}</p>",
    f"<pre><code>{html.escape(report['command'])}</code></pre>",
    f'<p class="made">{inline(tables.made_with(report))}</p>',
    "<h3>Claims</h3>",
    f"<p>{inline(tables.chance(report))}</p>",
    _table([_row(_text(heads), "th"), *judged], "claims"),
    _figures(report, folder),
    f"<h3>Arms</h3>\n<p>{inline(tables.ARMS)}</p>",
    _arms(report),
    "</section>",
  )
  return "\n".join(filter(None, parts))


def _arms(report: Mapping[str, Any]) -> str:
  heads, rows = tables.arms(report)
  lines = [
    _row([arm, f"<code>{variant}</code>", *rest])
    for arm, variant, *rest in _texts(rows)
  ]
  return _table([_row(_text(heads), "th"), *lines], "numbers")


def _figures(report: Mapping[str, Any], folder: Path) -> str:
  return "\n".join(
    f'<figure><img alt="Intervals of the claims on {html.escape(heading)}" '
    f'src="{data_uri(folder / "figures" / reports.figure_name(metric))}"></figure>'
    for metric in reports.figures(report)
    for heading in [report["metrics"][metric]]
  )


def data_uri(path: Path) -> str:
  """Returns a PNG as an address that holds all of it."""
  return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _chip(verdict: str) -> str:
  return f'<span class="chip {CLASSES[verdict]}">{html.escape(verdict)}</span>'


def _text(cells: Sequence[str]) -> list[str]:
  return [html.escape(cell) for cell in cells]


def _texts(rows: Sequence[Sequence[str]]) -> list[list[str]]:
  return [_text(row) for row in rows]


def _row(cells: Sequence[str], tag: str = "td") -> str:
  """A row of cells that are HTML."""
  return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _table(lines: Sequence[str], kind: str) -> str:
  return (
    f'<div class="scroll"><table class="{kind}">\n<thead>{lines[0]}</thead>\n<tbody>\n'
    + "\n".join(lines[1:])
    + "\n</tbody>\n</table></div>"
  )


def inline(text: str) -> str:
  """Returns a sentence with *this*, **this** and `this` as HTML."""
  text = html.escape(text)
  for mark, tag in ((r"\*\*", "strong"), (r"\*", "em"), ("`", "code")):
    text = re.sub(f"{mark}(.+?){mark}", rf"<{tag}>\1</{tag}>", text)
  return text
