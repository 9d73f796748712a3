"""Ctrl+C and SIGTERM end a command at once, with the sentence on how to go on, and lose nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ltr.callbacks import Run
from ltr.cli.command import Command
from ltr.distributed import process_is_gone
from ltr.methods import Method
from ltr.process_state import set_up_command
from tests.tiny import TINY

SIGNALS = {signal.SIGINT: (130, "Ctrl+C"), signal.SIGTERM: (143, "SIGTERM")}
each_signal = pytest.mark.parametrize("number", SIGNALS)


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Take Ctrl+C as a terminal's process does; one in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def strike(kind: type, name: str, number: int) -> Iterator[None]:
    """Send this process a signal whenever a method of a class was called."""
    usual = getattr(kind, name)

    def method(*arguments: object, **options: object) -> object:
        result = usual(*arguments, **options)
        os.kill(os.getpid(), number)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, name, method)
        yield


@each_signal
def test_a_training_says_how_to_go_on(number: int, tiny, ltr, capsys) -> None:
    status, name = SIGNALS[signal.Signals(number)]
    set_up_command()
    before = signal.getsignal(signal.SIGTERM).__qualname__, signal.getsignal(signal.SIGINT)
    with strike(Run, "on_train_epoch_end", number):
        assert tiny("--name a") == status
    assert (signal.getsignal(signal.SIGTERM).__qualname__, signal.getsignal(signal.SIGINT)) == before
    command = "ltr fit --ckpt_path checkpoints/a/last.ckpt"
    assert capsys.readouterr().err.endswith(f"ltr: stopped by {name}; go on with `{command}`.\n")
    assert ltr(command.removeprefix("ltr ")) == 0


def test_a_command_to_go_on_with_names_any_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "my run" / "last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    stopped = SimpleNamespace(verb="fit", folder=checkpoint.parent, run=SimpleNamespace(replaces=False))
    assert Command.going_on.fget(stopped) == f"go on with `ltr fit --ckpt_path '{checkpoint}'`"


@pytest.mark.slow_but_one
@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_training_stopped_between_its_files_goes_on_as_it_says(
    moved: int, tiny, ltr, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny("--name whole --trainer.max_epochs 1") == 0
    move, moves = Path.replace, []

    def interrupted(self: Path, target: Path) -> Path:
        if len(moves) == moved:
            raise KeyboardInterrupt
        moves.append(target.name)
        return move(self, target)

    words = "--name a --trainer.max_epochs 1"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        assert tiny(words) == 130
    assert moves == ["last.ckpt", "config.yaml"][:moved]
    advice = capsys.readouterr().err
    if moved:
        assert "go on with `ltr fit --ckpt_path checkpoints/a/last.ckpt`" in advice
        assert ltr("fit --ckpt_path checkpoints/a/last.ckpt") == 0
    else:
        assert "nothing was written; give the command again" in advice
        assert tiny(words) == 0
    for name in ("metrics.csv", "config.yaml"):
        one, other = (Path("checkpoints", run, name).read_text() for run in ("whole", "a"))
        assert other == one.replace("name: whole", "name: a")


def test_a_run_that_was_to_be_replaced_is_not_offered_to_go_on(tiny, capsys) -> None:
    assert tiny("--name a") == 0
    before = Path("checkpoints/a/last.ckpt").read_bytes()
    with strike(Method, "training_step", signal.SIGINT):
        assert tiny("--name a --overwrite --seed_everything 1") == 130
    assert "nothing was written; give the command again" in capsys.readouterr().err
    assert Path("checkpoints/a/last.ckpt").read_bytes() == before


@each_signal
def test_a_test_leaves_nothing_behind(number: int, tiny, ltr, capsys) -> None:
    status, name = SIGNALS[signal.Signals(number)]
    assert tiny("--name a") == 0
    with strike(Method, "test_step", number):
        assert ltr("test --ckpt_path a") == status
    assert f"stopped by {name}; nothing was written; give the command again." in capsys.readouterr().err
    assert not Path("checkpoints/a/test").exists()


@pytest.mark.slow_but_one
@each_signal
def test_a_grid_and_a_study_go_on_with_the_same_command(number: int, tiny, ltr, capsys) -> None:
    status, name = SIGNALS[signal.Signals(number)]
    assert tiny("--name a") == 0
    rows = {"one": {"title": "one", "fit": TINY}, "two": {"title": "two", "fit": TINY}}
    Path("study.yaml").write_text(yaml.safe_dump({"runs": rows}))
    grid = "tune-grid --model.backbone.checkpoint a --data Synthetic --data.imbalance 4 --trainer.max_epochs 1"
    for words in ("study study.yaml", f"{grid} --trainer.precision 32-true --trainer.accelerator cpu"):
        with strike(Run, "on_train_epoch_end", number):
            assert ltr(words) == status
        error = capsys.readouterr().err
        assert f"stopped by {name}; the same command goes on, what is finished is kept." in error
    assert not Path("checkpoints/study/two-0").exists(), "an interrupted run is not a failed one"


@contextmanager
def two_processes(folder: Path, *ltr: str | Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a long training in two processes; yield the first one and, once it is there, the number of the second.

    Args:
        folder: where it works.
        ltr: what stands for `ltr`, if it is not that.
    """
    port = str(random.randint(20_000, 40_000))
    words = f"fit {TINY} --trainer.max_epochs 400 --trainer.devices 2 --trainer.strategy ddp --name a"
    with subprocess.Popen(
        [sys.executable, *(ltr or ("-m", "ltr")), *words.split()],
        cwd=folder,
        env=os.environ | {"MASTER_PORT": port, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process, wait_for(lambda: second(process.pid), process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def second(first: int) -> int:
    """Return the number of the second process that the first one has started, 0 if it is not there yet."""
    for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        with suppress(OSError):  # others come and go
            if b"\0LOCAL_RANK=1\0" in b"\0" + Path(f"/proc/{child}/environ").read_bytes():
                return int(child)
    return 0


def wait_for(what: Callable[[], int], process: subprocess.Popen[str]) -> int:
    """Wait until something is there; fail if the process ends before."""
    while not (found := what()):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    return found


GOING_ON = "go on with `ltr fit --ckpt_path checkpoints/a/last.ckpt`."
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the second process is found in /proc")


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "rank", "status", "sentence"),
    [
        (signal.SIGTERM, 0, 143, "ltr: stopped by SIGTERM"),
        (signal.SIGINT, 0, 130, "ltr: stopped by Ctrl+C"),
        (signal.SIGTERM, 1, 2, "ltr: error: another process of this command has ended, so this one ends"),
    ],
    ids=str,
)
def test_two_processes_end_with_one_signal(number: int, rank: int, status: int, sentence: str, tmp_path: Path) -> None:
    with two_processes(tmp_path) as (process, other):
        wait_for((tmp_path / "checkpoints/a/last.ckpt").is_file, process)
        os.kill((process.pid, other)[rank], number)
        _, error = process.communicate(timeout=120)
    assert process.returncode == status, error
    assert f"{sentence}{': ' if status == 2 else '; '}{GOING_ON}" in error
    assert "gloo" not in error


@pytest.mark.slow
def test_a_process_ends_with_its_status_while_it_waits_for_another(tmp_path: Path) -> None:
    ends = os.pipe()
    other, first = (
        subprocess.Popen(
            [sys.executable, Path(__file__).with_name("waiting_ltr.py"), str(first), str(end), tmp_path / "meeting"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            pass_fds=[end],
            stderr=subprocess.PIPE,
            text=True,
        )
        for first, end in enumerate(ends)
    )
    for end in ends:
        os.close(end)
    errors = [process.communicate(timeout=120)[1] for process in (first, other)]
    assert first.returncode == 143, errors
    assert errors == ["\nltr: stopped by SIGTERM.\n", ""]


@needs_proc
@pytest.mark.slow
def test_a_process_that_ends_before_both_have_met_is_told(tmp_path: Path) -> None:
    with two_processes(tmp_path) as (process, other):
        os.kill(other, signal.SIGKILL)
        _, error = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, "Lightning kills it"
    sentence = "ltr: error: another process of this command has ended, so this one ends: nothing was written; give the"
    assert sentence in error
    assert error.count("ltr: error: ") == 1


@needs_proc
@pytest.mark.slow
def test_the_second_process_does_not_wait_for_a_first_that_is_gone(tmp_path: Path) -> None:
    with two_processes(tmp_path, Path(__file__).with_name("hurried_ltr.py")) as (process, _):
        process.kill()
        process.communicate(timeout=300)  # which ends when the second one has closed its output, too


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [::1]"), 1),
        (RuntimeError("Connection reset by peer"), 1),
        (RuntimeError("NCCL error: remote process exited or there was a network error"), 1),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), 0),
        (ValueError("Connection reset by peer"), 0),
    ],
)
def test_what_says_that_another_process_is_gone(error: Exception, gone: int) -> None:
    assert process_is_gone(error) == bool(gone)
