"""Retrain the classifier of a trained network on its frozen features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ltr.backbones.library import Library
from ltr.contracts import Backbone, HeadFactory, LossFactory, Schedule
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.losses import GML
from ltr.methods.cached import Cached
from ltr.run import weights
from ltr.schedules import Cosine


class Tuning(Cached):
    """Freeze a trained backbone and train a new head with any loss; GML tuning by default.

    The features are computed once, and the head is trained on them. The checkpoint has the whole network, and the head
    of the file beside the new one, for `TemperatureEnsemble`.

    Args:
        backbone: a `Pretrained` one, or one of a library, such as `Timm`, frozen.
        counts: training images per class; the command line takes them from the data.
        old_head: the head class of the classifier in the file; a projection beside it need not be named.
        reset: start the new head from random weights, as in dgme-syz/NOLB. If false, it starts from the old one's
            weights and hardly depends on the seed; the old head must then be of the same class, or of one that the new
            head only adds to, such as `LWS`. On a network of a library, such as `Timm`, the head always starts anew.
        loss: builds the loss from the counts (C,).
        schedule: the factor of the learning rate per epoch; `Cosine` by default.
        **others: the arguments of `Cached` and `Method`.

    Reference:
        Du and Wu, "No One Left Behind: Improving the Worst Categories in Long-Tailed Learning", CVPR 2023,
        https://arxiv.org/abs/2303.03630; Kang et al., "Decoupling Representation and Classifier for Long-Tailed
        Recognition", ICLR 2020, https://arxiv.org/abs/1910.09217, for the retraining as such.
    """

    old_known: Tensor

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        old_head: HeadFactory = Linear,
        reset: bool = False,
        loss: LossFactory = GML,
        schedule: Schedule | None = None,
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, loss=loss, schedule=schedule or Cosine(), **others)
        self.old_head = old_head(backbone.dim, len(counts)).requires_grad_(False)
        self.reset = reset
        if reset and self.head.added:
            raise InputError(
                f"{type(self.head).__name__} adds to a trained classifier, which cannot be reset: leave out "
                "`--model.reset true`."
            )
        self.register_buffer("old_known", torch.tensor(False))

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Keep the head of the file, and start the new one from it unless it is reset."""
        if classifier:
            with advice("Pass its head class with `--model.old_head`.", on=weights.ClassifierError):
                weights.load_head(self.old_head, classifier)
            self.old_known.fill_(True)
        if not self.reset and not isinstance(self.backbone, Library):  # whose weights come without these classes
            with advice("Start a new head with `--model.reset true`.", on=weights.ClassifierError):
                weights.load_head(self.head, classifier, added=self.head.added)

    def train(self, mode: bool = True) -> Tuning:
        """Switch the new head to training mode; the old one stays in evaluation mode."""
        super().train(mode)
        self.old_head.eval()
        return self
