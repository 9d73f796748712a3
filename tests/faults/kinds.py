"""The faults: each function injects one into a scene and says how it ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch

from ltr.files import is_temporary
from ltr.run.folder import CHECKPOINT
from tests.faults.contents import bytes_of, contents, differences
from tests.faults.scenes import EPOCHS, FIT, OTHERS, TWO, Scene, Stage
from tests.faults.strikes import Strike
from tests.own_process import End

SAME, TOLD, LOST = "same", "told", "lost"
SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "stop": signal.SIGSTOP}
LAUNCHER = 20.0  # seconds after which a launcher, such as Lightning's or torchrun, kills the processes of a dead one
ATTEMPTS = 4  # signals that came too late, before one is sent at a file operation


class Outcome(NamedTuple):
    """The outcome of a fault.

    Attributes:
        state: `same` result as without it, `told` in a sentence with nothing else changed, or `lost`.
        where: the moment, or the file and the place in it.
        detail: what was told or lost.
    """

    state: str
    where: str
    detail: str = ""


def compared(stage: Stage, scene: Scene, where: str, end: End) -> Outcome:
    """Return the outcome after a command that should have ended well."""
    if end.problem or end.code:
        return Outcome(LOST, where, end.problem or f"going on ended with {end.code}: {end.sentence}")
    changed = differences(dict(stage.undisturbed(scene)[0]), contents(stage.folder))
    return Outcome(LOST, where, f"other than undisturbed: {', '.join(changed)}") if changed else Outcome(SAME, where)


def half_written(stage: Stage, scene: Scene, before: dict[str, str], *, removable: bool = True) -> str:
    """Return what is there of a result that is written whole or not at all; empty if it is whole or not there.

    Args:
        stage: the stage.
        scene: the command.
        before: the contents before it.
        removable: whether the command could remove its temporary files; else the next one does.
    """
    now = contents(stage.folder)
    if not removable:
        now = {path: content for path, content in now.items() if not is_temporary(Path(path))}
    changed = differences(before, now)
    if not changed or now == stage.undisturbed(scene)[0]:
        return ""
    return f"half of a result: {', '.join(changed)}" if scene.single else ""


def struck(stage: Stage, scene: Scene, kind: str, random: Random) -> Outcome:
    """Send a signal to a command at a random moment, then go on."""
    number = SIGNALS[kind]
    _, whole = stage.undisturbed(scene)
    for attempt in range(ATTEMPTS + 1):
        stage.prepare(scene)
        before = contents(stage.folder)
        at_event = attempt == ATTEMPTS or (kind != "stop" and whole.events and random.random() < 0.5)
        if at_event and kind != "stop":
            event = random.randrange(whole.events) + 1
            where = f"file operation {event} of {whole.events}"
            command = stage.start(scene.words, Strike(number, event))
        else:
            delay = random.uniform(0, whole.seconds)
            where = f"after {delay:.2f} of {whole.seconds:.2f} s"
            command = stage.start(scene.words)
            time.sleep(delay)
            command.signal(number)
        if kind == "stop":
            time.sleep(random.uniform(0.05, 0.5))
            command.signal(signal.SIGCONT)
            return compared(stage, scene, where, command.wait())
        end = command.wait()
        if end.code == 0:  # it was over before the signal
            continue
        if problem := end.problem or _badly_ended(end, number):
            return Outcome(LOST, where, problem)
        if command.left_over():
            return Outcome(LOST, where, "processes go on without the command")
        if number != signal.SIGKILL and (half := half_written(stage, scene, before)):
            return Outcome(LOST, where, half)
        return compared(stage, scene, where, stage.go_on(scene, end))
    raise AssertionError("unreachable: a strike at a file operation always comes in time")


def _badly_ended(end: End, number: int) -> str:
    """Return what is wrong with the end of a command that got a signal."""
    usual = {signal.SIGTERM: (143, -15), signal.SIGINT: (130,), signal.SIGKILL: (-9,)}[signal.Signals(number)]
    if end.code not in usual:
        return f"{signal.Signals(number).name} ended it with {end.code}: {end.sentence}"
    if end.code in (130, 143) and "ltr: stopped by" not in end.err:
        return f"stopped without a sentence: {end.sentence}"
    return ""


@contextmanager
def small_disk(stage: Stage) -> Iterator[None]:
    """Put the working folder on a file system of its own, in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", stage.disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", stage.disk], check=True)


