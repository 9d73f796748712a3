"""A command of `ltr` in a process of its own, which shares its imports with all others and may strike itself.

The fork server imports this file once; a process that it forks starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ltr.__main__ import main
from ltr.callbacks import Run
from tests.tiny import TINY

# What is drawn, by the kind of what draws it.
DRAWN: dict[type, Callable[[Any], Any]] = {
    Line2D: Line2D.get_xydata,
    Text: Text.get_text,
    Rectangle: lambda bar: bar.get_bbox().bounds,
    Collection: Collection.get_offsets,
    AxesImage: AxesImage.get_array,
}
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.link")


@dataclass(frozen=True)
class Strike:
    """A signal that a process sends to itself at a file operation in its folder.

    Attributes:
        signal: its number.
        event: the number of the operation.
        name: count the renames to this name only, in place of all operations.
    """

    signal: int
    event: int
    name: str = ""


def work(
    command: str,
    folder: Path,
    log: Path,
    told: Connection,
    strike: Strike | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command of `ltr` in a folder, in a process group of its own.

    Args:
        command: what follows `ltr`.
        folder: the working folder.
        log: prefix of the files for what it prints.
        told: gets a word when the work begins, and the number of file operations at its end.
        strike: a signal in between.
        environment: variables of the environment.
    """
    os.setsid()
    for name, number in (("out", 1), ("err", 2)):
        with log.with_suffix(f".{name}").open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    os.environ |= environment or {}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a driver in the background ignores
    torch.set_num_threads(1)
    Run.pause = 0.0  # a checkpoint after every epoch, as if an epoch took longer than the pause
    Figure.savefig = quick_picture  # type: ignore[method-assign]
    words = shlex.split(command)
    sys.argv = ["ltr", *words]
    events = count_events(folder, strike)
    told.send("begin")
    try:
        main(words)
    finally:
        told.send(events[0])


def count_events(folder: Path, strike: Strike | None) -> list[int]:
    """Count the file operations in a folder from now on, and strike at one of them; return the counter."""
    count, inside = [0], str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(arguments[0])
        if not path.startswith(inside):
            return
        if strike and strike.name and (event != "os.rename" or Path(arguments[1]).name != strike.name):
            return
        count[0] += 1
        if strike and count[0] == strike.event:
            os.kill(os.getpid(), strike.signal)

    sys.addaudithook(hook)
    return count


def quick_picture(figure: Figure, file: Any, **options: Any) -> None:
    """Write a small picture that differs where what is drawn differs: drawing takes longer than a small run."""
    drawn = hashlib.sha256()
    for artist in figure.findobj():
        for kind, value in DRAWN.items():
            if isinstance(artist, kind):
                drawn.update(np.asarray(value(artist)).tobytes())
    if options.get("format") == "svg":
        about = f"<desc>{drawn.hexdigest()}</desc>"
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">{about}</svg>'.encode())
        return
    about = PngInfo()
    about.add_text("drawn", drawn.hexdigest())
    Image.new("RGB", (8, 8), "white").save(file, "PNG", pnginfo=about)


def warm_up() -> None:
    """Import what the verbs import and fill the caches of signatures, which is most of the work of a small command.

    Nothing is trained: threads that torch starts for it would not be there after a fork.
    """
    for_nothing = f"{TINY} --trainer.max_epochs 0"
    tuning = (
        "--config gml.yaml --model.backbone.checkpoint a --trainer.max_epochs 0 --trainer.enable_progress_bar false"
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        for words in (
            *(f"fit {for_nothing} --name a", "test --ckpt_path a", "predict --ckpt_path a", "export --ckpt_path a"),
            *("report a", f"fit {tuning} --name b", "study --help", "tune-grid --help"),
        ):
            with contextlib.suppress(SystemExit):  # as help ends
                main(shlex.split(words))
