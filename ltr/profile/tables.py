"""What was found of a set, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ltr.counts import FEW, MANY
from ltr.markdown import first, markdown_table, plural

ENDS = 3
RANGES = {"many": f"more than {MANY}", "medium": f"{FEW} to {MANY}", "few": f"fewer than {FEW}"}
CLEAN = "Nothing: all images can be read, and no two are equal. Those that are merely alike were not looked for."
PUBLIC = "This is no set of your own files: leave it as it is, or its figures compare with no others."


def markdown(result: Mapping[str, Any]) -> str:
    """Return the whole report."""
    parts = [f"# {result['name']}", _classes(result), _groups(result), _images(result)]
    parts += ["## What to mend", _items(mending(result) or [CLEAN])]
    parts += ["## Where to start", _items(result["reasons"])]
    if result["commands"]:
        parts.append("\n".join(f"    {command}" for command in result["commands"]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def mending(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every kind of dirt, with the first names."""
    found = []
    if names := result["unreadable"]:
        found.append(f"{plural(len(names), 'file')} cannot be read to the end: {first(names)}. Repair or remove them.")
    if groups := result["conflicting"]:
        found.append(
            f"{plural(len(groups), 'image')} under more than one class: {_equal(groups)}. A network cannot learn both; "
            "keep the one whose label is right."
        )
    if groups := result["leaked"]:
        found.append(
            f"{plural(len(groups), 'image')} both to train and to measure on, which flatters what is measured: "
            f"{_equal(groups)}. Remove them from training."
        )
    if groups := result["repeated"]:
        found.append(
            f"{plural(len(groups), 'image')} more than once in a class, which so seems larger than it is: "
            f"{_equal(groups)}. Keep one of each."
        )
    if found and not result["files"]:
        found.append(PUBLIC)
    if names := result["untested"]:
        found.append(
            f"{plural(len(names), 'class', 'classes')} without a test image, of whose recall nothing can be known: "
            f"{first(names)}."
        )
    if names := result["aside"]:
        endings = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names)
        told = ", ".join(f"{ending} ({count:,})" for ending, count in endings.most_common())
        found.append(
            f"{plural(len(names), 'file')} beside the images, not read for their ending or their place: {told}; the "
            f"first is {names[0]}."
        )
    return found


def _equal(groups: Sequence[Sequence[str]]) -> str:
    """Return the first groups of equal images."""
    return first([" = ".join(group) for group in groups])


def _items(sentences: Sequence[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _classes(result: Mapping[str, Any]) -> str:
    """Return the table of the classes."""
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
    """Return the table of the shot groups."""
    rows = [
        (f"{group}: {RANGES[group]} train images", f"{found['classes']:,}", f"{found['images']:,}")
        for group, found in result["groups"].items()
    ]
    return markdown_table(("shot group", "classes", "train images"), rows)


def _images(result: Mapping[str, Any]) -> str:
    """Return the table of the sizes, and the kinds."""
    rows = [(side, *map(str, result[side] or "---")) for side in ("width", "height")]
    kinds = ", ".join(f"{kind} ({count:,})" for kind, count in result["kinds"].items())
    return markdown_table(("pixels", "smallest", "median", "largest"), rows) + f"\nKinds: {kinds or 'none'}."
