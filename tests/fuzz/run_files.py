"""Runs: checkpoints whose fields are others, damaged side files, and any bytes in their place."""

from __future__ import annotations

import json
import math
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import torch
from answering import answer, empty_folder
from config_files import JUNK, replaced, ways
from hypothesis import strategies as st
from tiny import TINY
from torch import Tensor

from ltr.__main__ import run
from ltr.cli.command import Command
from ltr.predictor import Predictor
from ltr.process_state import isolated
from ltr.report import report
from ltr.run.folder import RunFolder

ACTS = ("predict", "predict", "predict", "test", "fit", "report")
SIDE = ("config.yaml", "metrics.csv", "test/metrics.json", "test/predictions.pt", "train.json")
CHANGES: list[Any] = [
    *JUNK,
    *(
        torch.zeros(0),
        torch.ones(2),
        torch.tensor(math.nan),
        torch.tensor([1, 0, -1]),
        torch.ones(2, 2, dtype=torch.bool),
    ),
    *(torch.eye(3).to_sparse(), torch.ones(1, device="meta"), torch.zeros(1).expand(2**40), 10**400, -(2**63), b"\xff"),
]


class Change(NamedTuple):
    """A change of a run.

    Attributes:
        act: what is done with it afterwards.
        way: to the value in the checkpoint that is another; empty for none.
        value: the other value.
        file: a side file with other content; empty for none.
        content: its bytes.
    """

    act: str
    way: tuple[str | int, ...] = ()
    value: Any = None
    file: str = ""
    content: bytes = b""


@cache
def trained() -> Path:
    """Return the folder with a run that is trained and tested, made once."""
    home = Path(mkdtemp())
    with empty_folder():
        run("fit", [*TINY.split(), "--name", "a", "--runs", str(home)])
        run("test", ["--ckpt_path", str(home / "a")])
    return home / "a"


@cache
def sound() -> dict[str, Any]:
    """Return the content of its checkpoint."""
    content: dict[str, Any] = torch.load(trained() / "last.ckpt", weights_only=True)
    return content


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Draw a change."""
    act = draw(st.sampled_from(ACTS))
    if draw(st.integers(0, 2)) == 0:
        name = draw(st.sampled_from(SIDE))
        path = trained() / name
        content = path.read_bytes() if path.is_file() else b""
        at = draw(st.integers(0, len(content)))
        piece = draw(
            st.binary(max_size=4) | st.sampled_from([b"", b"\n", b"}", b"NaN", b"[", b"null", b"-1", b"," * 9, b'"'])
        )
        end = at + draw(st.sampled_from([0, 1, 4, 100, 10_000]))
        return Change(act, file=name, content=content[:at] + piece + content[end:])
    known = [way for way in ways(sound()) if way[0] != "state_dict" or len(way) < 3]
    fields = [way for way in known if len(way) == 1]
    return Change(
        act, draw(st.sampled_from(known) | st.sampled_from(fields)), draw(st.sampled_from(CHANGES) | st.integers())
    )


def check_run(change: Change) -> str:
    """Use a changed run. Weights that are none, and counts that are none, are refused."""
    with empty_folder():
        shutil.copytree(trained(), "checkpoints/a")
        last = Path("checkpoints/a/last.ckpt")
        if change.way:
            torch.save(replaced(sound(), change.way, change.value), last)
        if change.file:
            Path("checkpoints/a", change.file).write_bytes(change.content)
        sentence = answer(lambda: act_on(change.act))
    if change.act in ("predict", "test", "fit") and change.way[:1] == ("state_dict",) and not sentence:
        before = sound()["state_dict"].get(change.way[1]) if len(change.way) == 2 else None
        assert isinstance(change.value, Tensor), f"{change.value!r} is used as {change.way}"
        assert before is not None, f"{change.value!r} is used as {change.way}"
        assert change.value.shape == before.shape, f"a tensor of another shape is used as {change.way}"
        assert bool(change.value.isfinite().all()), f"NaN is used as {change.way}"
    return sentence


def act_on(act: str) -> None:
    """Use the run as a verb does."""
    if act == "predict":
        predictor = Predictor.load("a", device="cpu")
        predictor.predict(
            torch.zeros(1, 3, predictor.preprocessing.size, predictor.preprocessing.size, dtype=torch.uint8)
        )
    elif act == "report":
        report(["a"])
        folder = RunFolder(Path("checkpoints/a"))
        json.dumps([folder.planned_epochs, folder.trained_epochs])
    else:
        words = ["--trainer.max_epochs", "3"] if act == "fit" else []
        with isolated():
            Command(act, ["--ckpt_path", "checkpoints/a/last.ckpt", *words]).start()
