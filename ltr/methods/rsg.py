"""Rare samples generated before the last stage of the network, around any loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ltr import distributed
from ltr.contracts import Backbone, Batch, EpochAware, MixFactory, Output
from ltr.errors import InputError
from ltr.methods.method import Method
from ltr.methods.rare_samples import RareSamples


class RSG(Method):
    """Add feature maps of rare classes, generated from frequent ones, to every batch of the last part of the run.

    The images pass the stages before `stage`; `RareSamples` makes maps out of theirs; the rest of the network, the head
    and the loss see the originals followed by the generated samples, as one larger batch. The objective is
    l(larger batch) + `centre_weight` (centre + contrast) + `transfer_weight` transfer. An evaluation is that of the
    plain network, and a training that starts from the run's weights gets those of the plain network. The running
    measures count the originals alone, `train/loss` too: the centre term is a sum over a whole map and would drown
    the others.

    In a distributed run every process pairs and generates within its own part of the batch; every mean is one over
    all processes. It needs `--trainer.strategy ddp_find_unused_parameters_true`, since the parts of the generator are
    trained at different times. `compile` reaches the evaluations only.

    Args:
        backbone: a network with named stages.
        counts: training images per class; the command line takes them from the data.
        mix: must be None: a blended image belongs to no class.
        stage: before which stage the generator sits; None for the last.
        centres: K of each class.
        head_share: the part of the classes, those with most images, whose samples are drawn from.
        start: the fraction of the run at which the generation starts; 0.8 is epoch 160 (from 0) of 200.
        strength: how many times the larger of the two groups of a batch is gone through.
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
        counts: list[int],
        *,
        mix: MixFactory | None = None,
        stage: str | None = None,
        centres: int = 15,
        head_share: float = 0.2,
        start: float = 0.8,
        strength: float = 1.0,
        centre_weight: float = 0.1,
        transfer_weight: float = 0.01,
        **others: Any,
    ) -> None:
        if mix is not None:
            raise InputError("RSG generates samples of a class, and a blended image belongs to none: drop the mix.")
        super().__init__(backbone, counts, **others)
        stage = stage or (backbone.stages or ("",))[-1]
        if stage not in backbone.stages[1:]:
            places = f"there are {', '.join(backbone.stages[1:])}" if backbone.stages else "it names none"
            raise InputError(f"{type(backbone).__name__} has no stage {stage} to generate before: {places}.")
        self.place = backbone.stages.index(stage)
        self.centre_weight, self.transfer_weight = centre_weight, transfer_weight
        self.generator = RareSamples(
            self.counts, self.channels(), centres=centres, head_share=head_share, start=start, strength=strength
        )

    @property
    def epoch_aware(self) -> list[EpochAware]:
        """The parts that are told the current epoch, the generator among them."""
        return [*super().epoch_aware, self.generator]

    def check_views(self, views: int) -> None:
        """Raise `InputError` where there are several views of an image."""
        if views > 1:
            raise InputError("RSG generates from single images: take an augmentation without MultiView.")

    @torch.no_grad()
    def channels(self) -> int:
        """Return how many channels the maps have where the generator sits."""
        self.backbone.eval()  # so that the running statistics do not see the blank image
        maps = self.run(torch.zeros(1, 3, 32, 32), slice(self.place))
        self.backbone.train()
        return maps.shape[1]

    def run(self, maps: Tensor, part: slice) -> Tensor:
        """Pass images or maps through some stages of the backbone."""
        for stage in self.backbone.stages[part]:
            maps = getattr(self.backbone, stage)(maps)
        return maps

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of the batch and what was generated from it, and the terms of the generator."""
        maps, size = self.run(batch.images, slice(self.place)), len(batch.labels)
        rare = self.generator(maps, batch.labels)
        maps = self.run(torch.cat([maps, rare.maps]), slice(self.place, None))
        output: Output = self.head(self.backbone.pool(maps))
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
