"""Data for the figures of a test, besides its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.callbacks.answers import in_order
from ltr.contracts import Answer
from ltr.counts import by_count
from ltr.data import LongTailed
from ltr.methods import Method, Tuning

CLASSES, IMAGES = 10, 200  # features: of how many classes, and of how many images of each
WORST, WRONG, RIGHT = 5, 4, 2  # examples: of how many classes, and how many of each that are not recognised, or are
SIDE = 64  # pixels of an example
LARGEST = torch.finfo(torch.float16).max


class FigureData:
    """Collect features of a few classes and, for a tuned run, the predictions of its old head, batch by batch.

    Features are kept of at most 10 classes, spread evenly over the order of the training counts, and of at most 200
    images of each, drawn with a fixed seed.

    Args:
        method: the network, with its weights.
        data: its data, with their splits.
    """

    def __init__(self, method: Method, data: LongTailed) -> None:
        labels = data.splits["test"].labels
        self.wanted = torch.zeros(len(labels), dtype=torch.bool)
        self.wanted[sample(labels.cpu(), method.counts.tolist())] = True
        self.wanted = self.wanted.to(labels.device)
        self.method = method
        self.old_head = method.old_head if isinstance(method, Tuning) and bool(method.old_known) else None
        self.features: list[tuple[Tensor, Tensor]] = []
        self.old: list[tuple[Tensor, Tensor]] = []

    def add(self, answer: Answer) -> None:
        """Keep the data of a batch."""
        features, chosen = answer.output.features, self.wanted[answer.indices]
        some = features[chosen].float().clamp(-LARGEST, LARGEST).half()
        self.features.append((some.cpu(), answer.indices[chosen].cpu()))
        if self.old_head is not None:
            with self.method.trainer.precision_plugin.forward_context():
                logits: Tensor = self.old_head(features).logits
            self.old.append((logits.float().argmax(1).cpu(), answer.indices.cpu()))

    def gathered(self) -> dict[str, Tensor]:
        """Return the data of all processes; every process has to call this.

        Returns:
            `features` (M, D) float16 of the images at `featured` (M,). Where they exist, `lengths` and `old_lengths`
            (E, C), the weight norms of each class, and `old_predictions` (N,) in the order of the split.
        """
        features, featured = in_order(self.features)
        content = {"features": features, "featured": featured}
        if (lengths := self.method.head.lengths()) is not None:
            content["lengths"] = lengths.detach().float().cpu()
        if self.old_head is not None:
            content["old_predictions"] = in_order(self.old)[0]
            if (lengths := self.old_head.lengths()) is not None:
                content["old_lengths"] = lengths.detach().float().cpu()
        return content


def sample(labels: Tensor, counts: list[int]) -> Tensor:
    """Return the positions of at most IMAGES images of each of at most CLASSES classes, in order.

    Args:
        labels: (N,) of the split.
        counts: (C,) training images per class; the classes of the split are spread evenly over their order.
    """
    present = set(labels.tolist())
    ranked = [label for label in by_count(counts).tolist() if label in present]
    ranks = np.linspace(0, len(ranked) - 1, min(CLASSES, len(ranked))).round().astype(int)
    generator = torch.Generator().manual_seed(0)
    chosen = []
    for rank in ranks:
        positions = (labels == ranked[rank]).nonzero().flatten()
        chosen.append(positions[torch.randperm(len(positions), generator=generator)[:IMAGES]])
    return torch.cat(chosen).sort().values


def examples(
    data: LongTailed, labels: Tensor, predictions: Tensor, *, indices: Tensor, recall: Sequence[float]
) -> dict[str, Tensor]:
    """Return small images of the classes with the lowest recall; among equals, those with the fewest training images.

    Args:
        data: the data, with their splits.
        labels: (N,) true classes.
        predictions: (N,) predicted classes.
        indices: (N,) positions in the test split.
        recall: (C,), NaN for a class that the split lacks.

    Returns:
        `examples`: (K, 3, H, W) uint8, at most 64 pixels wide and high, and `exampled`: (K,) their positions. Of every
        class there are up to four misclassified images and two others, drawn with a fixed seed.
    """
    present = set(labels.tolist())
    worst = sorted(present, key=lambda label: (recall[label], data.counts[label], label))[:WORST]
    generator = torch.Generator().manual_seed(0)
    chosen = []
    for label in worst:
        for right, most in ((False, WRONG), (True, RIGHT)):
            rows = ((labels == label) & ((predictions == label) == right)).nonzero().flatten()
            chosen.append(rows[torch.randperm(len(rows), generator=generator)[:most]])
    positions = indices[torch.cat(chosen)]
    return {"examples": thumbnails(data, positions), "exampled": positions}


def thumbnails(data: LongTailed, positions: Tensor) -> Tensor:
    """Return (K, 3, H, W) uint8, the parts of test images that the network gets, reduced in size."""
    images = data.preprocessing.cropped(data.splits["test"].images[positions].cpu())
    scale = SIDE / max(images.shape[-2:])
    if scale >= 1:
        return images
    size = [max(round(side * scale), 1) for side in images.shape[-2:]]
    small = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)
