"""Inject faults one after another and write down what becomes of each."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from tests.faults.kinds import no_small_disk
from tests.faults.plan import FULL, READ_ONLY, faults
from tests.faults.record import Record
from tests.faults.scenes import Stage

MOST = 100  # faults on one file


def drive(
    record: Record, folder: Path, *, seed: int, count: int, only: str = "", again: Collection[int] | None = None
) -> None:
    """Inject the faults of a seed that a record does not have.

    Args:
        record: gets a line for each fault.
        folder: an empty folder.
        seed: of the faults.
        count: the number of faults of the seed at the end.
        only: inject only faults with this text in their verb, kind and file.
        again: inject the faults of these numbers only, whether the record has them or not.
    """
    stage, done = Stage(folder), record.done(seed)
    reason = no_small_disk(folder / "disk")
    print(f"seed {seed}, {len(done)} faults in {record.path}" + f"; no full or read-only disk: {reason}" * bool(reason))
    try:
        for number, fault, random in faults(stage, seed):
            if number >= count:
                break
            skipped = number in done if again is None else number not in again
            named = f"{fault.scene.verb}, {fault.kind}, {fault.file}"
            if skipped or only not in named or (reason and fault.kind in (FULL, READ_ONLY)):
                continue
            if record.files[fault.file] >= MOST:
                continue
            began = time.monotonic()
            outcome = fault.inject(stage, random)
            line = {"number": number, "seed": seed, "verb": fault.scene.verb, "kind": fault.kind, "file": fault.file}
            line |= {"command": fault.scene.words, **outcome._asdict(), "seconds": round(time.monotonic() - began, 1)}
            record.add(line)
            print(f"{number}: {named} {outcome.where}: {outcome.state} {outcome.detail}", flush=True)
    finally:
        stage.end()
