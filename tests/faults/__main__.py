"""Inject faults into every verb and count what is lost: `python -m tests.faults RECORD --faults 1000`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path


def main() -> int:
    """Inject the faults that the record does not have yet and print its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("record", type=Path, help="a file outside the repository: a line for each fault")
    parser.add_argument("--faults", type=int, default=1000, help="of the seed in the record at the end")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, places and order")
    parser.add_argument("--only", default="", help="faults with this in verb, kind and file, such as 'fit, kill'")
    parser.add_argument("--numbers", type=int, nargs="*", help="repeat these, whatever the record has")
    parser.add_argument("--table", action="store_true", help="print the table and inject nothing")
    options = parser.parse_args()

    from tests.faults.drive import drive
    from tests.faults.leftovers import folder
    from tests.faults.record import Record

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and leave no folder or disk behind
    record = Record(options.record)
    if not options.table:
        with folder() as home:
            drive(record, home, seed=options.seed, count=options.faults, only=options.only, again=options.numbers)
    print(record.table, end="")
    for line in record.lost:
        print(f"LOST: {line}")
    return bool(record.lost)


if __name__ == "__main__":
    raise SystemExit(main())
