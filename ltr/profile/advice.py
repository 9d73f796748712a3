"""Which recipe to start from: a few rules, each with its reason, and the commands that follow from them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ltr.data import LongTailed
from ltr.data.file_dataset import USUAL_SIZE, FileDataset
from ltr.markdown import escape
from ltr.profile.left_right import are_characters, mirror_pairs
from ltr.sentences import first, plural

NEARLY_BALANCED = 3  # N_max / N_min
SCARCE = 5  # images of a class: one of four moves its recall by 25 points
STEPS, SMALLEST_BATCH = 10, 8  # an epoch of fewer steps makes a short training of 200 of them
GML_BATCH = 512  # of gml.yaml
MEDIUM_SIDE, LARGE_SIDE = 48, 160  # from which 32 pixels, and 64 of them, show too little
RESNET32_SIDE = 64
PHOTOGRAPHS = {"--data.size": "256", "--data.crop": "224"}
SHORT = "recipes/short.yaml"
LENGTH = f"The commands train for 30 epochs. For the 200 of published results, leave out `--config {SHORT}`."
VALIDATION = 5  # images of each class at most that the advice holds out


class Hint(NamedTuple):
    """The advice of one rule.

    Attributes:
        reason: a sentence or two.
        options: for every training.
    """

    reason: str
    options: Mapping[str, str] = {}


class Advice(NamedTuple):
    """What to do next.

    Attributes:
        reasons: of each rule that applies.
        commands: in their order; none where the set cannot be trained on.
    """

    reasons: list[str]
    commands: list[str]


def advise(data: LongTailed, measures: Mapping[str, Any], words: Sequence[str]) -> Advice:
    """Return which recipes to start from.

    Args:
        data: the set.
        measures: its numbers.
        words: the arguments of the data on the command line, which every training repeats.
    """
    if blocked := unusable(measures):
        need = "two images that can be read, one of them to train on" if measures["drawn"] else "an image to train on"
        return Advice([f"First repair {escape(first(blocked))}: a class needs {need}. Then profile the set again."], [])
    hints = [
        *readable(measures, words),
        *mirrored(data, measures, words),
        *sized(data, measures, words),
        *batched(data, measures, words),
    ]
    options = {name: value for hint in hints for name, value in hint.options.items()}
    data_words = [*words, *(part for option in options.items() for part in option)]
    hints.insert(0, balance(measures))
    backbone, why = network(data, measures, options)
    hints.append(why)
    name = re.sub(r"\W+", "_", data.name.lower()).strip("_")
    ce, gml = f"{name}_ce", f"{name}_gml"
    named = ["--model.backbone", backbone] if backbone else []
    commands = [
        ["fit", "--config", "ce.yaml", "--config", SHORT, *data_words, *named, "--name", ce],
        ["test", "--ckpt_path", ce],
    ]
    if measures["imbalance"] >= NEARLY_BALANCED:
        start = ["--model.backbone.checkpoint", ce]  # which brings network and data, but not the size of a batch
        batch = GML_BATCH
        if "--data.batch_size" in options or chosen("batch_size", words):
            batch = tuning_batch(int(options.get("--data.batch_size", data.batch_size)), len(measures["classes"]))
            start += ["--data.batch_size", str(batch)]
        commands += [
            ["test", "--ckpt_path", ce, "--config", "logit_adjustment.yaml", "--evaluation", "adjusted"],
            ["fit", "--config", "gml.yaml", *start, "--name", gml],
            ["test", "--ckpt_path", gml],
        ]
        hints += crowded(len(measures["classes"]), batch)
    reasons = [hint.reason for hint in hints]
    return Advice(
        [*reasons, *measuring(measures), *held_out(measures, words), LENGTH],
        [shlex.join(["ltr", *command]) for command in commands],
    )


def unusable(measures: Mapping[str, Any]) -> list[str]:
    """Return the classes that have too few readable images to train, and to test if the split is drawn from them."""
    train, drawn = measures["counts"]["train"], measures["drawn"]
    images = [sum(splits) for splits in zip(*measures["counts"].values(), strict=True)]
    return [
        name
        for name, own, whole in zip(measures["classes"], train, images, strict=True)
        if not own or (drawn and whole < 2)
    ]


def chosen(option: str, words: Iterable[str]) -> bool:
    """Return whether the user has given an argument of the data."""
    return any(word.partition("=")[0] == f"--data.{option}" for word in words)


def balance(measures: Mapping[str, Any]) -> Hint:
    """Say how long the tail is and which method fits it."""
    times = f"The largest class has {measures['imbalance']:.3g} times the images of the smallest"
    if measures["imbalance"] < NEARLY_BALANCED:
        return Hint(
            f"{times}: the set is balanced, or nearly so, and methods for long tails gain little. "
            "Start from plain cross-entropy."
        )
    return Hint(
        f"{times}: a long tail. Start from cross-entropy, the baseline. Logit adjustment of the same network costs "
        "nothing and is the baseline that any method must beat. GML then retrains the classifier alone, on features "
        "that are computed once."
    )


def readable(measures: Mapping[str, Any], words: Sequence[str]) -> list[Hint]:
    """Leave out the files that cannot be read, unless the user has said what to do with them."""
    if not measures["unreadable"] or chosen("unreadable", words):
        return []
    return [Hint("The commands leave out the files that cannot be read.", {"--data.unreadable": "skip"})]


def mirrored(data: LongTailed, measures: Mapping[str, Any], words: Sequence[str]) -> list[Hint]:
    """Say that training images are mirrored, and stop it if the names of the classes tell that this is wrong."""
    if not isinstance(data, FileDataset) or not data.augment.mirrors:
        return []
    option = "--data.augment.flip" if chosen("augment", words) else "--data.mirror"
    classes = measures["classes"]
    if pairs := mirror_pairs(classes):
        names = escape(first([" / ".join(pair) for pair in pairs]))
        why = f"the mirrored image of one of these classes shows the other: {names}"
    elif are_characters(classes):
        why = "a mirrored letter or digit is another one, or none"
    else:
        return [
            Hint(
                "Half of the training images are mirrored. If left and right matter, as in traffic signs and text, add "
                f"`{option} false`."
            )
        ]
    return [Hint(f"The commands stop mirroring training images (`{option} false`), since {why}.", {option: "false"})]


def sized(data: LongTailed, measures: Mapping[str, Any], words: Sequence[str]) -> list[Hint]:
    """Choose the size in which image files are read, where the user has not."""
    side = measures["side"][1]
    if not isinstance(data, FileDataset) or data.size != USUAL_SIZE or chosen("size", words) or side < MEDIUM_SIDE:
        return []
    why = f"Half of the images have {side} pixels or more on their shorter side, of which the usual 32 show little"
    if side < LARGE_SIDE:
        return [Hint(f"{why}: the commands read them at 64.", {"--data.size": "64"})]
    if torch.cuda.is_available():
        return [Hint(f"{why}: the commands read them as large photographs usually are.", PHOTOGRAPHS)]
    large = " ".join(part for option in PHOTOGRAPHS.items() for part in option)
    return [
        Hint(
            f"{why}: the commands read them at 64, which a machine without a GPU can train on. With one, pass `{large} "
            "--model.backbone ResNet50`.",
            {"--data.size": "64"},
        )
    ]


def batched(data: LongTailed, measures: Mapping[str, Any], words: Sequence[str]) -> list[Hint]:
    """Choose the size of a batch, where the user has not and an epoch would have few steps."""
    images = sum(measures["counts"]["train"])
    fitting = fitting_batch(images)
    if chosen("batch_size", words) or fitting >= data.batch_size:
        return []
    return [
        Hint(
            f"With {images:,} training images, a batch of {data.batch_size} gives few steps per epoch: the "
            f"commands use {fitting}.",
            {"--data.batch_size": str(fitting)},
        )
    ]


def fitting_batch(images: int) -> int:
    """Return how many images a batch has at most, so that an epoch over so many images has ten steps."""
    return max(1 << max((images // STEPS).bit_length() - 1, 0), SMALLEST_BATCH)


def network(data: LongTailed, measures: Mapping[str, Any], options: Mapping[str, str]) -> tuple[str | None, Hint]:
    """Choose the backbone for what it sees of an image: its name, or None for that of base.yaml."""
    size = data.crop or (data.size if isinstance(data, FileDataset) else measures["side"][1])
    seen = int(options.get("--data.crop") or options.get("--data.size") or size)
    sight = f"The network sees {seen} x {seen} pixels"
    if seen <= RESNET32_SIDE:
        return None, Hint(f"{sight}, small enough for the ResNet-32 of base.yaml.")
    backbone = "ResNet50" if torch.cuda.is_available() else "ResNet10"
    return backbone, Hint(f"{sight}: {backbone} reduces the resolution early; the ResNet-32 of base.yaml does not.")


def tuning_batch(batch: int, classes: int) -> int:
    """Return the images of a batch of GML: those of the training, or as many as there are classes, 512 at most."""
    return max(batch, min(1 << (classes - 1).bit_length(), GML_BATCH))


def crowded(classes: int, batch: int) -> list[Hint]:
    """Warn of more classes than a batch of GML holds images."""
    if classes <= batch:
        return []
    return [
        Hint(
            f"GML is a mean over the classes of a batch, and of {classes:,} at most {batch} are in one: try a larger "
            "`--data.batch_size` for it. Logit adjustment does not depend on batches."
        )
    ]


def held_out(measures: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """Say what a validation split is for, if there is none."""
    if "val" in measures["counts"] or chosen("val_per_class", words):
        return []
    images = min(max(min(measures["counts"]["train"]) // 4, 1), VALIDATION)
    return [
        "Temperatures, prediction sets and the choice between heads need validation images that no training has seen. "
        f"If you may want them, add `--data.val_per_class {images}` to the first command now."
    ]


def measuring(measures: Mapping[str, Any]) -> list[str]:
    """Return what to know of the figures that a test gives."""
    counts, hints = measures["counts"], []
    if not measures["test_is_balanced"]:
        hints.append(
            "The test split is not balanced: top-1 is then the accuracy on its own mixture of classes and not the mean "
            "recall. Judge by GM, HM and the recall of many, medium and few."
        )
    if few := sum(0 < count < SCARCE for count in counts["test"]):
        share = ", and `--data.test_share` takes more" if measures["drawn"] else ""
        hints.append(
            f"{plural(few, 'class', 'classes')} with fewer than {SCARCE} test images: one image moves such a recall by "
            f"25 points or more, so GM, HM and the lowest recall are coarse here. More test images help{share}."
        )
    if scarce := sum(count < SCARCE for count in counts["train"]):
        hints.append(
            f"{plural(scarce, 'class', 'classes')} with fewer than {SCARCE} training images: no recipe makes up for "
            "images that are not there, so look for more of them first."
        )
    return hints
