"""Train on the features of a backbone that does not change."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from ltr import seeds
from ltr.contracts import Backbone
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods.method import Method


class Cached(Method):
    """Compute the features of a frozen backbone once and train the head on them.

    The training split is cached in `views` augmented versions or, by default, once without augmentation, and the
    monitored splits too. What is saved and tested is the whole network.

    Args:
        backbone: a `Pretrained` one.
        counts: training images per class.
        cache: whether features are computed once; else every step runs the backbone on augmented images.
        views: augmented versions of the training split to cache, of which each step draws one per image; 0 caches the
            plain images.
        **others: the arguments of `Method`.
    """

    def __init__(
        self, backbone: Backbone, counts: list[int], *, cache: bool = True, views: int = 0, **others: Any
    ) -> None:
        super().__init__(backbone, counts, **others)
        self.cache, self.views = cache, views

    def check_views(self, views: int) -> None:
        """Raise `InputError` where several views of an image cannot be cached."""
        if views > 1 and self.cache and self.views > 0:
            raise InputError("cached features are of one view each: take an augmentation without Views.")

    def on_fit_start(self) -> None:
        """Compute the features of the frozen backbone, once."""
        super().on_fit_start()
        self.threads = torch.get_num_threads()
        if not self.cache:
            return
        if self.backbone.freeze == "none" or self.backbone.shift_bn:
            raise InputError(
                "features that change cannot be cached: say `--model.cache false`, or freeze the backbone, its batch "
                "norm included."
            )
        start = time.perf_counter()
        data: LongTailed = self.trainer.datamodule  # type: ignore[attr-defined]
        data.features = {name: self.featurise(data, name)[None] for name in data.monitored}
        data.features["train"] = self.training_features(data)
        self.seconds += time.perf_counter() - start
        if self.device.type == "cpu":  # a head's arithmetic is too small to share between threads
            torch.set_num_threads(1)

    def training_features(self, data: LongTailed) -> Tensor:
        """Return (V, N, D) the features of the training split, in the views that a run of the present seed has."""
        seeds.reseed(self.epochs)  # as in an epoch after the last, so that a resumed run caches the same views
        views = [self.featurise(data, "train", augment=self.views > 0) for _ in range(max(self.views, 1))]
        self.images += len(views) * len(views[0])
        return torch.stack(views)

    def on_fit_end(self) -> None:
        """Let the features go."""
        torch.set_num_threads(self.threads)
        self.trainer.datamodule.features.clear()  # type: ignore[attr-defined]
