"""Retrain the classifier of a trained network on its frozen features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import SGD

from ltr.contracts import Backbone, HeadFactory, LossFactory, Schedule
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.losses import GML
from ltr.methods.cached import Cached
from ltr.run import weights
from ltr.schedules import Cosine


class Tuning(Cached):
    """Freeze a trained backbone and train a new head with any loss; GML tuning by default.

    The features of a frozen backbone do not change, so they are computed once and the head is trained on them directly:
    the training split in `views` augmented versions or, by default, once without augmentation, and the monitored splits
    too. What is saved and tested is the whole network. The head that the tuning replaces is kept beside the new one,
    as it was in the file, for `TemperatureEnsemble`.

    Args:
        backbone: a `Pretrained` one.
        counts: training images per class; the command line takes them from the data.
        head: builds the new classifier from (dim, classes).
        old_head: the kind of the classifier in the file; a projection beside it need not be named.
        reset: whether the new head starts anew, as in dgme-syz/NOLB; else it starts from the old one's weights, which
            must then be of the same kind (or of one that only adds to it, as `LWS`), and hardly depends on the seed.
        loss: builds the loss from the counts (C,).
        optimizer: builds the optimizer from the trainable parameters.
        schedule: the factor of the learning rate per epoch; `Cosine` where none is named.
        rates: factors of the learning rate by the beginning of parameter names, such as `{head.fc: 0.2}`.
        cache: whether features are computed once; else every step runs the backbone on augmented images.
        views: augmented versions of the training split to cache, of which each step draws one per image; 0 caches the
            plain images.
        steps_per_execution: how many steps are taken in a row, with nothing done between them: faster, since Lightning
            takes about as long around a step on features as the step itself, and the result is the same.
        compile: whether the backbone is compiled with `torch.compile`.

    Reference:
        Du and Wu, "No One Left Behind: Improving the Worst Categories in Long-Tailed Learning", CVPR 2023,
        https://arxiv.org/abs/2303.03630; Kang et al., "Decoupling Representation and Classifier for Long-Tailed
        Recognition", ICLR 2020, https://arxiv.org/abs/1910.09217, for the retraining as such.
    """

    old_known: Tensor

    def __init__(
        self,
        backbone: Backbone,
        counts: list[int],
        *,
        head: HeadFactory = Linear,
        old_head: HeadFactory = Linear,
        reset: bool = False,
        loss: LossFactory = GML,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=2e-4),
        schedule: Schedule | None = None,
        rates: dict[str, float] | None = None,
        cache: bool = True,
        views: int = 0,
        steps_per_execution: int = 1,
        compile: bool = False,
    ) -> None:
        super().__init__(
            backbone,
            counts,
            head=head,
            loss=loss,
            optimizer=optimizer,
            schedule=schedule or Cosine(),
            rates=rates,
            cache=cache,
            views=views,
            steps_per_execution=steps_per_execution,
            compile=compile,
        )
        self.old_head = old_head(backbone.dim, len(counts)).requires_grad_(False)
        self.reset = reset
        if reset and self.head.added:
            raise InputError(
                f"{type(self.head).__name__} adds to a trained classifier, so there is nothing to reset: leave out "
                "`--model.reset true`."
            )
        self.register_buffer("old_known", torch.tensor(False))

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Keep the old head before anything touches the new one."""
        if classifier:
            with advice("Name its kind with `--model.old_head`.", on=weights.ClassifierError):
                weights.load_head(self.old_head, classifier)
            self.old_known.fill_(True)
        if not self.reset:
            with advice("Start a new head with `--model.reset true`.", on=weights.ClassifierError):
                weights.load_head(self.head, classifier, added=self.head.added)

    def train(self, mode: bool = True) -> Tuning:
        """Switch the new head to training mode; the old one stays in evaluation mode."""
        super().train(mode)
        self.old_head.eval()
        return self
