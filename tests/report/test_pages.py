"""The page about finished runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import CLASSES, COUNTS, Page, make_metrics, make_predictions, make_run

from ltr.report.figures import calibration
from ltr.report.report import write
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import RunFolder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an evaluation that kept everything, and another that kept its metrics only."""
    run = make_run(tmp_path_factory.mktemp("runs") / "whole")
    make_predictions(make_metrics(run / "test", old_recall=[0.9, 0.8, 0.3, None, 0.0]))
    make_metrics(run / "la", top1=0.6, adjustments=[{"LogitAdjustment": {"tau": 1.5}}])
    return run


@pytest.fixture(scope="module")
def page(whole: Path) -> Page:
    """Return the page of that run."""
    return Page(write([RunFolder(whole)]))


def self_contained(page: Page) -> None:
    """Fail where a page loads or links to anything that is not in it."""
    assert "http://" not in page.whole
    assert "https://" not in page.whole
    assert "url(" not in page.whole
    assert "@import" not in page.whole
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for source in ("src", "srcset"):
            assert str(attributes.get(source, "data:")).startswith("data:")
        assert str(attributes.get("href", "#")).startswith("#")
        assert not any(name.startswith("on") for name in attributes), "a handler of events"
    assert page.open == [], "every element is closed"


def test_nothing_is_loaded_and_everything_is_escaped(page: Page) -> None:
    self_contained(page)
    assert "<script" not in page.whole
    for name in CLASSES:
        assert name in page.text
    assert "</pre><script>1</script>" in page.text, "the config as it is"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [said for _, said in page.tags]
    assert "prefers-color-scheme: dark" in page.whole


def test_the_figures_are_those_of_metrics_json(page: Page, whole: Path) -> None:
    table = page.table("", "top-1")
    assert list(table) == ["old head", "new head", "la"]
    for name, row in zip(("test", "la"), [*table.values()][1:], strict=True):
        measures = json.loads((whole / name / "metrics.json").read_text())
        assert float(row["top-1"]) == pytest.approx(100 * measures["top1"], abs=0.005)
        assert float(row["ECE"]) == pytest.approx(100 * measures["ece"], abs=0.005)
        assert float(row["NLL"]) == pytest.approx(measures["nll"], abs=5e-4), "no fraction"
        assert row["strange measure"] == "12,345", "what is not known is there as it is"
        assert row["zero-recall"] == "0"
    assert "LogitAdjustment(tau 1.5)" in page.text
    head = {row[0]: row[1] for row in next(table for table in page.tables if table[1:2] and table[1][0] == "method")}
    assert (head["seed"], head["parameters"], head["epochs"], head["seconds"]) == ("3", "1,234", "2", "5.5")
    assert head["loss"] == "CrossEntropy"
    assert head["test split"] == "cd" * 32
    assert f"ltr fit --config {whole}/config.yaml --name whole_again" in page.text


def test_the_first_table_has_the_price_of_a_tuning(page: Page, whole: Path, tmp_path: Path) -> None:
    """The measures of the old head, from its recalls on 15 images of each of four classes."""
    old = page.table("", "top-1")["old head"]
    recalls = np.asarray([0.9, 0.8, 0.3, 1e-3])
    assert float(old["top-1"]) == pytest.approx(100 * np.mean([0.9, 0.8, 0.3, 0.0]), abs=0.005)
    assert float(old["GM"]) == pytest.approx(100 * np.exp(np.log(recalls).mean()), abs=0.005)
    assert float(old["HM"]) == pytest.approx(100 / np.mean(1 / recalls), abs=0.005)
    assert (old["lowest"], old["zero-recall"], old["many"], old["few"]) == ("0.00", "1", "85.00", "0.00")
    assert old["ECE"] == "-", "it does not follow from the recalls"
    assert page.tables[0][0][:2] == ["", "top-1"], "the first table of the page"
    assert page.whole.index("Training") < page.whole.index("cd" * 32), "hashes come last"
    assert f"ltr test --ckpt_path {whole} --config ensemble.yaml --evaluation ensemble" in page.text

    run = make_run(tmp_path / "gml")
    make_metrics(run / "test", old_recall=[0.9, 0.8, 0.3, None, 0.0])
    before = make_run(tmp_path / "gml_before")
    make_metrics(before / "test", recall=[0.9, 0.8, 0.3, None, 0.0], top1=0.66, ece=0.321)
    make_metrics(before / "logit_adjustment", top1=0.44, adjustments=[{"LogitAdjustment": {"tau": 1.0}}])
    table = Page(write([RunFolder(run)])).table("", "top-1")
    assert list(table) == ["old head", "old head, logit_adjustment", "new head"]
    assert [row["top-1"] for row in table.values()] == ["66.00", "44.00", "51.23"]
    assert table["old head"]["ECE"] == "32.10"


