"""The sections of several runs side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ltr.html import Section, command, folded, picture, sentence, table
from ltr.report import figures
from ltr.report.single import classes_table, facts, figures_table
from ltr.run import description
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import CONFIG, CURVES, RunFolder


def sections(runs: Sequence[RunFolder]) -> list[Section]:
    """Return the page of several runs, section by section.

    Every run stands there with its first evaluation, `test` if it has that; the table of figures has all.
    """
    named = names(runs)
    mains = {name: run.main for name, run in named.items() if run.main is not None}
    return [
        Section(", ".join(named), measures(named)),
        Section("Training", curves(named)),
        *([Section("Recall of every class", recall(mains)), Section("Shot groups", groups(mains))] if mains else []),
        Section("Settings", settings(named)),
        Section("Configs", configs(named)),
    ]


def names(runs: Sequence[RunFolder]) -> dict[str, RunFolder]:
    """Name the runs, by their folders where two have one name."""
    own = [run.name for run in runs]
    return {run.name if own.count(run.name) == 1 else str(run.path): run for run in runs}


def clash(mains: Mapping[str, EvaluationResult]) -> str:
    """Say why recalls of classes cannot share a figure, empty if they can."""
    (first, one), *others = mains.items()
    for name, other in others:
        parts = {"classes": (one.classes, other.classes), "training images per class": (one.counts, other.counts)}
        for what, (mine, theirs) in parts.items():
            if mine != theirs:
                return f"{first} and {name} have different {what}, so they cannot be compared."
    return ""


def splits_differ(evaluations: Iterable[EvaluationResult]) -> str:
    """Say that evaluations are of several test splits, empty if they are of one."""
    tests = {one.metrics.get("data", {}).get("fingerprints", {}).get("test") for one in evaluations}
    return "The test splits differ, so no figure of one run can be held against that of another." * (len(tests) > 1)


def settings(named: Mapping[str, RunFolder]) -> str:
    """Return the parts and the data of the runs, in columns, and the commands that make them again."""
    columns = [dict([*description.method(run.config), *facts(run)]) for run in named.values()]
    keys = dict.fromkeys(key for column in columns for key in column)
    text = table(["", *named], [[key, *(column.get(key, "-") for column in columns)] for key in keys], figures=False)
    again = [command(run.fit_command) for run in named.values() if run.fit_command]
    return text + (sentence("The runs again:") if again else "") + "".join(again)


def measures(named: Mapping[str, RunFolder]) -> str:
    """Return the table of all figures."""
    rows = {}
    for name, run in named.items():
        for one in run.evaluations:
            rows[name if one is run.main else f"{name}, {one.name}"] = one
    differ = splits_differ(rows.values())
    warning = sentence(differ, kind="missing") if differ else ""
    return (
        warning + figures_table(rows) if rows else sentence("None of the runs was tested: `ltr test`.", kind="missing")
    )


def curves(named: Mapping[str, RunFolder]) -> str:
    """Return the curves on the test split."""
    if (figure := figures.tests({name: run.curves for name, run in named.items()})) is None:
        return sentence(f"None of the folders has a {CURVES}, which every `ltr fit` writes.", kind="missing")
    note = "On the test split, as far as each training followed it; nothing is selected on it."
    return picture(figure, "top-1, GM, HM and lowest recall on the test split per epoch") + sentence(note, kind="note")


def recall(mains: Mapping[str, EvaluationResult]) -> str:
    """Return the recalls of every class, and what the second run changes against the first."""
    if why := clash(mains):
        return sentence(why, kind="missing")
    recalls = {name: one.metrics["recall"] for name, one in mains.items()}
    of = next(iter(mains.values()))
    text = picture(figures.recall(recalls, of), "recall of every class, by training images")
    if len(recalls) > figures.SERIES:
        text += sentence(f"The figure shows the first {figures.SERIES}; all are in the table.", kind="note")
    if len(mains) > 1:
        first, second, *_ = mains.items()
        text += sentence(f"{second[0]} against {first[0]}:")
        text += picture(figures.difference(first, second), "difference of the recalls of every class")
    return text + folded("The same as a table", classes_table(of, recalls))


def groups(mains: Mapping[str, EvaluationResult]) -> str:
    """Return the recalls of the shot groups."""
    if why := clash(mains):
        return sentence(why, kind="missing")
    recalls = {name: one.metrics["recall"] for name, one in mains.items()}
    return picture(figures.groups(recalls, next(iter(mains.values()))), "mean recall of the shot groups")


def configs(named: Mapping[str, RunFolder]) -> str:
    """Return the resolved configs, folded away."""
    return "\n".join(folded(name, command(run.config_text or f"no {CONFIG}")) for name, run in named.items())
