"""Manifold mixup: mixup of the activations of a stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Backbone
from ltr.counts import CountsLike
from ltr.errors import InputError
from ltr.mixes.pairwise import Pairwise
from ltr.ranges import Positive


class ManifoldMixup(Pairwise):
    """Mix the activations of a stage, or the pooled features, as `Mixup` mixes images.

    The images are unchanged. A forward hook mixes the activations in the first pass through the backbone after the
    batch was drawn. It does nothing without gradients, as in an evaluation, even after a training that was interrupted
    before this pass.

    Args:
        counts: (C,) training images per class; not used.
        alpha: lambda ~ Beta(alpha, alpha), one per batch.
        stage: the stage of the backbone after which to mix; `pool` for the features, as for the numbers in "Bag of
            Tricks". The paper draws a stage for every batch.

    Reference:
        Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019,
        https://arxiv.org/abs/1806.05236; official code vikasverma1077/manifold_mixup; zhangyongshun/BagofTricks-LT,
        lib/core/combiner.py.
    """

    hidden = True

    def __init__(self, counts: CountsLike, *, alpha: Positive = 1.0, stage: str = "pool") -> None:
        super().__init__(counts, alpha=alpha)
        self.stage = stage
        self.due: tuple[Tensor, Tensor] | None = None

    def attach(self, backbone: Backbone) -> None:
        """Register the hook on the stage."""
        if self.stage != "pool":
            backbone.check_stages("manifold mixup within a network")
        network = backbone.inner
        stages = {name: getattr(network, name) for name in network.stages} | {"pool": network}
        if self.stage not in stages:
            raise InputError(f"{backbone.title} has no stage {self.stage}: choose one of {', '.join(stages)}.")
        stages[self.stage].register_forward_hook(self.mix_maps)

    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Keep partners and share for the hook; the images are unchanged."""
        self.due = partners, torch.tensor(share, device=images.device)
        return images, share

    def mix_maps(self, stage: nn.Module, inputs: tuple[Tensor, ...], maps: Tensor) -> Tensor:
        """Mix the output (B, ...) of the stage if a batch is due."""
        if self.due is None or not torch.is_grad_enabled():
            return maps
        (partners, share), self.due = self.due, None
        return share * maps + (1 - share) * maps[partners]
