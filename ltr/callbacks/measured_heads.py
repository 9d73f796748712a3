"""What many heads make of the images of a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltr.measures import shown
from ltr.methods import Tuning
from ltr.metrics import Recall, Report

NUMBERS = 2**22  # logits that are measured at once


class Measured(NamedTuple):
    """A row of the table.

    Attributes:
        place: where it stands: by split, seed, learning rate, loss, and temperature of the old head.
        row: its cells.
        right: (N,) which images of the split it recognises.
    """

    place: tuple[int, ...]
    row: dict[str, Any]
    right: Tensor


class Tally:
    """What a head makes of the images of a split, part by part.

    Args:
        classes: number of classes C.
    """

    def __init__(self, classes: int) -> None:
        self.recall, self.right = Recall(classes), list[Tensor]()

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add images with logits (B, C) and labels (B,)."""
        self.recall.to(logits.device).update(logits.softmax(1), labels)
        self.right.append((logits.argmax(1) == labels).cpu())

    def measured(self, method: Tuning, place: tuple[int, ...], row: Mapping[str, Any]) -> Measured:
        """Return the row of the head with its measures."""
        report = Report.of(self.recall, method.training_counts.real).to_json()
        measures = {measure.key: report[measure.key] for measure in shown("main")}
        return Measured(place, {**row, **measures}, torch.cat(self.right))


def parts(method: Tuning, split: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the features (B, D) and labels (B,) of a split, so many that their logits stay in the cache."""
    size = max(NUMBERS // len(method.counts), 1)
    features, labels = method.bank.features[split][0], method.data.splits[split].labels
    return zip(torch.split(features, size), torch.split(labels, size), strict=True)
