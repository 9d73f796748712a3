"""The report: look at a set, print what was found, keep it as JSON, Markdown and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltr import files, plots
from ltr.data import LongTailed
from ltr.profile.advice import advise
from ltr.profile.measures import measure
from ltr.profile.tables import markdown


def profile(data: LongTailed, *, output: str = "profile", words: Sequence[str] = ()) -> None:
    """Look at a set of images before training on it.

    How long its tail is, which files are damaged, which images occur twice, how large they are; and which recipe to
    start from. The set is a folder, `ltr profile my_images`, or any other one: `ltr profile --data CIFAR100LT`.

    Args:
        data: the set, not yet set up.
        output: folder where `profile.json`, `profile.md` and `profile.png` are written.
        words: what the user said of the data on the command line.
    """
    folder = Path(output)
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
