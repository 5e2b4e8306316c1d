"""A report as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.reproduction.report import figure_name, figure_rows
from jaxvision.metrics import verdicts

# Beyond this side of zero a 95 % interval lies once in forty times by chance alone.
ONE_SIDED = 0.025


def render(report: Mapping[str, Any]) -> str:
  """Returns the text of `report.md`."""
  parts = (
    f"# Claims of {report['method']}",
    report["about"],
    f"    {report['command']}",
    *_made_with(report),
    *_incomplete(report["missing"]),
    "## Arms",
    "Mean over seeds, ± half of the 95 % interval (Student's t).",
    _arms(report),
    "## Claims",
    _legend(report["claims"]),
    _claims(report["claims"]),
    *_figures(report),
  )
  return "\n\n".join(parts) + "\n"


def _figures(report: Mapping[str, Any]) -> list[str]:
  names = ((report["metrics"][m], figure_name(m)) for m in figure_rows(report))
  return [f"![Claims on {metric}](figures/{name})" for metric, name in names]


def _made_with(report: Mapping[str, Any]) -> list[str]:
  if not report["data"]:
    return []
  versions = (f"{k} {' and '.join(v)}" for k, v in report["versions"].items())
  return [f"Data: {report['data']}. Versions: {', '.join(versions)}."]


def _incomplete(missing: Mapping[str, Sequence[int]]) -> list[str]:
  """Says which runs are not there: without them, verdicts are preliminary."""
  if not missing:
    return []
  arms = (f"{arm} (seeds {', '.join(map(str, s))})" for arm, s in missing.items())
  return [
    "**Incomplete, and so preliminary.** Not run, or only with another config: "
    f"{'; '.join(arms)}."
  ]


def _arms(report: Mapping[str, Any]) -> str:
  names = report["metrics"]
  rows = [
    (arm, f"`{row['variant']}`", len(row["seeds"]), *_values(row["metrics"], names))
    for arm, row in report["arms"].items()
  ]
  return table(("arm", "variant", "seeds", *names.values()), rows)


def _values(found: Mapping[str, Any], names: Iterable[str]) -> list[str]:
  return [_value(found[name]) if name in found else "" for name in names]


def _value(summary: Mapping[str, Any]) -> str:
  if len(summary["values"]) < 2:  # one value has no interval, not one of width 0
    return f"{summary['mean']:.4f}"
  return f"{summary['mean']:.4f} ± {summary['ci95']:.4f}"


def _legend(claims: Sequence[Mapping[str, Any]]) -> str:
  return (
    "A claim is *shown* if the whole 95 % interval of the paired differences is on the "
    "claimed side of zero (of the margin, if the claim names one), *contradicted* if "
    "all of it is on the other side, and otherwise *not shown*. The intervals are not "
    f"corrected for their number: were no arm different from another, {ONE_SIDED:.1%} "
    f"of the {len(claims)} claims, or {ONE_SIDED * len(claims):.1f}, would be shown, "
    "and as many contradicted, by chance."
  )


def _claims(claims: Sequence[Mapping[str, Any]]) -> str:
  heads = ("claim", "source", "difference", "95 % interval", "seeds", "verdict")
  return table(heads, [_claim(row) for row in claims])


def _claim(row: Mapping[str, Any]) -> tuple[object, ...]:
  verdict = row["verdict"]
  if verdict != verdicts.NOT_SHOWN:
    verdict = f"**{verdict}**"
  found = row["difference"]
  if found is None:
    return row["text"], row["source"], "", "", len(row["seeds"]), verdict
  interval = f"{found['low']:+.4f} to {found['high']:+.4f}"
  mean = f"{found['mean']:+.4f}"
  return row["text"], row["source"], mean, interval, len(row["seeds"]), verdict


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
  """Returns a Markdown table; a bar in a cell is escaped."""
  lines = (heads, ["---"] * len(heads), *rows)
  return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
  return str(value).replace("|", r"\|")
