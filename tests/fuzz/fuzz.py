"""Give the program inputs of every kind: `python tests/fuzz/fuzz.py`, 20,000 of them; see `--help`.

An input that fails is kept in `.hypothesis/`, and is tried first the next time.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import config_files
import flag_words
import image_folders
import label_tables
import run_files
import torch
import weight_files
from answering import peak
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.strategies import SearchStrategy

DATABASE = Path(__file__).resolve().parents[2] / ".hypothesis" / "examples"
INPUTS = 20_000
HEAD = "| kind | inputs | used | refused | slowest, s |\n|---|---:|---:|---:|---:|"


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
        inputs: draws one.
        check: gives it to the program; returns the sentence with which it is refused.
        short: how many the suite tries.
        share: of all inputs of the long form, in percent.
    """

    inputs: SearchStrategy[Any]
    check: Callable[[Any], str]
    short: int
    share: int


KINDS = {
    "options of a training": Kind(flag_words.training_lines(), flag_words.check_training, 20, 15),
    "words of a verb": Kind(flag_words.verb_lines(), flag_words.check_verb, 40, 8),
    "configs": Kind(config_files.configs, config_files.check_config, 16, 12),
    "configs of others": Kind(config_files.configs, config_files.check_foreign_config, 50, 10),
    "studies": Kind(config_files.studies, config_files.check_study, 50, 10),
    "tables": Kind(label_tables.tables(), label_tables.check_table, 60, 12),
    "damaged Parquet files": Kind(label_tables.damaged_tables(), label_tables.check_table, 30, 5),
    "weights": Kind(weight_files.weight_files(), weight_files.check_weights, 25, 8),
    "safetensors headers": Kind(weight_files.safetensors_files(), weight_files.check_weights, 40, 5),
    "runs": Kind(run_files.changes(), run_files.check_run, 6, 5),
    "folders of images": Kind(image_folders.trees(), image_folders.check_folder, 40, 10),
}


class Tally(NamedTuple):
    """The answers to the inputs of a kind.

    Attributes:
        answers: how many were used and refused.
        slowest: the longest time of the processor, in seconds.
    """

    answers: Counter[str]
    slowest: list[float]


def explore(kind: Kind, count: int, *, start: int | None = None, **options: Any) -> Tally:
    """Try inputs of a kind.

    Args:
        kind: the kind.
        count: how many inputs.
        start: the seed; None for the one of hypothesis.
        **options: further settings of hypothesis.

    Raises:
        Exception: the failure of the simplest input that fails, with the input in its notes; several in a group.
    """
    tally = Tally(Counter(), [0.0])

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), **options)
    @given(kind.inputs)
    def holds(item: Any) -> None:
        begun = time.process_time()
        sentence = kind.check(item)
        tally.answers["refused" if sentence else "used"] += 1
        tally.slowest[0] = max(tally.slowest[0], time.process_time() - begun)

    (holds if start is None else seed(start)(holds))()
    return tally


def main(words: Sequence[str] | None = None) -> int:
    """Try inputs of all kinds, and print how they were answered; return 1 if one failed."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--inputs", type=int, default=INPUTS, help="how many, over all kinds")
    options.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS), help="kinds of inputs")
    options.add_argument("--seed", type=int, default=0, help="other inputs for another seed")
    given_words = options.parse_args(words)
    torch.set_num_threads(1)
    failures: list[Exception] = []
    print(f"seed {given_words.seed}\n\n{HEAD}", flush=True)
    for name in given_words.only:
        count = max(given_words.inputs * KINDS[name].share // 100, 1)
        try:
            database = DirectoryBasedExampleDatabase(DATABASE)
            answers, (slowest,) = explore(KINDS[name], count, start=given_words.seed, database=database)
        except Exception as error:
            failures.append(error)
            print(f"| {name} | failed | | | |", flush=True)
            continue
        figures = [answers.total(), answers["used"], answers["refused"]]
        print(f"| {name} | {' | '.join(f'{figure:,}' for figure in figures)} | {slowest:.1f} |", flush=True)
    print(f"\n{peak() / 2**20:.0f} MiB in use at most")
    for error in failures:
        traceback.print_exception(error)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
