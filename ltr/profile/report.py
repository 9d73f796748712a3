"""The report on a data set: printed, and written as JSON, Markdown and a figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from textwrap import indent
from typing import Any

from ltr import files, plots
from ltr.counts import FEW, MANY
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.markdown import escape, markdown_table
from ltr.profile.advice import advise
from ltr.profile.measures import measure
from ltr.sentences import first, plural

ENDS = 3
RANGES = {"many": f"more than {MANY}", "medium": f"{FEW} to {MANY}", "few": f"fewer than {FEW}"}
# What a set names: text that may have any characters in it.
NAMED = ("name", "classes", "unreadable", "conflicting", "leaked", "repeated", "untested", "alike", "unused_files")
CLEAN = "None: all images can be read, and no two are equal. Near-duplicates were not searched for."
PUBLIC = "This is a public data set: leave it unchanged, or your results cannot be compared with published ones."


def profile(data: LongTailed, *, output: str = "profile", words: Sequence[str] = ()) -> None:
    """Examine a data set before training on it.

    The report has the length of the tail, damaged files, duplicates, image sizes, and the recipe to start from. The set
    is a folder, `ltr profile my_images`, or any other one: `ltr profile --data CIFAR100LT`.

    Args:
        data: the set, not yet set up.
        output: folder where `profile.json`, `profile.md` and `profile.png` are written.
        words: the arguments of the data on the command line.

    Raises:
        InputError: if the set has no training images.
    """
    folder = Path(output)
    print(markdown(examine(data, folder, words)), end="")
    print(f"\npicture: {folder / 'profile.png'}\nall names and counts: {folder / 'profile.json'}")


def examine(data: LongTailed, folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Measure a data set and write `profile.json`, `profile.md` and `profile.png`.

    Args:
        data: the set, not yet set up.
        folder: where the files are written.
        words: the arguments of the data on the command line.

    Returns:
        The content of `profile.json`.

    Raises:
        InputError: if the set has no training images.
    """
    if not data.trainable:
        raise InputError(f"{data.name} has no training images to examine: test a network on it with `ltr test`.")
    data.prepare_data()
    measures = measure(data)
    result = {**measures, **advise(data, measures, words)._asdict()}
    files.write_text(folder / "profile.md", markdown(result))
    counts = measures["counts"]
    plots.save(plots.class_counts(counts["train"], counts["test"], classes=data.classes), folder / "profile.png")
    files.write_json(folder / "profile.json", result)
    return result


def markdown(result: Mapping[str, Any]) -> str:
    """Return the whole report."""
    result = {**result, **{key: _escaped(result[key]) for key in NAMED}}
    parts = [f"# {result['name']}", _classes(result), _groups(result), _images(result)]
    parts += ["## Problems found", _items(problems(result) or [CLEAN])]
    parts += ["## Where to start", _items(result["reasons"])]
    if result["commands"]:
        parts.append("\n".join(indent(command, "    ") for command in result["commands"]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _escaped(names: Any) -> Any:
    """Return a name without markup, or lists of names."""
    return escape(names) if isinstance(names, str) else [_escaped(name) for name in names]


def problems(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every kind of problem, with the first names, which have no markup."""
    sentences = []
    if names := result["unreadable"]:
        sentences.append(
            f"{plural(len(names), 'file')} cannot be read to the end: {first(names)}. Repair or remove them."
        )
    if groups := result["conflicting"]:
        sentences.append(
            f"{plural(len(groups), 'image')} under more than one class: {_equal(groups)}. A network cannot learn both; "
            "keep the one whose label is right."
        )
    if groups := result["leaked"]:
        sentences.append(
            f"{plural(len(groups), 'image')} in training and in another split, which makes results too good: "
            f"{_equal(groups)}. Remove them from training."
        )
    if groups := result["repeated"]:
        sentences.append(
            f"{plural(len(groups), 'image')} more than once in a class, which makes it look larger: "
            f"{_equal(groups)}. Keep one of each."
        )
    if sentences and not result["files"]:
        sentences.append(PUBLIC)
    if names := result["untested"]:
        sentences.append(
            f"{plural(len(names), 'class', 'classes')} without a test image, so their recall cannot be measured: "
            f"{first(names)}."
        )
    if deep := sum(count for kind, count in result["kinds"].items() if kind.split()[-1][0] in "IF"):
        sentences.append(
            f"{plural(deep, 'grey image')} with more than 8 bits per value: in each, white is taken to be the smallest "
            "of 1 (floats), 255, 4095 and 65535 that no value exceeds. Convert them to 8 bits if that is wrong."
        )
    if pairs := result["alike"]:
        sentences.append(
            f"{plural(len(pairs), 'pair')} of classes whose names differ in upper and lower case or in blanks only: "
            f"{_equal(pairs)}. Merge them if they are one class."
        )
    if names := result["unused_files"]:
        endings = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names)
        kinds = ", ".join(f"{ending} ({count:,})" for ending, count in endings.most_common())
        what = plural(len(names), "file is not an image of the set", "files are not images of the set")
        sentences.append(f"{what}: {kinds}; the first is {names[0]}.")
    return sentences


def _equal(groups: Sequence[Sequence[str]]) -> str:
    return first([" = ".join(group) for group in groups])


def _items(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _classes(result: Mapping[str, Any]) -> str:
    train, test = result["counts"]["train"], result["counts"]["test"]
    ranked = sorted(zip(train, result["classes"], strict=True), key=lambda pair: -pair[0])
    called = [f"{name} ({count:,})" for count, name in ranked]
    each = f"{min(test):,}" if result["test_is_balanced"] else f"{min(test):,} to {max(test):,}"
    rows = [
        ("classes", f"{len(train):,}"),
        *((f"{split} images", f"{sum(counts):,}") for split, counts in result["counts"].items()),
        ("test images of a class", f"{each}, drawn from the set" if result["drawn"] else each),
        ("largest classes", ", ".join(called[:ENDS])),
        ("smallest classes", ", ".join(called[-ENDS:])),
        ("imbalance factor, N_max / N_min", f"{result['imbalance']:.4g}" if result["imbalance"] else "-"),
        ("Gini coefficient, 0 where balanced", f"{result['gini']:.3f}"),
        ("images of the largest fifth of the classes", f"{100 * result['head_share']:.1f} %"),
    ]
    return markdown_table(("counts", ""), rows)


def _groups(result: Mapping[str, Any]) -> str:
    rows = [
        (f"{group}: {RANGES[group]} train images", f"{sizes['classes']:,}", f"{sizes['images']:,}")
        for group, sizes in result["groups"].items()
    ]
    return markdown_table(("shot group", "classes", "train images"), rows)


def _images(result: Mapping[str, Any]) -> str:
    rows = [(side, *map(str, result[side] or "---")) for side in ("width", "height")]
    kinds = ", ".join(f"{kind} ({count:,})" for kind, count in result["kinds"].items())
    return markdown_table(("pixels", "smallest", "median", "largest"), rows) + f"\nKinds: {kinds or 'none'}."
