"""What the page says when results lie side by side: the numbers of the tests, at any temperature."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import CLASSES, COUNTS, Page, make_metrics

from ltr.__main__ import main
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.comparison import Comparison, of_runs, of_tuning
from ltr.app.heads import REACH, heads_of, temperature
from ltr.app.job import commands
from ltr.app.tuning import TuningForm
from ltr.errors import InputError
from ltr.measures import measure_of, shown, written
from ltr.studies.plan import Plan

SMALL = (
    "fit --config ce.yaml --config data/digits.yaml --model.backbone ResNet20 --model.backbone.width 4 "
    "--model.schedule Cosine --trainer.max_epochs 6 --trainer.enable_progress_bar false"
)
# In bfloat16, logits of two classes are equal now and then, and what breaks such a tie depends on the processor.
EXACT = ("--trainer.accelerator", "cpu", "--trainer.precision", "32-true")
TEMPERATURES = (0.5, 4.0)
MAIN = [measure.key for measure in shown("main")]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllowedPaths]:
    """Return a paths with a tuning of the digits by the commands of the page, and a test of its ensemble."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PL_GLOBAL_SEED", "0")
        paths = AllowedPaths(Path("checkpoints"), (folder,))
        main([*SMALL.split(), *EXACT, "--name", "base"])
        study = TuningForm(base="base", name="tuned", epochs=3, batch=32).study(paths)
        for words in commands(Plan.of(study, "tuned"), paths.runs):
            main([*words, *EXACT])
        new, old = map(str, TEMPERATURES)
        words = ["test", "--ckpt_path", "checkpoints/tuned", "--config", "ensemble.yaml", "--evaluation", "ensemble"]
        main([*words, "--trainer.callbacks.t_new", new, "--trainer.callbacks.t_old", old])
        yield paths


@pytest.fixture
def found(paths: AllowedPaths) -> Comparison:
    """Return the comparison of the tuning."""
    return of_tuning(paths, "tuned")


def metrics(paths: AllowedPaths, where: str) -> dict[str, Any]:
    """Return what a test has written."""
    content: dict[str, Any] = json.loads((paths.runs / where / "metrics.json").read_text())
    return content


def test_the_table_has_the_numbers_of_the_tests(paths: AllowedPaths, found: Comparison) -> None:
    rows = Page(found.table()).table("", "top-1")
    homes = {
        "before: old head": "tuned_before/test",
        "after: GML": "tuned/test",
        "control: old head, logit adjustment (tau 1)": "tuned_before/logit_adjustment",
    }
    assert list(rows) == list(homes)
    for row, home in homes.items():
        measured = metrics(paths, home)
        assert rows[row] == {
            measure_of(key).title: written(key, measured[key]) for key in (measure.key for measure in shown("main"))
        }
    assert rows["before: old head"] != rows["after: GML"]


def test_both_heads_together_are_what_the_command_line_measures(paths: AllowedPaths, found: Comparison) -> None:
    measured = metrics(paths, "tuned/ensemble")
    assert measured["adjustments"][0]["TemperatureEnsemble"]["t_old"] == TEMPERATURES[1]
    ours = found.at(*TEMPERATURES).all["both heads (t_new 0.5, t_old 4)"].metrics
    for key in (*MAIN, "recall", "counts", "nll", "macro_f1", "classwise_ece"):
        assert ours[key] == pytest.approx(measured[key], rel=1e-6, nan_ok=True), key


def test_the_curve_goes_through_the_point_and_between_the_heads(paths: AllowedPaths) -> None:
    heads = heads_of(paths.runs / "tuned")
    assert heads_of(paths.runs / "tuned") is heads, "the heads were asked again"
    curve = heads.curve(0.5)
    (point,) = (row for row in curve if row["t_old"] == 4.0)
    measured = metrics(paths, "tuned/ensemble")
    for key in ("top1", "hm", "lowest"):
        assert point[key] == pytest.approx(measured[key], rel=1e-9)
    alone = heads.at(2**-REACH, 2.0**12)
    assert alone["recall"] == pytest.approx(metrics(paths, "tuned/test")["recall"]), "a flat old head still speaks"
    assert [row["t_old"] for row in curve] == sorted(2 ** (step / 4) for step in range(-17, 18))


