"""Run a study: what is finished is kept, what was interrupted goes on, what fails is shown."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltr import files, shipped
from ltr.errors import InputError
from ltr.studies.plan import Entry, Plan
from ltr.studies.table import Cell, draw, markdown, terminal

Perform = Callable[..., None]
DESCRIPTION = """Run the trainings and tests of a study file and compare them in one table. What is finished is not run
again; an interrupted training goes on from its last checkpoint. Arguments that are not listed here go to every
training, such as --data.root data."""


def study(arguments: Sequence[str], perform: Perform) -> None:
    """Run a study and print its table.

    Args:
        arguments: the study file, options, and arguments for every training.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.

    Raises:
        InputError: where the file is no study, or after the table where a run failed.
    """
    parser = argparse.ArgumentParser("ltr study", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("file", help="a study file, or the name of a shipped one such as quickstart.yaml")
    parser.add_argument("--runs", default="checkpoints", help="folder in which the study's folder is kept")
    said, common = parser.parse_known_args(arguments)
    plan = Plan.read(said.file)
    runner = Runner(plan, Path(said.runs) / plan.name, perform, tuple(common))
    runner.run()
    cells = runner.cells()
    terminal(plan, cells)
    files.write_text(runner.folder / "table.md", markdown(plan, cells, command=" ".join(["ltr study", *arguments])))
    picture = draw(plan, cells, runner.folder / "recall.png")
    print(f"\ntable: {runner.folder / 'table.md'}" + (f"\npicture: {picture}" if picture else ""))
    if runner.failures:
        (name, seed), reason = next(iter(runner.failures.items()))
        raise InputError(f"{len(runner.failures)} of the runs failed, the first of them {name}, seed {seed}: {reason}")


@dataclass
class Runner:
    """The runs of a study in their folder.

    Attributes:
        plan: the study.
        folder: where its runs are.
        perform: runs a verb with its arguments.
        common: arguments of every training.
        failures: reason by (row, seed).
    """

    plan: Plan
    folder: Path
    perform: Perform
    common: tuple[str, ...] = ()
    failures: dict[tuple[str, int], str] = field(default_factory=dict)

    def home(self, name: str, seed: int) -> Path:
        """Return the folder of a training."""
        return self.folder / f"{name}-{seed}"

    def result(self, entry: Entry, seed: int) -> Path:
        """Return where the metrics of a row are."""
        evaluation = "test" if entry.of == entry.name else entry.name
        return self.home(entry.of, seed) / evaluation / "metrics.json"

    def run(self) -> None:
        """Run what is not finished, seed by seed, so that an early end leaves whole seeds."""
        jobs = [(entry, seed) for seed in self.plan.seeds for entry in self.plan.entries if seed in entry.seeds]
        start, width = time.perf_counter(), max(len(entry.title) for entry in self.plan.entries)
        for number, (entry, seed) in enumerate(jobs, 1):
            label = f"[{number:>{len(str(len(jobs)))}}/{len(jobs)}] {entry.title:<{width}} seed {seed}"
            began = time.perf_counter()
            state = self._attempt(entry, seed, label)
            now = time.perf_counter()
            print(f"{label}  {state}  ({now - began:.1f} s, {now - start:.0f} s so far)", flush=True)

    def _attempt(self, entry: Entry, seed: int, label: str) -> str:
        """Run a row and return how it went."""
        lost = sorted(need for need in entry.needs if (need, seed) in self.failures)
        try:
            if lost:
                raise InputError(f"it needs {lost[0]}, which failed.")
            kept = self._kept(entry, seed) and not self._missed(entry, seed)
            if not kept:
                if sys.stderr.isatty():
                    print(label, file=sys.stderr)
                self._train_and_test(entry, seed)
        except (Exception, SystemExit) as error:
            if not isinstance(error, InputError):
                traceback.print_exc()
            self.failures[entry.name, seed] = str(error) or type(error).__name__
            return f"FAILED: {self.failures[entry.name, seed]}"
        measures = json.loads(self.result(entry, seed).read_text(encoding="utf-8"))
        figures = "  ".join(f"{word} {100 * measures[key]:5.1f}" for word, key in (("top-1", "top1"), ("HM", "hm")))
        return f"{figures}  lowest {100 * measures['lowest']:5.1f}" + ("  (kept)" if kept else "")

    def _kept(self, entry: Entry, seed: int) -> bool:
        """Tell whether a row is finished; refuse a result that other arguments gave."""
        result = self.result(entry, seed)
        if not result.is_file():
            return False
        note = result.with_name("arguments.json")
        if note.is_file() and json.loads(note.read_text(encoding="utf-8")) != self._arguments(entry, seed):
            raise InputError(
                f"{result} was made with other arguments than the study gives now: delete {self.home(entry.of, seed)}, "
                "or give the row another name."
            )
        return True

    def _missed(self, entry: Entry, seed: int) -> bool:
        """Tell whether a row has its result but not its weights, and another row needs them for its own."""
        if entry.fit is None or (self.home(entry.name, seed) / shipped.LAST).is_file():
            return False
        waiting = (other for other in self.plan.entries if seed in other.seeds and not self._kept(other, seed))
        return any(entry.name in other.needs for other in waiting)

    def _arguments(self, entry: Entry, seed: int) -> dict[str, Any]:
        """Return the arguments of a row with the places of other rows filled in."""
        places = {name: str(self.home(name, seed)) for name in (other.name for other in self.plan.entries)}
        fill = [[word.format_map(_Places(places)) for word in words] for words in (entry.fit or (), entry.test)]
        return {"fit": [*fill[0], *self.common] if entry.fit is not None else None, "test": fill[1]}

    def _train_and_test(self, entry: Entry, seed: int) -> None:
        """Train a row where it trains, going on where it was interrupted, then test it."""
        home, arguments = self.home(entry.of, seed), self._arguments(entry, seed)
        if arguments["fit"] is not None:
            named = ["--runs", str(self.folder), "--name", home.name, "--seed_everything", str(seed)]
            if (home / shipped.LAST).is_file():
                named += ["--ckpt_path", "last"]
            elif home.is_dir():  # interrupted within its first epoch, or a result whose weights are needed again
                named.append("--overwrite")
            bar = [] if sys.stderr.isatty() else ["--trainer.enable_progress_bar", "false"]
            self.perform("fit", [*arguments["fit"], *bar, *named], tell=False)
        result = self.result(entry, seed)
        tested = ["--ckpt_path", str(home / shipped.LAST), "--evaluation", result.parent.name, *arguments["test"]]
        self.perform("test", tested, tell=False)
        files.write_json(result.with_name("arguments.json"), arguments)

    def cells(self) -> list[Cell]:
        """Return the measures of every row that has some."""
        cells = []
        for entry in self.plan.entries:
            found = {}
            for seed in entry.seeds:
                if (entry.name, seed) not in self.failures and self.result(entry, seed).is_file():
                    found[seed] = json.loads(self.result(entry, seed).read_text(encoding="utf-8"))
            reasons = [reason for (name, _), reason in self.failures.items() if name == entry.name]
            cells.append(Cell(entry.name, entry.title, found, len(entry.seeds), reasons[0] if reasons else None))
        return cells


class _Places(dict[str, str]):
    """Fill in the places of runs, and leave other braces as they are."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
