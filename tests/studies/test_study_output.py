"""The table of a study in every format says the same."""

from __future__ import annotations

import csv
import re
import shutil
import statistics
from html.parser import HTMLParser
from pathlib import Path

import pytest
from calling import study
from logged import Logged
from scipy import stats

from ltr.studies.cell import Cell
from ltr.studies.job import Entry, Setting
from ltr.studies.output import changes
from ltr.studies.render import escape
from ltr.studies.table import Section, provenance

STUDY = """
# Two methods & 50 % of <nothing>.
seeds: [0, 1, 2]
data:
  if100: --data.imbalance 100
  if10: --data.imbalance 10
runs:
  ce: {title: CE, fit: --config ce.yaml, reported: 38.3}
  gml: {title: "CE + GML_1 <b>", fit: "--config gml.yaml --model.backbone.checkpoint {ce}"}
"""
HOME = Path("checkpoints/mine")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a study once; return the folder it was run in."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("mine.yaml").write_text(STUDY.lstrip())
        study(["mine.yaml"], Logged(folder))
    return folder


@pytest.fixture
def written(made: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Go to the folder of the study; return the rows of its CSV file."""
    monkeypatch.chdir(made)
    with (HOME / "table.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_csv_file_has_every_run(written: list[dict[str, str]]) -> None:
    assert [(row["data"], row["row"], row["seed"]) for row in written] == [
        (data, row, seed) for data in ("if100", "if10") for row in ("ce", "gml") for seed in "012"
    ]
    assert {row["reported"] for row in written if row["row"] == "ce"} == {"38.3"}
    assert {row["device"] for row in written} == {"cpu"}


def test_the_tables_are_made_of_those_runs(written: list[dict[str, str]]) -> None:
    text = (HOME / "table.md").read_text()
    for data in ("if100", "if10"):
        part = text.partition(f"## {data}\n")[2].partition("\n## ")[0]
        ce, gml = (
            [100 * float(row["hm"]) for row in written if (row["data"], row["row"]) == (data, name)]
            for name in ("ce", "gml")
        )
        row = next(line for line in part.splitlines() if line.startswith("| CE |")).split(" | ")
        assert row[3] == f"{statistics.mean(ce):.1f} ± {statistics.stdev(ce):.1f}"
        known = stats.ttest_rel(gml, ce).confidence_interval(0.95)
        mean = statistics.mean(gml) - statistics.mean(ce)
        apart = part.partition("| minus CE |")[2].splitlines()[2].split(" | ")
        assert apart[3].strip("*") == f"{mean:+.1f} [{known.low:+.1f}, {known.high:+.1f}]"


def test_nothing_is_bold_that_noise_may_have_made(written: list[dict[str, str]]) -> None:
    for part in (HOME / "table.md").read_text().split("\n## ")[1:]:
        cells = {
            key: [[float(row[key]) for row in written if (row["data"], row["row"]) == (part[: part.index("\n")], name)]
                  for name in ("ce", "gml")]
            for key in ("top1", "gm", "hm", "lowest", "many", "few")
        }  # fmt: skip
        rows = [line for line in part.partition("| minus CE |")[2].splitlines() if line.startswith("| CE + GML")]
        bold = [cell.startswith("**") for cell in rows[0].strip("| ").split(" | ")[1:]]
        assert bold == [stats.ttest_rel(gml, ce).pvalue < 0.05 for ce, gml in cells.values()]


class Page(HTMLParser):
    """Collects the cells, and what is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.elsewhere: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th"):
            self.cells.append("")
        places = [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        self.elsewhere += [place for place in places if not place.startswith(("data:", "#"))]

    def handle_data(self, data: str) -> None:
        if self.cells and self.lasttag in ("td", "th", "b"):
            self.cells[-1] += data


@pytest.mark.usefixtures("written")
def test_the_page_is_whole_and_says_the_same() -> None:
    page = Page()
    text = (HOME / "table.html").read_text()
    page.feed(text)
    assert page.elsewhere == []
    assert "<script" not in text
    assert "CE + GML_1 &lt;b&gt;" in text
    shown = {cell.strip() for cell in page.cells}
    for line in (HOME / "table.md").read_text().replace("\\<", "<").splitlines():
        if re.match(r"\| (CE|CE \+ GML_1 <b>) \|", line):
            assert {cell.strip(" *") for cell in line.strip("|").split("|")} <= shown


@pytest.mark.usefixtures("written")
def test_the_latex_tables_are_sound() -> None:
    text = (HOME / "table.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\bottomrule") == 4, "two sections, results and differences"
    assert text.count("{") == text.count("}")
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL):
        columns = re.findall(r"\\toprule\n(.*?) \\\\\n", text, re.DOTALL)
        assert all(
            len(line.split(" & ")) in {len(head.split(" & ")) for head in columns} for line in body.split("\n")[:-1]
        )
    assert r"CE + GML\_1 \textless{}b\textgreater{}" in text
    assert not re.search(r"(?<!\\)[%_&#](?![^\n]*\\\\)", text.partition("\n\n")[2].replace(" & ", " "))


def test_latex_finds_no_commands_in_names() -> None:
    assert escape(r"50 % of a_b\c {x} ± 1") == r"50 \% of a\_b\textbackslash{}c \{x\} $\pm$ 1"
    assert escape("a <b>|c\n\n\\end{table}") == (
        r"a \textless{}b\textgreater{}\textbar{}c \textbackslash{}end\{table\}"
    ), "an empty line would end the caption"


@pytest.mark.usefixtures("written")
def test_how_it_was_made() -> None:
    rows = [line for line in (HOME / "provenance.md").read_text().splitlines() if line.startswith("| CE |")]
    assert len(rows) == 2
    assert rows[0].startswith("| CE | 38.3 | ")
    assert "| 90.0 ± 0.0 | 1,234 | 3 | 3.0 | CropFlip | 1 | 1 | nothing |" in rows[0]
    assert "CropFlip" not in (HOME / "table.md").read_text()


def test_a_result_of_an_older_checkpoint_does_not_say_how_it_was_made(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for path in HOME.glob("*/ce-*/test/metrics.json"):
        path.write_text(re.sub(r'"provenance": {.*?}', '"provenance": null', path.read_text()))
    study(["mine.yaml"], Logged(tmp_path))
    rows = [line for line in (HOME / "provenance.md").read_text().splitlines() if line.startswith("| CE |")]
    assert "| 1,234 | - | - | - |" in rows[0]


@pytest.mark.usefixtures("written")
def test_pictures_are_of_each_section() -> None:
    names = {path.name for path in HOME.glob("*.png")}
    assert names == {f"{kind}-{data}.png" for kind in ("recall", "differences") for data in ("if100", "if10")}


def test_relative_to_what_is_reached_without_a_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(STUDY.replace("if10:", "even:").replace("data:\n", "balanced: even\ndata:\n", 1))
    study(["mine.yaml"], Logged(tmp_path))
    with (HOME / "table.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    top1 = {
        (data, name): statistics.mean(float(row["top1"]) for row in rows if (row["data"], row["row"]) == (data, name))
        for data in ("if100", "even")
        for name in ("ce", "gml")
    }
    tailed, _, even = (HOME / "table.md").read_text().partition("## even\n")
    for name, title in (("ce", "CE"), ("gml", r"CE + GML_1 \<b>")):
        row = next(line for line in tailed.splitlines() if line.startswith(f"| {title} |")).strip("| ").split(" | ")
        upper = max(top1["even", name], top1["even", "ce"])
        assert row[-2:] == [f"{100 * upper:.1f}", f"{100 * top1['if100', name] / upper:.1f}"]
    assert "| UA | RA |" in tailed
    assert "RA" not in even


def cell(name: str, title: str, top1: float, hm: float, *, needs: tuple[str, ...] = (), fit: bool = True) -> Cell:
    entry = Entry(name, title, () if fit else None, (), name, (0,), frozenset(needs))
    run = {"top1": top1, "hm": hm, "params": 1, "seconds": 1.0, "data": {"fingerprints": {"train": "0" * 8}}}
    return Cell(entry, {(None, 0): run}, 1)


CELLS = [
    cell("ce", "CE", 0.38, 0.03),
    cell("ce_la", "CE, logit adjustment", 0.42, 0.26, needs=("ce",), fit=False),
    cell("ce_gml", "CE + GML", 0.425, 0.28, needs=("ce",)),
    cell("ce_both", "CE + GML (ensemble)", 0.42, 0.24, needs=("ce_gml",), fit=False),
    cell("mixup", "mixup (first stage)", 0.40, 0.02),
    cell("mixup_la", "mixup, logit adjustment", 0.43, 0.3, needs=("mixup",), fit=False),
    cell("mixup_gml", "mixup + GML", 0.44, 0.31, needs=("mixup",)),
    cell("alone", "alone", 0.5, 0.4),
]


def test_changes_are_drawn_beside_the_network_they_started_from() -> None:
    figure = changes(Section(Setting(), CELLS, CELLS[0]))
    assert figure is not None
    ce, mixup = [axes for axes in figure.axes if axes.axison]
    assert (ce.get_title(), mixup.get_title()) == ("CE", "mixup (first stage)")
    names = ["logit adjustment", "+ GML", "+ GML (ensemble)"]
    assert [line.get_label() for line in ce.lines if line.get_label() in names] == names
    assert [line.get_label() for line in mixup.lines if line.get_label() in names] == names[:2]


def test_changes_of_one_network_are_not_compared() -> None:
    assert changes(Section(Setting(), CELLS[:5], CELLS[0])) is None


def test_another_test_of_a_network_is_not_a_training() -> None:
    rows = [row[0] for row in provenance(Section(Setting(), CELLS, CELLS[0])).rows]
    assert rows == ["CE", "CE + GML", "mixup (first stage)", "mixup + GML", "alone"]
