"""What published weights were trained on, and which classes of a task it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

# How the names of weights in timm and torchvision say it, and how many classes a classifier in a file has.
SETS = {
    "ImageNet-1k": (r"(?:\b|_)(?:in|imagenet)1k(?:\b|_)", (1000,)),
    "ImageNet-12k": (r"(?:\b|_)in12k(?:\b|_)", (11821,)),
    "ImageNet-21k": (r"(?:\b|_)in2[12]k(?:\b|_)", (21841, 21843)),
}
UNKNOWN = "unknown images"


def sets(weights: str, labels: int = 0) -> tuple[str, ...]:
    """Return the names of the sets that weights were trained on.

    Args:
        weights: the name of the weights.
        labels: the number of classes of their classifier, if they are a file with one.
    """
    named = tuple(name for name, (pattern, _) in SETS.items() if re.search(pattern, weights.lower()))
    return named or tuple(name for name, (_, sizes) in SETS.items() if labels in sizes) or (UNKNOWN,)


def shared(name: str, classes: Sequence[str]) -> list[str] | None:
    """Return the classes of a task that a set has, by their names, or of which it has a kind: a sports car is a car.

    Args:
        name: the set.
        classes: the names of the classes.

    Returns:
        Their names; None if the classes of the set are not known here.
    """
    known = class_names(name)
    return [one for one in classes if plain(one) in known] if known else None


def overlap(names: Sequence[str], classes: Sequence[str]) -> dict[str, int | None]:
    """Return how many classes of a task each of some sets has; None if that is not known."""
    found = {name: shared(name, classes) for name in names}
    return {name: None if some is None else len(some) for name, some in found.items()}


def note(pretrained_on: Mapping[str, int | None], classes: int) -> str:
    """Return the sentence on the classes that pretraining and task share; empty if none are known.

    Args:
        pretrained_on: what `overlap` returns.
        classes: the number of classes of the task.
    """
    parts = [
        f"{name}, in which {number} of the {classes} classes, or kinds of them, occur"
        for name, number in pretrained_on.items()
        if number
    ]
    if not parts:
        return ""
    return (
        f"the weights were trained on {' and on '.join(parts)}: do not compare the results with those of networks "
        "trained from scratch."
    )


@lru_cache
def class_names(name: str) -> frozenset[str]:
    """Return the names of the classes of a set with what they are kinds of: the ends of each name; empty if unknown."""
    words = [plain(one).split() for listed in listings(name) for one in listed.split(",")]
    return frozenset(" ".join(one[start:]) for one in words for start in range(len(one)))


def listings(name: str) -> list[str]:
    """Return the names of each class of a set, separated by commas; an empty list if no library here has them."""
    if name == "ImageNet-1k":
        from torchvision.models import get_model_weights

        return list(get_model_weights("resnet18").DEFAULT.meta["categories"])
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        return []
    info = ImageNetInfo(name.lower()) if name in SETS else None
    return [info.index_to_description(index) for index in range(info.num_classes())] if info else []


def plain(name: str) -> str:
    """Return the name of a class in small letters and with spaces."""
    return " ".join(name.lower().replace("_", " ").split())
