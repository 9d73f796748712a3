"""Results that are part of the repository: `ltr study` keeps them in a fresh clone, and trains nothing again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from calling import study
from test_study import Fake

from ltr.run import lookup
from ltr.studies.plan import Plan
from ltr.studies.runs import COMMITTED, Runs
from ltr.studies.schedule import run
from ltr.studies.workers import Here

SHIPPED = sorted(path.name for path in (lookup.folder("configs") / "studies").glob("*.yaml"))
PLANS = {plan.name: plan for plan in map(Plan.read, SHIPPED)}
RESULTS = sorted(path.relative_to(COMMITTED) for path in COMMITTED.glob("**/metrics.json"))


def nothing(*_: object, **__: object) -> None:
    raise AssertionError("nothing has to run")


def asked(runs: Runs) -> list[str]:
    """Run a study and return what it ran."""
    with Here() as executor:
        run(runs, runs.plan.jobs, executor)
    return runs.perform.asked()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """A study whose finished rows were committed, without weights."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(
        "runs: {ce: {fit: --config ce.yaml}, gml: {fit: '--config gml.yaml --model.backbone.checkpoint {ce}'}}"
    )
    study(["mine.yaml"], Fake())
    for weights in Path("checkpoints").glob("**/*.ckpt"):
        weights.unlink()
    Path("checkpoints").rename("committed")
    return Runs(Plan.read("mine.yaml"), Path("checkpoints/mine"), Fake(), committed=Path("committed"))


@pytest.mark.parametrize("result", RESULTS, ids=str)
def test_a_committed_row_is_not_trained_again_and_not_refused(result: Path, tmp_path: Path) -> None:
    plan = PLANS[result.parts[0]]
    (job,) = (job for job in plan.jobs if Path(plan.name, job.result) == result)
    runs = Runs(plan, tmp_path / "checkpoints" / plan.name, nothing)
    assert runs.result(job) == COMMITTED / result
    metrics = json.loads((COMMITTED / result).read_text(encoding="utf-8"))
    assert metrics["seed"] == job.seed
    metrics.pop("sha256", None)  # which was verified; older results have none
    assert runs.read(job) == metrics


@pytest.mark.slow_but_one
@pytest.mark.parametrize("name", ["methods.yaml", "short.yaml"])
def test_a_whole_study_trains_nothing_in_a_fresh_clone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study([name], nothing)
    jobs = Plan.read(name).jobs
    assert capsys.readouterr().out.count("(kept)") == len(jobs)


def test_committed_rows_are_kept_in_any_folder_of_runs(runs: Runs) -> None:
    for folder in ("checkpoints/mine", "elsewhere/mine"):
        assert asked(replace(runs, folder=Path(folder))) == []


def test_other_arguments_are_another_run(runs: Runs) -> None:
    runs = replace(runs, common=("--data.imbalance", "20"))
    assert asked(runs) == ["fit ce-0", "test ce-0", "fit gml-0", "test gml-0"]
    assert all(runs.result(job).is_relative_to(runs.folder) for job in runs.plan.jobs)


def test_weights_that_another_row_needs_are_trained_again(runs: Runs) -> None:
    shutil.rmtree("committed/mine/gml-0")
    assert asked(runs) == ["fit ce-0", "test ce-0", "fit gml-0", "test gml-0"]
    ce, gml = runs.plan.jobs
    assert (runs.result(ce).parts[0], runs.result(gml).parts[0]) == ("committed", "checkpoints")
