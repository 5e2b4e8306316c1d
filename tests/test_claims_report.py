"""The report of a protocol: paired differences, verdicts, Markdown."""

import re

import pytest
from toy_claims import protocol, result

from experiments.reproduction import markdown, page, report
from jaxvision.errors import UserError


class TestReport:
  def build(self, tmp_path, results, **changes):
    return report.build(
      protocol(tmp_path, **changes),
      results,
      range(3),
      method="toy",
      title="Toy (Us, 2000)",
      command="make it",
    )

  def results(self, **seeds):
    seeds = {"narrow": range(3), "wide": range(3), **seeds}
    return {arm: {s: result(arm, s) for s in of_arm} for arm, of_arm in seeds.items()}

  def test_differences_are_paired_over_seeds(self, tmp_path):
    found = self.build(tmp_path, self.results())
    error, loss, margin = found["claims"]
    # By hand: -.2, -.19, -.16; sd .0208167; t(2) = 4.302653.
    assert error["difference"]["mean"] == pytest.approx(-0.55 / 3)
    half = 4.302653 * 0.0208167 / 3**0.5
    assert error["difference"]["high"] == pytest.approx(-0.55 / 3 + half, abs=1e-6)
    assert (error["verdict"], error["seeds"]) == ("shown", [0, 1, 2])
    # Losses differ by seed, not by arm: unpaired they would have a wide interval.
    assert loss["difference"]["low"] == loss["difference"]["high"] == 0
    assert loss["verdict"] == "not shown"
    assert margin["verdict"] == "contradicted"
    assert report.counts(found) == {"shown": 1, "not shown": 1, "contradicted": 1}

  def test_figures_are_by_metric_and_name_margins(self, tmp_path):
    rows = report.figure_rows(self.build(tmp_path, self.results()))
    assert list(rows) == ["error", "dependence/loss"]
    labels = [(row[0], row[-1]) for row in rows["error"]]
    assert labels == [
      ("wide - narrow", "shown"),
      ("wide - narrow, by 0.5", "contradicted"),
    ]
    assert rows["error"][0][4] == pytest.approx((-0.2, -0.19, -0.16))

  def test_only_common_seeds_are_compared(self, tmp_path):
    found = self.build(tmp_path, self.results(narrow=(0, 2), wide=(0, 1, 2)))
    assert found["claims"][0]["seeds"] == [0, 2]
    assert found["claims"][0]["difference"]["values"] == pytest.approx((-0.2, -0.16))
    assert found["missing"] == {"narrow": [1]}
    assert len(found["arms"]["wide"]["metrics"]["error"]["values"]) == 3

  @pytest.mark.parametrize("wide", [(), (0,)])
  def test_fewer_than_two_pairs_are_no_verdict(self, tmp_path, wide):
    found = self.build(tmp_path, self.results(wide=wide))
    assert {row["verdict"] for row in found["claims"]} == {"not run"}
    assert report.figure_rows(found) == {}
    text = markdown.render(found)
    assert "Incomplete" in text and "**not run**" in text
    assert "![" not in text
    assert "± 0.0000" not in text.split("| wide |")[1].split("\n")[0]

  def test_nothing_was_run(self, tmp_path):
    found = self.build(tmp_path, {})
    assert found["data"] == "" and found["missing"] == {
      "narrow": [0, 1, 2],
      "wide": [0, 1, 2],
    }
    assert "# Claims of toy" in markdown.render(found)

  def test_markdown_says_all(self, tmp_path):
    results = self.results()
    results["wide"][2]["versions"] = {"jax": "1.1"}
    text = markdown.render(self.build(tmp_path, results))
    assert "Incomplete" not in text
    assert "    make it\n" in text
    assert "Data: toy data. Versions: jax 1.0 and 1.1." in text
    assert "| narrow | `` | 3 | 0.5000 ± 0.0000 | 2.0000 ± 2.4841 |" in text
    line = "| wide errs less | the paper | -0.1833 | -0.2350 to -0.1316 | 3 |"
    assert f"{line} **shown** |" in text
    assert r"| by \|.5\| | us |" in text
    assert "2.5% of the 3 claims, or 0.1" in text

  def test_page_holds_all_and_needs_nothing(self, tmp_path):
    found = self.build(tmp_path, self.results(narrow=(0, 1)))
    found["about"] = "A <toy>."
    report.write(found, tmp_path)
    text = page.render([found], {"toy": tmp_path})
    assert text.count('src="data:image/png;base64,') == 2
    assert not re.search(r"https?://|<link|<script|url\(|src=\"(?!data:)", text)
    assert "<p>A &lt;toy&gt;.</p>" in text and "<h1>Toy (Us, 2000)</h1>" in text
    assert '<span class="chip contradicted">contradicted</span>' in text
    assert "<strong>Incomplete, and so preliminary.</strong>" in text
    assert "<td>wide errs less</td><td>the paper</td><td>-0.1950</td>" in text
    assert "5 of 6" in text and "make it" in text and "jax 1.0" in text
    assert "prefers-color-scheme: dark" in text

  def test_different_data_are_not_compared(self, tmp_path):
    results = self.results()
    results["wide"][1]["data"] = "digits"
    with pytest.raises(UserError, match="digits and toy data"):
      self.build(tmp_path, results)

  def test_metric_that_runs_lack(self, tmp_path):
    with pytest.raises(UserError, match=r"no metric 'auc'.* they have error, dep"):
      self.build(tmp_path, self.results(), metrics={"auc": "AUC"})
