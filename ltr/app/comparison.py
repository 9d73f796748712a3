"""Results side by side: a table, figures, and files to keep."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from ltr import files, plots
from ltr.app.drawing import drawing
from ltr.app.heads import curve_of, heads_of
from ltr.app.place import Place
from ltr.app.tuning import BEFORE, CONTROL
from ltr.counts import by_count
from ltr.errors import InputError
from ltr.html.markup import picture, sentence, table
from ltr.measures import shown
from ltr.report import figures
from ltr.report.compared import clash, names, splits_differ
from ltr.report.measures import NOTE, title, written
from ltr.run import description
from ltr.run.folder import METRICS, TEST, EvaluationResult, RunFolder

OLD, NEW, ADJUSTED = "before", "after", "control"
MOST = 12
KEPT = 86400.0  # seconds that a file waits to be downloaded


@dataclass(frozen=True)
class Comparison:
    """Evaluations by the names they have in tables and figures.

    Attributes:
        title: what it is of, for the names of files.
        rows: the evaluations, in order.
        drawn: those whose recalls are in the figure.
        tuned: the run whose two heads can be weighed against each other, None where none has two.
        whose: what stands before the two heads in tables, where there are several runs.
        ensemble: both heads together, where they were asked.
        curve: the measures of both together at every temperature of the old head, likewise.
    """

    title: str
    rows: Mapping[str, EvaluationResult]
    drawn: Sequence[str]
    tuned: Path | None = None
    whose: str = ""
    ensemble: tuple[str, EvaluationResult] | None = None
    curve: Sequence[Mapping[str, float]] = ()

    @property
    def all(self) -> dict[str, EvaluationResult]:
        """The evaluations, the ensemble included."""
        return dict([*self.rows.items(), *([self.ensemble] if self.ensemble else [])])

    def at(self, t_new: float, t_old: float) -> Comparison:
        """Return the same with both heads of the tuned run together, at two temperatures.

        Raises:
            InputError: where they cannot be asked.
        """
        if self.tuned is None:
            return self
        measures = heads_of(self.tuned).at(t_new, t_old)
        name = f"{self.whose}both heads (t_new {t_new:.3g}, t_old {t_old:.3g})"
        ensemble = name, EvaluationResult("ensemble", self.tuned, measures)
        return replace(self, ensemble=ensemble, curve=curve_of(self.tuned, t_new))

    def table(self) -> str:
        """Return the nine figures of every row, and a warning where they must not be compared."""
        keys = [measure.key for measure in shown("main")]
        rows = [[name, *(written(key, one.metrics.get(key)) for key in keys)] for name, one in self.all.items()]
        warning = clash(self.rows) or splits_differ(self.rows.values())
        text = sentence(warning, kind="missing") if warning else ""
        return text + table(["", *map(title, keys)], rows) + sentence(NOTE, kind="note")

    def recalls(self) -> Figure:
        """Draw the recall of every class."""
        found = {name: self.rows[name].metrics["recall"] for name in self.drawn}
        return figures.recall(found, self.rows[self.drawn[0]])

    def change(self) -> Figure:
        """Draw what the second row changes for every class against the first."""
        first, second = ((name, self.rows[name]) for name in self.drawn[:2])
        return figures.difference(first, second)

    def trade_off(self) -> Figure:
        """Draw what the temperature of the old head gives and takes."""
        assert self.ensemble is not None
        name, here = self.ensemble
        comparable = [(row, one) for row, one in self.rows.items() if not clash({row: one, name: here})]
        points = {row: one.metrics for row, one in comparable[: figures.SERIES]}
        return plots.trade_off(self.curve, points, (name, here.metrics))

    def weighing(self) -> str:
        """Return the trade-off for the page."""
        with drawing():
            return picture(self.trade_off(), "top-1 against harmonic mean and lowest recall")

    def pictures(self) -> str:
        """Return the figures of the classes for the page, or why there are none."""
        if clash(self.rows):
            return ""
        with drawing():
            text = picture(self.recalls(), "recall of every class, by training images")
            if len(self.drawn) > 1:
                text += sentence(f"{self.drawn[1]} against {self.drawn[0]}:")
                text += picture(self.change(), "difference of the recalls of every class")
        if len(self.rows) > len(self.drawn):
            text += sentence(f"The figure shows {', '.join(self.drawn)}; all are in the CSV.", kind="note")
        return text

    def keep(self, place: Place) -> dict[str, Path]:
        """Write the figures and the numbers as files to download.

        Args:
            place: where to.

        Returns:
            The files: `recall` and `trade_off` (PNG), `recalls` and `figures` (CSV), those that there are.
        """
        home = place.own / "downloads"
        for old in home.glob("*"):
            if time.time() - old.stat().st_mtime > KEPT:
                old.unlink(missing_ok=True)
        stem = re.sub(r"[^A-Za-z0-9_+-]+", "_", self.title)[:80]
        made = {"figures": home / f"{stem}_figures.csv"}
        rows = [{"result": name, **one.scalars} for name, one in self.all.items()]
        files.write_csv(made["figures"], [{key: cell(value) for key, value in row.items()} for row in rows])
        if not clash(self.rows):
            made |= {"recalls": home / f"{stem}_recalls.csv", "recall": home / f"{stem}_recall.png"}
            files.write_csv(made["recalls"], self.by_class())
            with drawing():
                plots.save(self.recalls(), made["recall"])
        if self.ensemble is not None:
            made["trade_off"] = home / f"{stem}_trade_off.png"
            with drawing():
                plots.save(self.trade_off(), made["trade_off"])
        return made

    def by_class(self) -> list[dict[str, object]]:
        """Return a row for every class, from the most to the fewest training images."""
        of = next(iter(self.rows.values()))
        return [
            {"class": of.classes[label], "training_images": of.counts[label]}
            | {name: cell(one.metrics["recall"][label]) for name, one in self.all.items()}
            for label in by_count(of.counts)
        ]


def cell(value: object) -> object:
    """Return what a cell of a CSV holds: nothing where nothing was measured."""
    return "" if value is None else value


def of_tuning(place: Place, name: str) -> Comparison:
    """Return a tuning against the network as it was, with and without logit adjustment.

    Raises:
        InputError: where there is no result yet, or its files are damaged.
    """
    after = place.new(name)
    before = place.runs / (name + BEFORE)
    homes = {OLD: before / TEST, NEW: after / TEST, ADJUSTED: before / CONTROL}
    found = {row: EvaluationResult.read(home) for row, home in homes.items() if (home / METRICS).is_file()}
    if NEW not in found:
        raise InputError(f"the tuning {name} has no result yet.")
    loss = dict(description.method(found[NEW].metrics.get("config") or {})).get("loss", "tuned").partition("(")[0]
    named = {OLD: "before: old head", NEW: f"after: {loss}", ADJUSTED: "control: old head, logit adjustment (tau 1)"}
    rows = {named[row]: one for row, one in found.items()}
    drawn = [named[row] for row in (OLD, NEW) if row in found]
    return Comparison(name, rows, drawn, after)


def of_runs(place: Place, chosen: Sequence[str]) -> Comparison:
    """Return finished runs side by side.

    Raises:
        InputError: where there are fewer than two or too many, one was never tested, or files are damaged.
    """
    chosen = list(dict.fromkeys(chosen))
    if not 2 <= len(chosen) <= MOST:
        raise InputError(f"choose 2 to {MOST} runs; these are {len(chosen)}.")
    runs = names([RunFolder(place.run(name)) for name in chosen])
    rows = {name: run.main for name, run in runs.items() if run.main is not None}
    if len(rows) < len(runs):
        raise InputError(f"{min(runs.keys() - rows.keys())} was never tested: `ltr test` brings its figures.")
    tuned = (name for name, one in rows.items() if "old_recall" in one.metrics)
    weighed = next((name for name in tuned if runs[name].checkpoint.is_file()), None)
    found = Comparison("_".join(rows), rows, list(rows)[: figures.SERIES])
    return found if weighed is None else replace(found, tuned=runs[weighed].path, whose=f"{weighed}, ")