def test_a_command_names_any_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "my run")
    make_metrics(run / "test", old_recall=[0.9, 0.8, 0.3, None, 0.0])
    assert f"ltr test --ckpt_path '{run}' --config ensemble.yaml" in Page(write([RunFolder(run)])).text


@pytest.mark.slow
def test_a_page_is_not_replaced_in_silence(ltr, capsys, tmp_path: Path) -> None:
    make_run(tmp_path / "new")
    assert ltr("report new") == 0
    Path("report.html").write_text("mine")
    assert ltr("report new") == 2
    assert "report.html exists already: choose another `--output`" in capsys.readouterr().err
    assert Path("report.html").read_text() == "mine"
    assert ltr("report new --overwrite") == 0
    assert "<!DOCTYPE html>" in Path("report.html").read_text()


def test_the_recall_of_every_class_is_a_table(page: Page) -> None:
    table = page.table("class", "new head (%)")
    assert list(table) == CLASSES, "from the most to the fewest training images"
    assert [row["training images"] for row in table.values()] == [str(count) for count in COUNTS]
    assert [row["test images"] for row in table.values()] == ["15", "15", "15", "0", "15"]
    assert [row["new head (%)"] for row in table.values()] == ["90.0", "70.0", "50.0", "-", "10.0"]
    assert [row["old head (%)"] for row in table.values()] == ["90.0", "80.0", "30.0", "-", "0.0"]


def test_a_whole_run_has_every_section(page: Page) -> None:
    assert page.figures == 8
    assert "missing" not in [attributes.get("class") for _, attributes in page.tags]
    assert [attributes.get("class") for _, attributes in page.tags].count("photograph") == 4


def test_the_worst_classes_say_what_they_are_taken_for(page: Page, whole: Path) -> None:
    kept = torch.load(whole / "test" / "predictions.pt", weights_only=True)
    predictions = kept["probabilities"].argmax(1)
    of = predictions[kept["labels"] == 4]
    wrong = np.bincount(of[of != 4], minlength=5)
    most = int(wrong.argmax())
    assert f"most often taken for {CLASSES[most]} ({100 * wrong[most] / 15:.1f}\u00a0%)" in page.text
    first = int(predictions[45])
    said = "recognised" if first == 4 else f"taken for {CLASSES[first]}"
    assert f"{said}, {100 * kept['probabilities'][45].max():.1f}\u00a0%" in page.text


def test_the_error_of_every_group_is_that_of_a_loop(page: Page, whole: Path) -> None:
    kept = torch.load(whole / "test" / "predictions.pt", weights_only=True)
    groups = {"all": range(5), "many": (0, 1), "medium": (2,), "few": (3, 4)}
    found = calibration(EvaluationResult.read(whole / "test"))
    row = page.table("ECE", "all")["new head"]
    for name, members in groups.items():
        rows = [row for row in range(60) if int(kept["labels"][row]) in members]
        error = 0.0
        for place in range(15):
            sums = [0.0, 0.0]
            for at in rows:
                confidence = float(kept["probabilities"][at].max())
                if place / 15 < confidence <= (place + 1) / 15:
                    sums[0] += int(kept["probabilities"][at].argmax()) == int(kept["labels"][at])
                    sums[1] += confidence
            error += abs(sums[0] - sums[1]) / len(rows)
        assert found[name].ece == pytest.approx(error, abs=1e-9), name
        assert float(row[name]) == pytest.approx(100 * error, abs=0.051), name


