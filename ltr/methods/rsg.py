"""RSG: rare-sample generation, around any loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ltr import distributed, trainable
from ltr.contracts import Backbone, Batch, EpochAware, MixFactory, Output
from ltr.errors import InputError
from ltr.methods.method import Method
from ltr.methods.rare_samples import RareSamples
from ltr.ranges import Count, InnerFraction, NonNegative, Positive


class RSG(Method):
    """Add feature maps of rare classes, generated from those of frequent classes, in the last part of training.

    `RareSamples` generates maps from those before `stage`. The rest of the network, the head and the loss get the
    original and the generated maps as one larger batch. The objective is l(larger batch) + `centre_weight` (centre +
    contrast) + `transfer_weight` transfer. Evaluations, and trainings that start from the weights, use the plain
    network. The running measures, `train/loss` included, are of the original images alone: the centre term is a sum
    over a whole map and would dominate the loss.

    In distributed training every process pairs and generates within its own part of the batch; means are over all
    processes. It needs `--trainer.strategy ddp_find_unused_parameters_true`, because the parts of the generator are
    trained at different times. `compile` affects evaluations only.

    Args:
        backbone: a network with named stages.
        counts: training images per class; the command line takes them from the data.
        mix: must be None, because a blended image has no single class.
        stage: the stage before which maps are generated; None for the last.
        centres: number K of centres of each class.
        head_share: the share of the classes, those with the most images, that are head classes.
        start: the fraction of training at which generation starts; 0.8 is epoch 160 (from 0) of 200.
        strength: how many times the larger of the two groups of a batch is used.
        centre_weight: of the centre and contrast terms.
        transfer_weight: of the transfer term.
        **others: the arguments of `Method`.

    Reference:
        Wang et al., "RSG: A Simple but Effective Module for Learning Imbalanced Datasets", CVPR 2021,
        https://arxiv.org/abs/2106.09859; official code Jianf-Wang/RSG, Imbalanced_Classification/cifar_train.py.
    """

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        mix: MixFactory | None = None,
        stage: str | None = None,
        centres: Count = 15,
        head_share: InnerFraction = 0.2,
        start: InnerFraction = 0.8,
        strength: Positive = 1.0,
        centre_weight: NonNegative = 0.1,
        transfer_weight: NonNegative = 0.01,
        **others: Any,
    ) -> None:
        if mix is not None:
            raise InputError("RSG generates samples of a class, and a blended image has two: leave out the mix.")
        super().__init__(backbone, counts, **others)
        backbone.check_stages("RSG", 2)
        stages = backbone.inner.stages
        stage = stage or stages[-1]
        if stage not in stages[1:]:
            raise InputError(
                f"{backbone.title} has no stage {stage} to generate before: choose one of {', '.join(stages[1:])}."
            )
        self.position = stages.index(stage)
        self.centre_weight, self.transfer_weight = centre_weight, transfer_weight
        self.generator = RareSamples(
            self.counts, self.channels(), centres=centres, head_share=head_share, start=start, strength=strength
        )

    @property
    def epoch_aware(self) -> list[EpochAware]:
        """The parts that depend on the epoch, the generator included."""
        return [*super().epoch_aware, self.generator]

    def check_views(self, views: int) -> None:
        """Raise `InputError` if there are several views of an image."""
        if views > 1:
            raise InputError("RSG generates from single images: use an augmentation without MultiView.")

    @torch.no_grad()
    def channels(self) -> int:
        """Return the number of channels of the maps before the stage."""
        with trainable.evaluating(self.backbone):  # so that the blank image does not change the running statistics
            maps = self.run(torch.zeros(1, 3, 32, 32), slice(self.position))
        return maps.shape[1]

    def run(self, maps: Tensor, part: slice) -> Tensor:
        """Pass images or maps through some stages of the backbone."""
        network = self.backbone.inner
        for stage in network.stages[part]:
            maps = getattr(network, stage)(maps)
        return maps

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the objective of the batch with the generated maps."""
        maps, size = self.run(batch.images, slice(self.position)), len(batch.labels)
        rare = self.generator(maps, batch.labels)
        maps = self.run(torch.cat([maps, rare.maps]), slice(self.position, None))
        output: Output = self.head(self.backbone.inner.pool(maps))
        values = self.loss(output, torch.cat([batch.labels, rare.labels]))
        terms = (
            (1.0, values.mean(), len(values)),
            (self.centre_weight, rare.centre, size),
            (self.centre_weight, rare.contrast, rare.pairs),
            (self.transfer_weight, rare.transfer, len(rare.labels)),
        )
        self.count(values[:size].mean(), output._replace(logits=output.logits[:size]), batch.labels)
        weighted = [weight * distributed.ddp_weighted(term, number) for weight, term, number in terms]
        return torch.stack(weighted).sum()
