"""The report: look at a set, print what was found, keep it as JSON, Markdown and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltr import files, plots
from ltr.data import LongTailed
from ltr.profile.advice import advise
from ltr.profile.measures import measure
from ltr.profile.tables import markdown


def report(data: LongTailed, words: Sequence[str], folder: Path) -> None:
    """Look at a set and report.

    Args:
        data: the set, not yet set up.
        words: what the user said of it on the command line.
        folder: where `profile.json`, `profile.md` and `profile.png` are written.
    """
    data.prepare_data()
    measures = measure(data)
    result = {**measures, **advise(data, measures, words)._asdict()}
    text = markdown(result)
    print(text, end="")
    files.write_json(folder / "profile.json", result)
    files.write_text(folder / "profile.md", text)
    counts = measures["counts"]
    plots.save(plots.class_counts(counts["train"], counts["test"], classes=data.classes), folder / "profile.png")
    print(f"\npicture: {folder / 'profile.png'}\nall names and counts: {folder / 'profile.json'}")