@pytest.mark.slow
def test_what_is_missing_is_named_with_the_command_that_brings_it(ltr, tmp_path: Path) -> None:
    run = make_run(tmp_path / "old")
    make_metrics(run / "test")
    (run / "config.yaml").unlink()
    assert ltr("report old") == 0
    page = Page(Path("report.html").read_text())
    self_contained(page)
    assert page.figures == 3, "curves, recalls and shot groups need no predictions"
    assert page.text.count("ltr test --ckpt_path old brings them") == 5
    old = make_predictions(run / "test")
    for key in ("features", "featured", "lengths", "examples", "exampled"):
        del old[key]
    torch.save(old, run / "test" / "predictions.pt")
    assert ltr("report old --overwrite") == 0
    page = Page(Path("report.html").read_text())
    assert page.figures == 5, "those of before need no features"
    assert page.text.count("ltr test --ckpt_path old brings them") == 3


def test_a_run_that_was_never_tested_has_its_curves(ltr, tmp_path: Path) -> None:
    make_run(tmp_path / "new")
    assert ltr("report new") == 0
    page = Page(Path("report.html").read_text())
    assert page.figures == 1
    assert "This run has no figures, as it was never tested: ltr test --ckpt_path new brings them." in page.text


@pytest.mark.slow
def test_a_head_without_lengths_and_an_expert_that_was_not_asked(ltr, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    features = torch.randn(60, 8).half()
    features[7, 4:] = torch.nan
    kept = make_predictions(make_metrics(run / "test"), features=features)
    del kept["lengths"]
    torch.save(kept, run / "test" / "predictions.pt")
    assert ltr("report run") == 0
    page = Page(Path("report.html").read_text())
    assert "do not depend on how long its weights are" in page.text
    assert page.figures == 6


def test_several_runs_stand_side_by_side(ltr, tmp_path: Path, whole: Path) -> None:
    make_metrics(make_run(tmp_path / "other") / "test", top1=0.75, recall=[0.8, 0.7, 0.6, None, 0.3])
    assert ltr(f"report {whole} other --output out/two.html") == 0
    page = Page(Path("out/two.html").read_text())
    self_contained(page)
    table = page.table("", "top-1")
    assert list(table) == ["whole", "whole, la", "other"]
    assert [row["top-1"] for row in table.values()] == ["51.23", "60.00", "75.00"]
    assert page.figures == 4
    recalls = page.table("class", "other (%)").values()
    assert [row["whole (%)"] for row in recalls] == ["90.0", "70.0", "50.0", "-", "10.0"]
    assert [row["other (%)"] for row in recalls] == ["80.0", "70.0", "60.0", "-", "30.0"]
    assert "cannot be compared" not in page.text


@pytest.mark.parametrize("what", ["classes", "counts"])
def test_runs_of_another_kind_share_no_figure_of_classes(ltr, tmp_path: Path, whole: Path, what: str) -> None:
    said = {"classes": [*"abcde"]} if what == "classes" else {"counts": [9, 8, 7, 6, 5]}
    whose = "classes" if what == "classes" else "training images per class"
    make_metrics(make_run(tmp_path / "other") / "test", **said)
    assert ltr(f"report {whole} other") == 0
    page = Page(Path("report.html").read_text())
    assert page.text.count(f"whole and other have different {whose}, so they cannot be compared.") == 2
    assert page.figures == 1, "the curves"


def test_two_runs_of_one_name_go_by_their_folders(ltr, tmp_path: Path) -> None:
    for home in ("one", "two"):
        make_metrics(make_run(tmp_path / home / "run") / "test")
    assert ltr("report one/run two/run") == 0
    assert list(Page(Path("report.html").read_text()).table("", "top-1")) == ["one/run", "two/run"]


@pytest.mark.slow
@pytest.mark.usefixtures("rendered")
def test_the_shipped_run_has_a_page(ltr) -> None:
    assert ltr("report ce_resnet32_cifar100_lt100") == 0
    page = Page(Path("report.html").read_text())
    self_contained(page)
    assert page.table("", "top-1")["test"]["top-1"] == "38.05"
    assert page.figures >= 3
    assert len(page.whole) < 3_000_000
    assert len(page.table("class", "test (%)")) == 100


def test_a_run_that_is_not_there_gets_a_sentence(ltr, capsys, tmp_path: Path) -> None:
    metrics = make_metrics(tmp_path / "checkpoints" / "mine" / "test") / "metrics.json"
    assert ltr("report mnie") == 2
    assert "there is no run mnie; did you mean mine?" in capsys.readouterr().err
    metrics.write_text("{")
    assert ltr("report mine") == 2
    assert "metrics.json is damaged" in capsys.readouterr().err
    assert not Path("report.html").exists()
