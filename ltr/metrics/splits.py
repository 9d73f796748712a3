"""What is counted on each split."""

from __future__ import annotations

from torch import nn

from ltr.metrics.recall import Recall
from ltr.metrics.scores import Scores

SPLITS = ("train", "val", "test")


class Recalls(nn.Module):
    """The state of each split: of the training batches, counted while they are trained on, the recalls alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        # A ModuleDict has no key `train`, since modules have a method of that name.
        self.of = nn.ModuleList(Recall(classes) if split == "train" else Scores(classes) for split in SPLITS)

    def __getitem__(self, split: str) -> Recall:
        recall = self.of[SPLITS.index(split)]
        assert isinstance(recall, Recall)
        return recall
