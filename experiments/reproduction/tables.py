"""Rows and sentences of a report, for Markdown and HTML alike.

Sentences are marked up as in Markdown: *so*, **so** and `so`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.reproduction import report as reports
from jaxvision.metrics import verdicts

Report = Mapping[str, Any]
# Beyond this side of zero a 95 % interval lies once in forty times by chance alone.
ONE_SIDED = 0.025
ARMS = "Mean over seeds, ± half of the 95 % interval (Student's t)."
RULE = (
  "A claim is *shown* if the whole 95 % interval of the paired differences is on the "
  "claimed side of zero (of the margin, if the claim names one), *contradicted* if "
  "all of it is on the other side, and otherwise *not shown*."
)


class Table(NamedTuple):
  """A table as text: no markup, nothing escaped."""

  heads: tuple[str, ...]
  rows: list[tuple[str, ...]]


def arms(report: Report) -> Table:
  """Returns what each arm reached in each metric."""
  names = report["metrics"]
  rows = []
  for arm, row in report["arms"].items():
    found = row["metrics"]
    values = (_value(found[name]) if name in found else "" for name in names)
    rows.append((arm, row["variant"], str(len(row["seeds"])), *values))
  return Table(("arm", "variant", "seeds", *names.values()), rows)


def _value(summary: Mapping[str, Any]) -> str:
  if len(summary["values"]) < 2:  # one value has no interval, not one of width 0
    return f"{summary['mean']:.4f}"
  return f"{summary['mean']:.4f} ± {summary['ci95']:.4f}"


def claims(report: Report) -> Table:
  """Returns what became of each claim; the verdict comes last."""
  heads = ("claim", "source", "difference", "95 % interval", "seeds", "verdict")
  return Table(heads, [_claim(row) for row in report["claims"]])


def _claim(row: Mapping[str, Any]) -> tuple[str, ...]:
  mean = interval = ""
  if found := row["difference"]:
    mean = f"{found['mean']:+.4f}"
    interval = f"{found['low']:+.4f} to {found['high']:+.4f}"
  seeds = str(len(row["seeds"]))
  return row["text"], row["source"], mean, interval, seeds, row["verdict"]


def by_paper(found: Sequence[Report]) -> Table:
  """Returns how many claims of each paper have each verdict, and of all of them."""
  counts = [reports.counts(report) for report in found]
  columns = [v for v in reports.VERDICTS if v != reports.NOT_RUN or _total(counts, v)]
  rows = [
    (report["title"], runs(report), str(len(report["claims"])), *_cells(count, columns))
    for report, count in zip(found, counts, strict=True)
  ]
  claimed = sum(len(report["claims"]) for report in found)
  total = {verdict: _total(counts, verdict) for verdict in columns}
  rows.append(("all", "", str(claimed), *_cells(total, columns)))
  return Table(("paper", "runs", "claims", *columns), rows)


def _total(counts: Sequence[Mapping[str, int]], verdict: str) -> int:
  return sum(count.get(verdict, 0) for count in counts)


def _cells(counts: Mapping[str, int], columns: Sequence[str]) -> list[str]:
  return [str(counts.get(verdict, 0)) for verdict in columns]


def runs(report: Report) -> str:
  """Says how many runs there are, and of how many if some are missing."""
  finished = sum(len(arm["seeds"]) for arm in report["arms"].values())
  missing = sum(map(len, report["missing"].values()))
  return f"{finished} of {finished + missing}" if missing else str(finished)


def chance(report: Report) -> str:
  """Says how many verdicts chance alone would bring about."""
  count = len(report["claims"])
  return (
    "The intervals are not corrected for their number: were no arm different from "
    f"another, {ONE_SIDED:.1%} of the {count} claims, or {ONE_SIDED * count:.1f}, "
    "would be shown, and as many contradicted, by chance."
  )


def made_with(report: Report) -> str:
  """Says what data and versions the runs had; empty if there are none."""
  if not report["data"]:
    return ""
  versions = (f"{k} {' and '.join(v)}" for k, v in report["versions"].items())
  return f"Data: {report['data']}. Versions: {', '.join(versions)}."


def incomplete(report: Report) -> str:
  """Says which runs are not there: without them, verdicts are preliminary."""
  if not report["missing"]:
    return ""
  absent = report["missing"].items()
  names = (f"{arm} (seeds {', '.join(map(str, seeds))})" for arm, seeds in absent)
  return (
    "**Incomplete, and so preliminary.** Not run, or only with another config: "
    f"{'; '.join(names)}."
  )


def decided(verdict: str) -> bool:
  """Whether a verdict stands out in the tables."""
  return verdict != verdicts.NOT_SHOWN
