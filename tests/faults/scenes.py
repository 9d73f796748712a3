"""The commands that faults meet: what was there before, what follows `ltr`, and how a user goes on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from signal import SIGKILL

import yaml

from ltr.methods.feature_store import FOLDER as FEATURES
from ltr.run.folder import CHECKPOINT
from tests.faults.contents import bytes_of, contents, differences
from tests.faults.strikes import Strike, count_events
from tests.own_process import LONGEST, Command, End, meeting
from tests.tiny import TINY

PLAIN = "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
SMALL = f"{TINY} --data.batch_size 32 --model.backbone.width 2"
EPOCHS = 4
FIT = f"fit {SMALL} --trainer.max_epochs {EPOCHS} --name a"
DEVICES = "--trainer.devices 2 --trainer.strategy ddp"
TWO = f"{FIT} {DEVICES}"
GML = f"--config gml.yaml --model.backbone.checkpoint {{}} --trainer.max_epochs 3 {PLAIN}"
GRID = f"tune-grid --config grid.yaml --model.backbone.checkpoint a --seeds 0 1 --trainer.max_epochs 1 {PLAIN}"
FILES = {
    "study.yaml": {
        "seeds": [0],
        "runs": {"ce": {"title": "CE", "fit": SMALL}, "gml": {"title": "GML", "fit": GML.format("{ce}")}},
    },
    "grid.yaml": {
        "model": {"class_path": "Tuning", "init_args": {"backbone": {"class_path": "Pretrained"}, "loss": "GML"}},
        "trainer": {
            "callbacks": [{"class_path": "HeadGrid", "init_args": {"losses": {"GML": "GML"}, "lrs": [0.1, 1.0]}}]
        },
    },
}
OTHERS = "notes.txt"  # a file of the user, which nothing may touch


@dataclass(frozen=True)
class Scene:
    """A command in a folder.

    Attributes:
        verb: its name in the table.
        words: what follows `ltr`.
        before: the commands before it, undisturbed.
        halted: kill the last of these after so many checkpoints; 0 lets it end.
        whole: what the undisturbed command is compared with; its own result if empty.
        single: whether its result is written at one moment: all of it or nothing.
    """

    verb: str
    words: str
    before: tuple[str, ...] = ()
    halted: int = 0
    whole: str = ""
    single: bool = False


SCENES = (
    Scene("fit", FIT),
    Scene("fit", f"{FIT} --overwrite", (f"{FIT} --model.loss Focal", "test --ckpt_path a")),
    Scene("tuning", f"fit {GML.format('a')} --name g", (FIT,)),
    Scene("test", "test --ckpt_path a", (FIT,), single=True),
    Scene("predict", "predict --ckpt_path a", (FIT,), single=True),
    Scene("export", "export --ckpt_path a", (FIT,), single=True),
    Scene("study", "study study.yaml"),
    Scene("grid", GRID, (FIT,)),
)
PROCESSES = Scene("study --processes 2", "study study.yaml --processes 2")
# What reads the files that others have written.
READERS = (
    Scene("fit", f"{FIT} --ckpt_path last", (FIT,), halted=3, whole=FIT),
    Scene("fit", f"fit --ckpt_path checkpoints/a/{CHECKPOINT}", (FIT,), halted=3, whole=FIT),
    Scene("tuning", f"fit {GML.format('a')} --name g", (FIT,)),
    Scene("test", "test --ckpt_path a", (FIT,)),
    Scene("predict", "predict --ckpt_path a", (FIT,)),
    Scene("predict", "predict --ckpt_path exports/a.safetensors", (FIT, "export --ckpt_path a")),
    Scene("export", "export --ckpt_path a", (FIT,)),
    Scene("report", "report a", (FIT, "test --ckpt_path a")),
    Scene("study", "study study.yaml", ("study study.yaml",)),
    Scene("grid", GRID, (FIT, GRID)),
)
RANKS = Scene("fit on two devices", TWO)
MORE, FEWER = Scene("fit, then on two devices", FIT), Scene("fit on two devices, then on one", TWO)


@dataclass
class Stage:
    """A folder in which scenes are played, always the same one: paths in checkpoints are then the same.

    Attributes:
        root: where its folders are.
        known: what scenes leave without a fault, and how they end.
        rooms: the bytes that they write.
        commands: the number of those that were started.
        running: those that may still run.
    """

    root: Path
    known: dict[Scene, tuple[dict[str, str], End]] = field(default_factory=dict)
    rooms: dict[Scene, int] = field(default_factory=dict)
    commands: int = 0
    running: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        for folder in (self.disk, self.root / "before", self.root / "log"):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def disk(self) -> Path:
        """What becomes full or read-only."""
        return self.root / "disk"

    @property
    def folder(self) -> Path:
        """The working folder."""
        return self.disk / "work"

    def start(self, words: str, strike: Strike | None = None, **environment: str) -> Command:
        """Start a command."""
        self.commands += 1
        environment[FEATURES] = str(self.root / "features")
        log, first = self.root / "log" / str(self.commands % 8), partial(count_events, self.folder, strike)
        command = Command(words, self.folder, log, environment=environment, first=first)
        self.running = [*(one for one in self.running if one.runs), command]
        return command

    def end(self) -> None:
        """End what is still running."""
        for command in self.running:
            if command.runs:
                command.kill_group()

    def start_all(self, words: str, strike: Strike | None = None) -> list[Command]:
        """Start a command, as the two processes that it needs if it is on two devices.

        Args:
            words: the command.
            strike: of the first process.
        """
        if DEVICES not in words:
            return [self.start(words, strike)]
        return [self.start(words, None if rank else strike, **place) for rank, place in enumerate(meeting())]

    def run(self, words: str, strike: Strike | None = None) -> End:
        """Run a command; of two processes, return how the first one ended."""
        commands = self.start_all(words, strike)
        if strike:
            commands[0].ends_within(LONGEST)
            for command in commands[1:]:
                command.signal(SIGKILL)
        first, *_ = [command.wait() for command in commands]
        return first

    def prepare(self, scene: Scene) -> None:
        """Make the working folder as it is before the command."""
        self._empty()
        kept = self.root / "before" / re.sub(r"\W+", "_", " ".join((*scene.before, str(scene.halted))))[-200:]
        if scene.before and not kept.is_dir():
            for words in scene.before:
                halted = scene.halted if words == scene.before[-1] else 0
                end = self.run(words, Strike(9, halted, CHECKPOINT) if halted else None)
                assert end.code == (-9 if halted else 0), (words, end)
            shutil.copytree(self.folder, kept)
        elif scene.before:
            shutil.copytree(kept, self.folder, dirs_exist_ok=True)

    def _empty(self) -> None:
        """Make the working folder anew, with what is the user's."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "checkpoints").mkdir(parents=True)
        for name, content in FILES.items():
            (self.folder / name).write_text(yaml.safe_dump(content))
        (self.folder / "checkpoints" / OTHERS).write_text("mine")

    def undisturbed(self, scene: Scene) -> tuple[Mapping[str, str], End]:
        """Return what a scene leaves without a fault, and how it ends."""
        if scene not in self.known:
            self.prepare(scene)
            before = bytes_of(self.folder)
            end = self.run(scene.words)
            assert end.code == 0, (scene.words, end.err)
            result, now = contents(self.folder), bytes_of(self.folder)
            self.rooms[scene] = sum(len(now.get(name, b"")) for name in differences(before, now))
            if scene.whole:
                self._empty()
                assert self.run(scene.whole).code == 0
                whole = contents(self.folder)
                assert result == whole, f"{scene.words} is not the same as {scene.whole}, without a fault: {result}"
            self.known[scene] = result, end
        return self.known[scene]

    def go_on(self, scene: Scene, stopped: End) -> End:
        """Do what a user does after a fault: what the program has said, else the same command."""
        advice = re.search(r"go on with `ltr (.*?)`", stopped.err)
        words = advice[1] if advice else scene.words
        if DEVICES in scene.words and DEVICES not in words:  # they are in the checkpoint, but the stage has to know
            words = f"{words} {DEVICES}"
        end = self.run(words)
        for _ in range(3):
            if end.code == 2 and "exists already" in end.err and "--ckpt_path" not in words:
                words = f"{words} --ckpt_path last"
            elif end.code == 2 and "there is nothing to resume" in end.err and "--ckpt_path" in words:
                words = scene.words
            else:
                break
            end = self.run(words)
        return end
