"""Runs at once: in processes, on Ray, as a sweep; the same table as one after another."""

from __future__ import annotations

import gc
import os
import time
from contextlib import suppress
from multiprocessing.context import SpawnContext
from pathlib import Path

import pytest
import yaml
from calling import study
from logged import Logged

from ltr.errors import InputError
from ltr.machine import cores
from ltr.process_state import NEW_OBJECTS
from ltr.run.folder import RunFolder
from ltr.studies.plan import Plan
from ltr.studies.runs import Runs
from ltr.studies.workers import processes
from tests.forked import CONTEXT

STUDY = """
seeds: [0, 1]
runs:
  ce: {fit: --config ce.yaml}
  la: {of: ce, test: --config logit_adjustment.yaml}
  gml: {fit: "--config gml.yaml --model.backbone.checkpoint {ce}"}
"""
TABLE = Path("checkpoints/mine/table.md")


@pytest.fixture
def one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the study in this process; return its table and clear the place."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(STUDY)
    study(["mine.yaml"], Logged(tmp_path))
    text = TABLE.read_text()
    Path("checkpoints").rename("before")
    Path("log").unlink()
    return text


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes of a study, which need not import everything again."""
    monkeypatch.setattr(SpawnContext, "Process", CONTEXT.Process)


def body(text: str) -> str:
    """Return the table without the command."""
    return text.partition("|")[2]


@pytest.mark.slow
def test_processes_give_the_same_table(one_by_one: str, tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    study(["mine.yaml", "--processes", "2"], logged)
    assert body(TABLE.read_text()) == body(one_by_one)
    lines = logged.lines()
    assert len(lines) == 2 * 5, "nothing was run twice"
    for seed in "01":
        order = [f"{verb} {run}" for verb, run, *_ in lines if run.endswith(seed)]
        assert order.index(f"test ce-{seed}") < order.index(f"fit gml-{seed}")
    assert {threads for *_, threads in lines} == {str(max(1, cores() // 2))}, "the processes share the cores"


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one", "forked")
def test_a_failure_in_a_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 of the runs failed, the first of them ce-1: it broke"):
        study(["mine.yaml", "--processes", "2"], Logged(tmp_path, bad=("ce-1",)))
    assert "| gml (1 of 2 seeds) |" in TABLE.read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_a_process_that_is_killed_is_told_and_loses_nothing(one_by_one: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was killed, perhaps for lack of memory"):
        study(["mine.yaml", "--processes", "2"], Logged(tmp_path, deadly=("gml-1",)))
    study(["mine.yaml", "--processes", "2"], Logged(tmp_path))
    assert body(TABLE.read_text()) == body(one_by_one)


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_an_interrupted_study_ends_its_own_processes_only() -> None:
    bystander = CONTEXT.Process(target=time.sleep, args=(60,))
    bystander.start()
    try:
        with suppress(KeyboardInterrupt), processes(2) as pool:
            own = pool.submit(os.getpid).result()
            assert pool.submit(gc.get_threshold).result()[0] == NEW_OBJECTS, "it imports, too"
            raise KeyboardInterrupt
        with pytest.raises(ProcessLookupError):
            os.kill(own, 0)
        bystander.join(0.2)
        assert bystander.is_alive()
    finally:
        bystander.kill()
        bystander.join()


def attempt(folder: Path, logged: Logged) -> None:
    """Run the first row of the study in its own process."""
    plan = Plan.read("mine.yaml")
    Runs(plan, folder, logged).attempt(plan.jobs[0])


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_two_studies_at_once_do_not_run_the_same(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    both = [CONTEXT.Process(target=attempt, args=(Path("checkpoints/mine"), logged)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [line[:2] for line in logged.lines()] == [["fit", "ce-0"], ["test", "ce-0"]]


@pytest.mark.usefixtures("one_by_one")
def test_a_study_holds_the_lock_of_its_run() -> None:
    run, plan, held = RunFolder(Path("checkpoints/mine/ce-0")), Plan.read("mine.yaml"), []

    def perform(*_: object, **__: object) -> None:
        held.append(run.lock.held)
        raise InputError("enough")

    outcome = Runs(plan, Path("checkpoints/mine"), perform).attempt(plan.jobs[0])
    assert held == [True]
    assert outcome.failure == "enough"
    assert not run.lock.held


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_some_runs_only(tmp_path: Path) -> None:
    logged = Logged(tmp_path)
    study(["mine.yaml", "--only", "gml-1"], logged)
    assert [line[:2] for line in logged.lines()] == [
        [verb, run] for run in ("ce-1", "gml-1") for verb in ("fit", "test")
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray
def test_ray_gives_the_same_table(one_by_one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where Ray's processes find `logged`
    logged = Logged(tmp_path)
    study(["mine.yaml", "--ray", "local"], logged)
    assert body(TABLE.read_text()) == body(one_by_one)
    assert len(logged.lines()) == 2 * 5


@pytest.mark.usefixtures("one_by_one")
def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r'Ray is not installed: `pip install -e "\.\[ray\]"`'):
        study(["mine.yaml", "--ray", "auto"], Logged(tmp_path))


@pytest.mark.usefixtures("one_by_one")
def test_a_sweep_has_every_run(tmp_path: Path) -> None:
    study(["mine.yaml", "--data.root", "x", "--sweep", "sweep.yaml"], Logged(tmp_path))
    sweep = yaml.safe_load(Path("sweep.yaml").read_text())
    assert sweep["parameters"] == {"only": {"values": [job.name for job in Plan.read("mine.yaml").jobs]}}
    study(["mine.yaml", "--only", "gml-0", "--sweep", "sweep.yaml"], Logged(tmp_path))
    one = yaml.safe_load(Path("sweep.yaml").read_text())["parameters"]["only"]["values"]
    assert one == [job.name for job in Plan.read("mine.yaml").with_needs(["gml-0"])], "and what it needs"
    assert not Path("log").exists(), "nothing is run"


@pytest.mark.slow
@pytest.mark.usefixtures("one_by_one")
def test_what_an_agent_of_a_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is put together by what W&B's own agent uses."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    study(["mine.yaml", "--runs", "there", "--data.root", "x", "--sweep", "sweep.yaml"], Logged(tmp_path))
    sweep = yaml.safe_load(Path("sweep.yaml").read_text())
    fills = create_sweep_command_args({"args": {"only": {"value": "gml-0"}}}) | {"env": ["/usr/bin/env"]}
    words = create_sweep_command(sweep["command"])
    filled = [part for word in words for part in (fills[word[2:-1]] if word.startswith("${") else [word])]
    assert filled == [
        "/usr/bin/env",
        "ltr",
        "study",
        "mine.yaml",
        "--runs",
        "there",
        "--data.root",
        "x",
        "--only=gml-0",
    ]
    told: dict[str, dict[str, float]] = {}

    class Run:
        def __init__(self, name: str) -> None:
            self.summary = told.setdefault(name, {})

        def __enter__(self) -> Run:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setenv("WANDB_SWEEP_ID", "me/project/abc")
    monkeypatch.setattr("wandb.init", Run)
    study(filled[3:], Logged(tmp_path))
    assert list(told) == ["mine/gml-0"]
    assert {"top1", "hm", "lowest"} <= set(told["mine/gml-0"])


@pytest.mark.usefixtures("one_by_one")
def test_a_number_of_processes_is_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--processes is at least 1"):
        study(["mine.yaml", "--processes", "0"], Logged(tmp_path))
