"""One process at a time works on a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from tiny import TINY

from ltr.errors import InputError
from ltr.run import lock
from ltr.run.folder import RunFolder

HOLD = """
import sys
from pathlib import Path
from ltr.run.folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock.hold():
    print("held", flush=True)
    input()
"""


@contextmanager
def another_process(run: Path) -> Iterator[None]:
    """Let another process hold the lock of a run."""
    words = [sys.executable, "-c", HOLD, str(run)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate("\n")


@pytest.mark.slow
def test_a_second_process_is_refused_and_changes_nothing(
    ltr: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    assert ltr("fit", TINY, "--name tiny") == 0
    run = RunFolder(Path("checkpoints/tiny"))
    before = {path: path.read_bytes() for path in run.files}
    with another_process(run.path):
        for words in (
            f"fit {TINY} --name tiny --overwrite",
            "fit --ckpt_path tiny --trainer.max_epochs 3",
            "test --ckpt_path checkpoints/tiny/last.ckpt",
            "predict --ckpt_path checkpoints/tiny",
        ):
            capsys.readouterr()
            assert ltr(words) == 2
            assert "ltr: error: another process is working on the run" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.files} == before
    assert ltr("test --ckpt_path tiny") == 0


def test_one_thread_may_hold_it_twice_and_it_is_free_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    with run.lock.hold(), RunFolder(tmp_path / "b" / ".." / "a").lock.hold():
        assert run.lock.held
    assert not run.lock.held
    assert not run.path.exists(), "a lock is no run"


def test_a_lock_that_may_not_be_opened_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path / "a")
    with run.lock.hold():
        pass

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    assert not run.lock.held, "that of another user"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".locks").write_text("a file")
    with (
        pytest.raises(InputError, match=r"could not be written .*choose another folder"),
        RunFolder(tmp_path / "a").lock.hold(),
    ):
        pass
