"""The report of a protocol: values, differences, verdicts; pure but for `write`."""

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.claims import Claim, Protocol
from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.metrics import intervals, verdicts

Results = Mapping[str, Mapping[int, Mapping[str, Any]]]  # arm: {seed: results.json}
NOT_RUN = "not run"
VERDICTS = (verdicts.SHOWN, verdicts.NOT_SHOWN, verdicts.CONTRADICTED, NOT_RUN)


def build(
  protocol: Protocol,
  results: Results,
  seeds: Sequence[int],
  *,
  method: str,
  title: str,
  command: str,
) -> dict[str, Any]:
  """Puts together what `report.json` holds.

  Args:
    protocol: of the method.
    results: of the runs that are finished.
    seeds: those asked for.
    method: its name.
    title: of the paper.
    command: that makes the report.

  Raises:
    UserError: the runs used different data, all lack a metric of the protocol, or one
      lacks that of a claim on it.
  """
  results = {arm: results.get(arm, {}) for arm in protocol.arms}
  _check_metrics(protocol, results)
  absent = {arm: [s for s in seeds if s not in results[arm]] for arm in protocol.arms}
  return {
    "method": method,
    "title": title,
    "about": protocol.about,
    "command": command,
    "config": protocol.config,
    "data": _data(results),
    "seeds": list(seeds),
    "versions": _versions(results),
    "metrics": dict(protocol.metrics),
    "missing": {arm: seeds for arm, seeds in absent.items() if seeds},
    "arms": {arm: _arm(protocol, arm, results[arm]) for arm in protocol.arms},
    "claims": [judge(claim, results) for claim in protocol.claims],
  }


def judge(claim: Claim, results: Results) -> dict[str, Any]:
  """Compares the two arms of a claim over the seeds that both have finished.

  Returns:
    The claim's fields, "seeds", "difference" (mean, low, high, values; None if fewer
    than two seeds are there) and "verdict".
  """
  arm, against = results[claim.arm], results[claim.against]
  seeds = sorted(arm.keys() & against.keys())
  row = {**claim._asdict(), "seeds": seeds, "difference": None, "verdict": NOT_RUN}
  if len(seeds) < 2:
    return row
  difference = intervals.paired_difference(
    [_metric(arm[s], claim.metric) for s in seeds],
    [_metric(against[s], claim.metric) for s in seeds],
  )
  found = verdicts.verdict(difference, claim.direction, by=claim.by)
  return {**row, "difference": difference._asdict(), "verdict": found}


def counts(report: Mapping[str, Any]) -> dict[str, int]:
  """Returns how many claims have each verdict."""
  found = collections.Counter(row["verdict"] for row in report["claims"])
  return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def figure_rows(report: Mapping[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
  """Returns {metric: rows of (label, mean, low, high, values, verdict)}.

  Only claims that were put to the test have a row. Metrics differ in unit and size, and
  so do not share an axis.
  """
  rows = collections.defaultdict(list)
  for row in report["claims"]:
    if found := row["difference"]:
      margin = f", by {row['by']:g}" if row["by"] else ""
      label = f"{row['arm']} - {row['against']}{margin}"
      numbers = (found[key] for key in ("mean", "low", "high", "values"))
      rows[row["metric"]].append((label, *numbers, row["verdict"]))
  return dict(rows)


def figures(report: Mapping[str, Any]) -> list[str]:
  """Returns the metrics that have a figure, that of the first claim first."""
  return list(figure_rows(report))


def figure_name(metric: str) -> str:
  """Returns the file, below `figures/`, of the claims on a metric."""
  return f"claims_{metric.replace('/', '_')}.png"


def _arm(
  protocol: Protocol, name: str, runs: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
  arm, seeds = protocol.arms[name], sorted(runs)
  has = [m for m in protocol.metrics if any(m in runs[s]["metrics"] for s in seeds)]
  values = {m: [_metric(runs[s], m) for s in seeds] for m in has}
  return {
    "variant": arm.variant,
    "overrides": dict(arm.overrides),
    "seeds": seeds,
    "metrics": {m: intervals.summary(v) for m, v in values.items() if v},
  }


def _check_metrics(protocol: Protocol, results: Results) -> None:
  """Arms of one setting may lack a metric of another's, but not all arms."""
  runs = [run for found in results.values() for run in found.values()]
  for name in protocol.metrics if runs else ():
    if not any(name in run["metrics"] for run in runs):
      _metric(runs[0], name)


def _metric(result: Mapping[str, Any], name: str) -> float:
  if name not in result["metrics"]:
    raise UserError(
      f"the results of {result['variant']} have no metric {name!r}, which the claims "
      f"ask for; they have {', '.join(result['metrics'])}."
    )
  return result["metrics"][name]


def _data(results: Results) -> str:
  names = sorted({r["data"] for runs in results.values() for r in runs.values()})
  if len(names) > 1:
    raise UserError(
      f"the runs used different data, {' and '.join(names)}, and cannot be compared; "
      "give another --workdir, or name one data set in the claims file."
    )
  return "".join(names)


def _versions(results: Results) -> dict[str, list[str]]:
  """All versions that the runs were made with: one each, if nobody upgraded."""
  found = collections.defaultdict(set)
  for runs in results.values():
    for result in runs.values():
      for package, version in result["versions"].items():
        found[package].add(version)
  return {package: sorted(versions) for package, versions in found.items()}


def write(report: Mapping[str, Any], folder: Path) -> None:
  """Writes `report.json`, and a figure for every metric with claims."""
  from jaxvision.viz import comparison  # Matplotlib is slow to import

  files.write_json(folder / "report.json", report)
  for metric, rows in figure_rows(report).items():
    xlabel = f"difference in {report['metrics'][metric]}"
    path = folder / "figures" / figure_name(metric)
    comparison.draw_comparison(rows, path, xlabel=xlabel)
