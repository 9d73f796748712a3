"""Several experts that share the early stages."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ltr.backbones.resnet_cifar import ResNet32
from ltr.contracts import Backbone, BackboneFactory
from ltr.errors import InputError
from ltr.ranges import Count


class Branches(nn.ModuleList):
    """The separate stages of all experts."""

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, D', h', w') to the concatenated maps of all experts, (B, E * D, h, w)."""
        return torch.cat([branch(maps) for branch in self], 1)


class MultiExpert(Backbone):
    """Share the early stages of a network between experts; each expert has its own later stages.

    The experts differ in their initialisation. Their features are concatenated; `ExpertHeads` splits them again. The
    shared stages keep their names, and the stages of expert e are in `branches.e`.

    Args:
        backbone: builds one network; called once per expert.
        experts: number of experts E.
        shared: the last stage that all experts share.

    Shape:
        images (B, 3, H, W) -> features (B, E * D).

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ride_resnet_cifar.py.
    """

    def __init__(self, backbone: BackboneFactory = ResNet32, *, experts: Count = 3, shared: str = "layer1") -> None:
        super().__init__()
        networks = [backbone() for _ in range(experts)]
        first = networks[0]
        first.check_new("MultiExpert")
        first.check_stages("an ensemble of experts that share stages", 2)
        if shared not in first.stages[:-1]:
            raise InputError(
                f"experts of {first.title} cannot share up to {shared}: choose a stage before the last one "
                f"({', '.join(first.stages[:-1])})."
            )
        end = first.stages.index(shared) + 1
        self.common_stages, later = first.stages[:end], first.stages[end:]
        for stage in self.common_stages:
            self.add_module(stage, getattr(first, stage))
        self.branches = Branches(
            nn.Sequential(OrderedDict((stage, getattr(network, stage)) for stage in later)) for network in networks
        )
        self.stages = (*self.common_stages, "branches")
        self.experts, self.dim = experts, experts * first.dim

    def common(self, images: Tensor) -> Tensor:
        """Run the shared stages: images (B, 3, H, W) to the maps that every expert starts from."""
        for stage in self.common_stages:
            images = getattr(self, stage)(images)
        return images

    def expert(self, number: int, maps: Tensor) -> Tensor:
        """Return the features (B, D) of one expert from the shared maps."""
        return self.pool(self.branches[number](maps))
