"""The numbers of a data set and of its images; nothing is printed."""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ltr.counts import gini, head_share, shot_groups
from ltr.data import LongTailed
from ltr.data.file_dataset import FileDataset
from ltr.data.images import ImageFiles, Source, decode, each, open_file
from ltr.errors import InputError


class Facts(NamedTuple):
    """An image before it is resized.

    Attributes:
        digest: sha256 of the file, or of the pixels of an image in memory.
        width: in pixels.
        height: in pixels.
        kind: format and mode, such as `JPEG RGB`.
    """

    digest: bytes
    width: int
    height: int
    kind: str


class Examined(NamedTuple):
    """An image of the set.

    Attributes:
        split: `train`, `val` or `test`.
        label: class index.
        name: its name in the report.
        facts: its file, size and format.
    """

    split: str
    label: int
    name: str
    facts: Facts


def measure(data: LongTailed) -> dict[str, Any]:
    """Return the numbers of a data set before its setup, ready for JSON.

    Images that cannot be read are named, and counted nowhere else.
    """
    splits = data.choose()
    counts = {split: [0] * len(data.classes) for split in splits}
    if any(data.counts.synthetic):
        counts["synthetic"] = [0] * len(data.classes)
    sound: list[Examined] = []
    unreadable = [*data.skipped] if isinstance(data, FileDataset) else []
    for split, part in splits.items():
        examined = examine(part.images, f"{split} images")
        real = len(part.labels) - part.synthetic
        kinds = [split] * real + ["synthetic"] * part.synthetic
        images = zip(data.names(split, part), kinds, part.labels.tolist(), examined, strict=True)
        for name, kind, label, facts in sorted(images, key=lambda image: image[0]):
            if facts is None:
                unreadable.append(name)
            else:
                counts[kind][label] += 1
                sound.append(Examined(split, label, name, facts))
    return {
        "name": data.name,
        "classes": data.classes,
        "files": isinstance(data, FileDataset),
        "drawn": isinstance(data, FileDataset) and data.drawn,
        "counts": counts,
        **balance(counts, data.classes),
        "unreadable": unreadable,
        **duplicates(sound, data.classes),
        **shapes([one.facts for one in sound]),
        "alike": alike(data.classes),
        "unused_files": data.unused_files() if isinstance(data, FileDataset) else [],
    }


def balance(counts: Mapping[str, Sequence[int]], classes: Sequence[str]) -> dict[str, Any]:
    """Return how unequal the classes are.

    Args:
        counts: images per class of the splits `train` and `test`, and of others.
        classes: (C,) names.

    Returns:
        `imbalance`, N_max / N_min, None if a class has no image; `gini`; `head_share`, the share of the largest
        fifth of the classes; `groups`, the number of classes and of images of each shot group; `test_is_balanced`;
        `untested`, the classes without a test image.
    """
    train, test = counts["train"], counts["test"]
    return {
        "imbalance": max(train) / min(train) if min(train) else None,
        "gini": gini(train),
        "head_share": head_share(train),
        "groups": {
            group: {"classes": len(members), "images": sum(train[label] for label in members)}
            for group, members in shot_groups(train).items()
        },
        "test_is_balanced": min(test) == max(test),
        "untested": [name for name, count in zip(classes, test, strict=True) if not count],
    }


def alike(classes: Sequence[str]) -> list[list[str]]:
    """Return the groups of classes whose names differ in upper and lower case, blanks and hyphens only."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        groups["".join(filter(str.isalnum, name)).casefold() or name].append(name)
    return [group for group in groups.values() if len(group) > 1]


def duplicates(sound: Sequence[Examined], classes: Sequence[str]) -> dict[str, list[list[str]]]:
    """Return the groups of equal images: the same bytes in a file, or the same pixels in memory.

    Args:
        sound: images that can be read.
        classes: (C,) names.

    Returns:
        `conflicting`, those with more than one label; `leaked`, those in training and in another split; `repeated`,
        those that occur more than once with one label in one split. A group may be in several of them.
    """
    groups: dict[bytes, list[Examined]] = defaultdict(list)
    for one in sound:
        groups[one.facts.digest].append(one)
    kinds: dict[str, list[list[str]]] = {"conflicting": [], "leaked": [], "repeated": []}
    for group in groups.values():
        names, splits = [one.name for one in group], {one.split for one in group}
        if len({one.label for one in group}) > 1:
            kinds["conflicting"].append([f"{one.name} ({classes[one.label]})" for one in group])
        if "train" in splits and len(splits) > 1:
            kinds["leaked"].append(names)
        if len({(one.split, one.label) for one in group}) < len(group):
            kinds["repeated"].append(names)
    return kinds


def shapes(facts: Sequence[Facts]) -> dict[str, Any]:
    """Return smallest, median and largest `width`, `height` and `side`, the shorter one, and how many of each kind."""
    sides = {
        "width": [one.width for one in facts],
        "height": [one.height for one in facts],
        "side": [min(one.width, one.height) for one in facts],
    }
    return {
        **{
            side: [min(values), statistics.median_low(values), max(values)] if values else None
            for side, values in sides.items()
        },
        "kinds": dict(Counter(one.kind for one in facts).most_common()),
    }


def examine(images: Tensor | ImageFiles, what: str) -> list[Facts | None]:
    """Return the facts of every image, None for one that cannot be read.

    Args:
        images: (N, 3, H, W) uint8, or files.
        what: label of the progress bar.
    """
    if isinstance(images, Tensor):
        pixels = images
        return each(lambda position: of_pixels(pixels[position]), len(pixels), what)
    files = images
    return each(lambda position: of_file(files.source(position)), len(files), what)


def of_file(source: Source) -> Facts | None:
    """Return the facts of a file, None if it is not an image or is truncated."""
    from PIL import Image

    try:
        decode(source, 8)
        with open_file(source) as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            with Image.open(file) as image:
                return Facts(digest, *image.size, f"{image.format} {image.mode}")
    except (OSError, InputError):
        return None


def of_pixels(image: Tensor) -> Facts:
    """Return the facts of an image (3, H, W) in memory."""
    height, width = image.shape[1:]
    return Facts(hashlib.sha256(image.numpy().tobytes()).digest(), width, height, "in memory")