def no_small_disk(folder: Path) -> str:
    """Return why there can be no small disk here; empty if there can."""
    if os.name != "posix" or os.geteuid() or not shutil.which("mount"):
        return "only root may mount a file system"
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        return "this machine does not let root mount a file system"
    subprocess.run(["umount", folder], check=True)
    return ""


def full(stage: Stage, scene: Scene, random: Random) -> Outcome:
    """Let the disk become full at a random byte of what a command writes, make room, and go on."""
    stage.undisturbed(scene)
    with small_disk(stage):
        needed = stage.rooms[scene]
        ballast = stage.disk / "ballast"
        for room in (random.randrange(needed + 1), random.randrange(needed // 2 + 1), random.randrange(4096)):
            stage.prepare(scene)
            before = contents(stage.folder)
            with ballast.open("wb") as file:
                file.truncate(0)
                os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(stage.disk).free - room, 1))
            end = stage.run(scene.words)
            ballast.unlink()
            if end.code == 0:  # there was room enough
                continue
            where = f"room for {room} of {needed} bytes"
            return _after_refusal(stage, scene, before, where, end)
    return Outcome(LOST, "no room at all", "the disk was full, and nothing was said")


def read_only(stage: Stage, scene: Scene, random: Random) -> Outcome:
    """Let the folder become read-only at a random moment, make it writable again, and go on."""
    _, whole = stage.undisturbed(scene)
    with small_disk(stage):
        for latest in (whole.seconds, whole.seconds / 2, 0.0):
            stage.prepare(scene)
            before = contents(stage.folder)
            delay = random.uniform(0, latest)
            command = stage.start(scene.words)
            time.sleep(delay)
            while subprocess.run(["mount", "-o", "remount,ro", stage.disk], capture_output=True).returncode:
                time.sleep(0.01)  # a file is just being written
                if not command.runs:
                    break
            end = command.wait()
            subprocess.run(["mount", "-o", "remount,rw", stage.disk], check=True)
            if end.code == 0:
                continue
            where = f"after {delay:.2f} of {whole.seconds:.2f} s"
            return _after_refusal(stage, scene, before, where, end, removable=False)
    return Outcome(LOST, "at the beginning", "the folder was read-only, and nothing was said")


def _after_refusal(
    stage: Stage, scene: Scene, before: dict[str, str], where: str, end: End, *, removable: bool = True
) -> Outcome:
    """Return the outcome of a command that could not write, once it can."""
    if end.problem or end.code != 2:
        return Outcome(LOST, where, end.problem or f"it ended with {end.code}: {end.sentence}")
    if half := half_written(stage, scene, before, removable=removable):
        return Outcome(LOST, where, half)
    return compared(stage, scene, where, stage.go_on(scene, end))


def truncated(content: bytes, random: Random) -> tuple[bytes, str]:
    """Return the beginning of a file."""
    length = random.randrange(len(content))
    return content[:length], f"{length} of {len(content)} bytes left"


def flipped(content: bytes, random: Random) -> tuple[bytes, str]:
    """Return a file with one to three changed bits."""
    changed, places = (
        bytearray(content),
        sorted(random.sample(range(len(content)), min(random.randint(1, 3), len(content)))),
    )
    for place in places:
        changed[place] ^= 1 << random.randrange(8)
    return bytes(changed), f"bits of bytes {', '.join(map(str, places))} of {len(content)}"


DAMAGE = {"truncated": truncated, "flipped": flipped}


def written(stage: Stage, scene: Scene) -> list[str]:
    """Return the files that `ltr` has written before a scene, and that have a content."""
    stage.prepare(scene)
    files = {Path(name): content for name, content in bytes_of(stage.folder).items() if content}
    return [str(path) for path in files if len(path.parts) > 1 and path.name != OTHERS and not is_temporary(path)]