def test_what_is_kept_is_what_is_shown(paths: AllowedPaths, found: Comparison) -> None:
    made = found.at(1.0, 2.0).keep()
    assert {path.suffix for path in made.values()} == {".png", ".csv"}
    for key in ("recall", "trade_off"):
        assert made[key].read_bytes().startswith(b"\x89PNG")
    with made["recalls"].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    after = metrics(paths, "tuned/test")
    assert [int(row["training_images"]) for row in rows] == sorted(after["counts"], reverse=True)
    assert {row["class"]: float(row["recall: after: GML"]) for row in rows} == dict(
        zip(after["classes"], after["recall"], strict=True)
    )
    with made["figures"].open(newline="") as lines:
        table = {row["result"]: row for row in csv.DictReader(lines)}
    assert float(table["after: GML"]["hm"]) == after["hm"]
    assert list(table)[-1] == "both heads (t_new 1, t_old 2)"


def test_finished_runs_are_compared_the_same_way(paths: AllowedPaths) -> None:
    both = of_runs(paths, ["tuned_before", "tuned"])
    assert list(both.rows) == ["tuned_before", "tuned"]
    assert both.tuned == paths.runs / "tuned"
    assert Page(both.pictures()).figures == 2
    assert list(both.at(1.0, 2.0).all)[-1] == "tuned, both heads (t_new 1, t_old 2)"


@pytest.mark.parametrize(
    "chosen", [[], ["tuned"], ["tuned", "tuned"], ["tuned", "../x"], ["tuned", "/etc"], ["base", "tuned"]]
)
def test_what_cannot_be_compared_is_refused(paths: AllowedPaths, chosen: list[str]) -> None:
    with pytest.raises(InputError, match=r"choose 2 to|there is no run|was never tested"):
        of_runs(paths, chosen)


def test_runs_of_other_data_are_not_drawn_together(paths: AllowedPaths) -> None:
    make_metrics(paths.runs / "odd" / "test")
    odd = of_runs(paths, ["tuned", "odd"])
    assert odd.pictures() == ""
    assert "so they cannot be compared" in odd.table()
    assert set(odd.keep()) == {"figures"}
    (legend,) = odd.at(1.0, 2.0).trade_off().legends
    assert "tuned" in [text.get_text() for text in legend.get_texts()]
    assert "odd" not in [text.get_text() for text in legend.get_texts()]
    make_metrics(paths.runs / "other" / "test", data={"fingerprints": {"test": "00" * 32}})
    assert "The test splits differ" in of_runs(paths, ["odd", "other"]).table()


def test_names_from_outside_are_text(paths: AllowedPaths) -> None:
    make_metrics(paths.runs / "class" / "test")
    make_metrics(paths.runs / "two" / "test")
    both = of_runs(paths, ["class", "two"])
    text = both.table() + both.pictures()
    assert "<script>" not in text
    with both.keep()["recalls"].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["class"] for row in rows] == CLASSES
    assert [int(row["training_images"]) for row in rows] == COUNTS
    assert rows[3]["recall: class"] == "", "a class without images has no recall"


@pytest.mark.parametrize("power", [None, "1", 5, -5, float("nan"), float("inf"), [1]])
def test_temperatures_are_in_reach(power: object) -> None:
    with pytest.raises(InputError, match="a temperature is 2 to a power"):
        temperature(power)


def test_the_packages_of_the_page_are_trusted(paths: AllowedPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(checkpoint: Path, *arguments: dict[str, str]) -> None:
        raise InputError(f"{checkpoint} with {arguments}")

    monkeypatch.setattr("ltr.load", load)
    trusting = AllowedPaths(paths.runs, paths.folders, ("mine", "theirs"))
    for compared in (of_tuning(trusting, "tuned"), of_runs(trusting, ["tuned_before", "tuned"])):
        with pytest.raises(InputError, match=r"last.ckpt with \({'trust': 'mine'}, {'trust': 'theirs'}\)"):
            compared.at(1.0, 2.0)
        assert compared.command[-4:] == ["--trust", "mine", "--trust", "theirs"]


def test_a_run_that_replaced_no_head_has_no_second_one(paths: AllowedPaths) -> None:
    with pytest.raises(InputError, match="has no old head"):
        heads_of(paths.runs / "base")
