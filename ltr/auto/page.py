"""The page of an `ltr auto`: what one gets comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib

from ltr.auto.verdict import Verdict
from ltr.auto.work import STAGES, Work
from ltr.html import Section, command, page, picture, sentence, table
from ltr.report import figures, single
from ltr.report.figures import STYLE
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import RunFolder
from ltr.version import __version__


def write(
    work: Work,
    verdict: Verdict,
    run: RunFolder,
    tests: Mapping[str, EvaluationResult],
    notes: Sequence[str],
    problems: Sequence[str],
) -> str:
    """Return the page.

    Args:
        work: the folder.
        verdict: the choice.
        run: that of the classifier.
        tests: the results on the test images by title; plain cross-entropy first, the classifier last.
        notes: what could not be done.
        problems: of the images.
    """
    with matplotlib.rc_context(STYLE):
        first = "".join(map(sentence, verdict.sentences)) + single.figures_table(tests)
        first += "".join(sentence(note, kind="missing") for note in notes)
        first += sentence("New images:") + command(work.predict_command(run))
        parts = [
            Section("The classifier", first),
            Section("What it changes for each class", classes(tests)),
            *([Section("Problems of the images", "".join(map(sentence, problems)))] if problems else []),
            Section("Where the time went", durations(work)),
            *single.sections(run)[1:],
        ]
    return page(f"ltr: {work.folder.name}", parts, footer=f"Written by ltr auto {__version__}.")


def classes(tests: Mapping[str, EvaluationResult]) -> str:
    """Return the recall of every class, and what the classifier changes against plain cross-entropy."""
    first, *_, last = tests.items()
    recalls = {title: one.metrics["recall"] for title, one in tests.items()}
    text = picture(figures.recall(recalls, last[1]), "recall of every class, by training images")
    text += sentence(f"{last[0]} against {first[0]}, on the test images:")
    return text + picture(figures.difference(first, last), "difference of the recalls of every class")


def durations(work: Work) -> str:
    """Return how long each stage took."""
    seconds = work.record["seconds"]
    rows = [[what, f"{seconds[name]:,.0f}"] for name, what in STAGES.items() if name in seconds]
    return table(["stage", "seconds"], [*rows, ["all", f"{sum(seconds.values()):,.0f}"]])