def damaged(stage: Stage, scene: Scene, kind: str, file: str, random: Random) -> Outcome:
    """Damage a file, then run the command that may read it."""
    wanted, _ = stage.undisturbed(scene)
    stage.prepare(scene)
    path = stage.folder / file
    content, place = DAMAGE[kind](path.read_bytes(), random)
    path.write_bytes(content)
    before, where = bytes_of(stage.folder), f"{file}, {place}"
    end = stage.run(scene.words)
    if end.problem:
        return Outcome(LOST, where, end.problem)
    if end.code:
        changed = differences(before, bytes_of(stage.folder))
        if scene.verb == "study":  # which writes its tables anew, with a row that has failed
            changed = [name for name in changed if len(Path(name).parts) > 3]
        if changed or path.name not in end.err:
            return Outcome(LOST, where, f"{end.sentence} Changed: {', '.join(changed)}")
        return Outcome(TOLD, where, end.sentence)
    changed = [name for name in differences(dict(wanted), contents(stage.folder)) if name != file]
    if not changed:
        return Outcome(SAME, where, "" if "note" not in end.err else end.sentence)
    if path.name == "config.yaml" and "config.yaml is not the config that" in end.err:  # which a user may edit
        return Outcome(TOLD, where, end.sentence)
    return Outcome(LOST, where, f"other than undisturbed: {', '.join(changed)}")


def second_process(stage: Stage, scene: Scene, random: Random) -> Outcome:
    """Give the same command a second time while the first one works."""
    _, whole = stage.undisturbed(scene)
    stage.prepare(scene)
    delay = random.uniform(0, whole.seconds)
    first = stage.start(scene.words)
    time.sleep(delay)
    second = stage.start(scene.words)
    ends = first.wait(), second.wait()
    where = f"after {delay:.2f} of {whole.seconds:.2f} s"
    for end in ends:
        if end.problem:
            return Outcome(LOST, where, end.problem)
    best = min(ends, key=lambda end: end.code or 0)
    outcome = compared(stage, scene, where, best)
    return outcome._replace(detail=outcome.detail or max(ends, key=lambda end: end.code or 0).err.strip())


def dead_rank(stage: Stage, scene: Scene, random: Random) -> Outcome:
    """Kill one of two processes of a training at a random moment, then go on with two."""
    _, whole = stage.undisturbed(scene)
    for _ in range(ATTEMPTS):
        stage.prepare(scene)
        delay, victim = random.uniform(0, whole.seconds), random.randrange(2)
        where = f"rank {victim}, after {delay:.2f} of {whole.seconds:.2f} s"
        ranks = stage.start_all(scene.words)
        time.sleep(delay)
        ranks[victim].signal(signal.SIGKILL)
        dead = ranks[victim].wait()
        if not ranks[1 - victim].ends_within(LAUNCHER):  # it waits for the other at the beginning
            ranks[1 - victim].signal(signal.SIGKILL)
            where += ", the other one by its launcher"
        other = ranks[1 - victim].wait()
        if dead.code == 0:
            continue
        if other.problem or other.code not in (2, -9):
            ended = other.problem or f"it ended with {other.code}: {other.sentence}"
            return Outcome(LOST, where, f"the other process: {ended}")
        return compared(stage, scene, where, stage.go_on(scene, other))
    return Outcome(SAME, "after its end")


def other_devices(stage: Stage, scene: Scene, random: Random) -> Outcome:
    """Kill a training, go on with another number of devices; compare with one that was halted at that epoch."""
    _, whole = stage.undisturbed(scene)
    one, two = (command.replace("--ckpt_path last", "") for command in (FIT, TWO))
    other = one if scene.words == two else two
    for _ in range(ATTEMPTS):
        stage.prepare(scene)
        event = random.randrange(whole.events // 3, whole.events) + 1
        killed = stage.run(scene.words, Strike(signal.SIGKILL, event))
        checkpoint = stage.folder / "checkpoints" / "a" / CHECKPOINT
        if killed.code == 0 or not checkpoint.is_file():
            continue
        epoch = torch.load(checkpoint, weights_only=True)["epoch"] + 1
        if epoch == EPOCHS:  # nothing is left to go on with
            continue
        where = f"file operation {event} of {whole.events}, after {epoch} epochs"
        halted = Scene(scene.verb, f"{other} --ckpt_path last", (scene.words,), halted=epoch + 1)
        end = stage.run(f"{other} --ckpt_path last")
        return compared(stage, halted, where, end)
    return Outcome(SAME, "before the first checkpoint or after the last one")
