"""Compare evaluations: a table, figures, and files to download."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from ltr import files, plots
from ltr.app.allowed_paths import AllowedPaths, trust_words
from ltr.app.figures import drawing
from ltr.app.heads import curve_of, heads_of, temperature
from ltr.app.tuning import CONTROL
from ltr.counts import by_count
from ltr.errors import InputError
from ltr.html import picture, sentence, table
from ltr.measures import NOTE, measure_of, shown, written
from ltr.report import figures
from ltr.report.compared import clash, names, splits_differ
from ltr.run import description
from ltr.run.evaluation import METRICS, TEST, EvaluationResult
from ltr.run.folder import RunFolder

OLD, NEW, ADJUSTED = "before", "after", "control"
MOST = 12
KEPT = 86400.0  # seconds that a file can be downloaded


@dataclass(frozen=True)
class Comparison:
    """Evaluations by the names they have in tables and figures.

    Attributes:
        title: for the names of the files.
        downloads: the folder of the files.
        rows: the evaluations, in order.
        drawn: those whose recalls are in the figure.
        tuned: a run with an old and a new head, which can be combined; None if there is none.
        packages: names of the packages whose classes its config may name, besides `ltr`.
        whose: prefix of the ensemble's name in tables of several runs.
        ensemble: the ensemble of both heads, once its temperatures are chosen.
        curve: the measures of the ensemble at every temperature of the old head, likewise.
        temperatures: those of the new and the old head, likewise.
    """

    title: str
    downloads: Path
    rows: Mapping[str, EvaluationResult]
    drawn: Sequence[str]
    tuned: Path | None = None
    packages: tuple[str, ...] = ()
    whose: str = ""
    ensemble: tuple[str, EvaluationResult] | None = None
    curve: Sequence[Mapping[str, float]] = ()
    temperatures: tuple[float, float] = (1.0, 1.0)

    @property
    def all(self) -> dict[str, EvaluationResult]:
        """The evaluations, including the ensemble."""
        return dict([*self.rows.items(), *([self.ensemble] if self.ensemble else [])])

    def at(self, t_new: float, t_old: float) -> Comparison:
        """Return the comparison with the ensemble of both heads at two temperatures.

        Raises:
            InputError: if the run cannot be evaluated.
        """
        if self.tuned is None:
            return self
        measures = heads_of(self.tuned, self.packages).at(t_new, t_old)
        name = f"{self.whose}both heads (t_new {t_new:.3g}, t_old {t_old:.3g})"
        ensemble = name, EvaluationResult("ensemble", self.tuned, measures)
        curve = curve_of(self.tuned, t_new, self.packages)
        return replace(self, ensemble=ensemble, curve=curve, temperatures=(t_new, t_old))

    def at_powers(self, new: object, old: object) -> Comparison:
        """Return `at` for temperatures given as powers of two, as the sliders do."""
        return self.at(temperature(new), temperature(old))

    @property
    def command(self) -> list[str]:
        """The arguments of `ltr` that test this ensemble."""
        t_new, t_old = self.temperatures
        words = ["test", "--ckpt_path", str(self.tuned), "--config", "ensemble.yaml", "--evaluation", "ensemble"]
        words += ["--trainer.callbacks.t_new", f"{t_new:.10g}", "--trainer.callbacks.t_old", f"{t_old:.10g}"]
        return [*words, *trust_words(self.packages)]

    def table(self) -> str:
        """Return nine measures of every row, with a warning if they cannot be compared."""
        keys = [measure.key for measure in shown("main")]
        rows = [[name, *(written(key, one.metrics.get(key)) for key in keys)] for name, one in self.all.items()]
        warning = clash(self.rows) or splits_differ(self.rows.values())
        text = sentence(warning, kind="missing") if warning else ""
        return text + table(["", *(measure_of(key).title for key in keys)], rows) + sentence(NOTE, kind="note")

    def recalls(self) -> Figure:
        """Draw the recall of every class."""
        recalls = {name: self.rows[name].metrics["recall"] for name in self.drawn}
        return figures.recall(recalls, self.rows[self.drawn[0]])

    def change(self) -> Figure:
        """Draw what the second row changes for every class against the first."""
        first, second = ((name, self.rows[name]) for name in self.drawn[:2])
        return figures.difference(first, second)

    def trade_off(self) -> Figure:
        """Draw what the temperature of the old head gives and takes."""
        assert self.ensemble is not None
        name, ensemble = self.ensemble
        comparable = [(row, one) for row, one in self.rows.items() if not clash({row: one, name: ensemble})]
        points = {row: one.metrics for row, one in comparable[: figures.SERIES]}
        return plots.trade_off(self.curve, points, (name, ensemble.metrics))

    def weighing(self) -> str:
        """Return the trade-off as HTML."""
        with drawing():
            return picture(self.trade_off(), "top-1 against harmonic mean and lowest recall")

    def pictures(self) -> str:
        """Return the recalls of the classes as HTML; empty if the rows cannot be compared."""
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

    def keep(self) -> dict[str, Path]:
        """Write figures and numbers as files to download.

        Returns:
            The files: `recall` and `trade_off` (PNG), `recalls` and `figures` (CSV), as far as there are any.
        """
        home = self.downloads
        for old in home.glob("*"):
            if time.time() - old.stat().st_mtime > KEPT:
                old.unlink(missing_ok=True)
        stem = re.sub(r"[^A-Za-z0-9_+-]+", "_", self.title)[:80]
        written_files = {"figures": home / f"{stem}_figures.csv"}
        rows = [{"result": name, **one.scalars} for name, one in self.all.items()]
        files.write_csv(written_files["figures"], rows)
        if not clash(self.rows):
            written_files |= {"recalls": home / f"{stem}_recalls.csv", "recall": home / f"{stem}_recall.png"}
            files.write_csv(written_files["recalls"], self.by_class())
            with drawing():
                plots.save(self.recalls(), written_files["recall"])
        if self.ensemble is not None:
            written_files["trade_off"] = home / f"{stem}_trade_off.png"
            with drawing():
                plots.save(self.trade_off(), written_files["trade_off"])
        return written_files

    def by_class(self) -> list[dict[str, object]]:
        """Return a row per class, the most frequent first."""
        of = next(iter(self.rows.values()))
        return [
            {"class": of.classes[label], "training_images": of.counts[label]}
            | {f"recall: {name}": one.metrics["recall"][label] for name, one in self.all.items()}
            for label in by_count(of.counts)
        ]


def of_tuning(paths: AllowedPaths, name: str) -> Comparison:
    """Compare a tuning with the network before, with and without logit adjustment.

    Raises:
        InputError: if there is no result yet, or its files are damaged.
    """
    after = paths.new(name)
    before = RunFolder(after).before.path
    homes = {OLD: before / TEST, NEW: after / TEST, ADJUSTED: before / CONTROL}
    results = {row: EvaluationResult.read(home) for row, home in homes.items() if (home / METRICS).is_file()}
    if NEW not in results:
        raise InputError(f"the tuning {name} has no result yet.")
    loss = dict(description.method(results[NEW].metrics.get("config") or {})).get("loss", "tuned").partition("(")[0]
    named = {OLD: "before: old head", NEW: f"after: {loss}", ADJUSTED: "control: old head, logit adjustment (tau 1)"}
    rows = {named[row]: one for row, one in results.items()}
    drawn = [named[row] for row in (OLD, NEW) if row in results]
    return Comparison(name, paths.downloads, rows, drawn, after, paths.packages)


def of_runs(paths: AllowedPaths, chosen: Sequence[str]) -> Comparison:
    """Compare tested runs.

    Raises:
        InputError: if there are fewer than two or too many, one was never tested, or files are damaged.
    """
    chosen = list(dict.fromkeys(chosen))
    if not 2 <= len(chosen) <= MOST:
        raise InputError(f"choose 2 to {MOST} runs; these are {len(chosen)}.")
    runs = names([paths.run(name) for name in chosen])
    rows = {name: run.main for name, run in runs.items() if run.main is not None}
    if len(rows) < len(runs):
        raise InputError(f"{min(runs.keys() - rows.keys())} was never tested: run `ltr test` first.")
    tuned = (name for name, one in rows.items() if "old_recall" in one.metrics)
    weighed = next((name for name in tuned if runs[name].checkpoint.is_file()), None)
    comparison = Comparison("_".join(rows), paths.downloads, rows, list(rows)[: figures.SERIES])
    if weighed is None:
        return comparison
    return replace(comparison, tuned=runs[weighed].path, packages=paths.packages, whose=f"{weighed}, ")
