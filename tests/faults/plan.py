"""Which fault has which number: every round has each kind with each verb and each file, in an order of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.faults import kinds
from tests.faults.kinds import DAMAGE, SIGNALS, Outcome
from tests.faults.scenes import FEWER, MORE, PROCESSES, RANKS, READERS, SCENES, Scene, Stage

FULL, READ_ONLY = "full disk", "read-only"


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        scene: the command that it meets.
        kind: its kind.
        file: the file that it damages; empty if it damages none.
    """

    scene: Scene
    kind: str
    file: str = ""

    def inject(self, stage: Stage, random: Random) -> Outcome:
        """Inject it and return the outcome."""
        if self.kind in SIGNALS:
            return kinds.struck(stage, self.scene, self.kind, random)
        if self.kind in DAMAGE:
            return kinds.damaged(stage, self.scene, self.kind, self.file, random)
        return OTHERS[self.kind](stage, self.scene, random)


OTHERS: dict[str, Callable[[Stage, Scene, Random], Outcome]] = {
    FULL: kinds.full,
    READ_ONLY: kinds.read_only,
    "second process": kinds.second_process,
    "dead rank": kinds.dead_rank,
    "other devices": kinds.other_devices,
}


def a_round(stage: Stage) -> list[Fault]:
    """Return the faults of a round."""
    signals = ["kill -9", *SIGNALS]  # which says nothing, twice
    faults = [Fault(scene, kind) for scene in SCENES for kind in (*signals, *[FULL] * 3, READ_ONLY, "second process")]
    faults += [Fault(PROCESSES, kind) for kind in ("kill -9", "SIGTERM", "SIGINT")]
    faults += [Fault(RANKS, "dead rank"), Fault(MORE, "other devices"), Fault(FEWER, "other devices")]
    for scene in READERS:
        faults += [Fault(scene, kind, file) for file in kinds.written(stage, scene) for kind in DAMAGE]
    return faults


def faults(stage: Stage, seed: int) -> Iterator[tuple[int, Fault, Random]]:
    """Yield the faults of a seed without end: the number of each, and what its moment and place are drawn from."""
    every, number = a_round(stage), 0
    while True:
        order = list(every)
        Random(f"{seed} {number}").shuffle(order)
        for fault in order:
            yield number, fault, Random(f"{seed} {number} {fault.kind}")
            number += 1
