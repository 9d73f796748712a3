"""Mixup of what a stage of the network makes of the images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.contracts import Backbone
from ltr.errors import InputError
from ltr.mixes.paired import Paired


class ManifoldMixup(Paired):
    """Blend the maps of a stage, or the pooled features, as `Mixup` blends images; the losses likewise.

    The images pass unchanged; the blend is made by a forward hook in the first pass through the backbone after the
    batch was mixed. An evaluation is never mixed, so the hook does nothing there.

    Args:
        counts: (C,) training images per class; not used.
        alpha: lambda ~ Beta(alpha, alpha), one for a batch.
        stage: after which stage of the backbone; `pool` for its features, the place of the numbers in "Bag of Tricks".
            The paper draws another stage for every batch.

    Reference:
        Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019,
        https://arxiv.org/abs/1806.05236; official code vikasverma1077/manifold_mixup; zhangyongshun/BagofTricks-LT,
        lib/core/combiner.py.
    """

    hidden = True

    def __init__(self, counts: Tensor, *, alpha: float = 1.0, stage: str = "pool") -> None:
        super().__init__(counts, alpha=alpha)
        self.stage = stage
        self.due: tuple[Tensor, Tensor] | None = None

    def attach(self, backbone: Backbone) -> None:
        """Hang the hook on the stage."""
        places = {name: getattr(backbone, name) for name in backbone.stages} | {"pool": backbone}
        if self.stage not in places:
            raise InputError(
                f"{type(backbone).__name__} has no stage {self.stage} to mix after: there are {', '.join(places)}."
            )
        places[self.stage].register_forward_hook(self.mix_maps)

    def blend(self, images: Tensor, partners: Tensor, share: float) -> tuple[Tensor, float]:
        """Leave the images, and keep for the hook what is due."""
        self.due = partners, torch.tensor(share, device=images.device)
        return images, share

    def mix_maps(self, stage: nn.Module, inputs: tuple[Tensor, ...], maps: Tensor) -> Tensor:
        """Return the maps (B, ...) that a stage made, blended where a blend is due."""
        if self.due is None:
            return maps
        (partners, share), self.due = self.due, None
        return share * maps + (1 - share) * maps[partners]
