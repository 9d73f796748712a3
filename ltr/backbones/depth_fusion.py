"""Experts that combine features of different depths."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import cycle, islice, pairwise

import torch
from torch import Tensor, nn

from ltr.backbones.resnet_cifar import ResNet32
from ltr.contracts import Backbone, BackboneFactory
from ltr.errors import InputError
from ltr.ranges import Count


class DepthFusion(Backbone):
    """Give each expert its own last stages, and multiply their maps by those of an earlier, shared stage.

    The experts share the stages up to the last of the depths; the first expert uses the maps of the first depth, the
    second one those of the second, and so on in turn. Strided convolutions of the expert bring them to the size of its
    last maps. The features of the experts are concatenated; `ExpertHeads` splits them again.

    Args:
        backbone: builds one network; called once per expert.
        experts: number of experts E.
        depths: the stages whose maps the experts use, in turn.

    Shape:
        images (B, 3, H, W) -> features (B, E * D).

    Reference:
        Jin et al., "Long-Tailed Visual Recognition via Self-Heterogeneous Integration with Knowledge Excavation", CVPR
        2023, https://arxiv.org/abs/2304.01279; official code jinyan-06/SHIKE, networks.py.
    """

    def __init__(
        self,
        backbone: BackboneFactory = ResNet32,
        *,
        experts: Count = 3,
        depths: Sequence[str] = ("layer1", "layer2"),
    ) -> None:
        super().__init__()
        networks = [backbone() for _ in range(experts)]
        first = networks[0]
        first.check_new("DepthFusion")
        first.check_stages("an ensemble of experts that share stages", 2)
        if not depths or set(depths) - set(first.stages[:-1]):
            raise InputError(
                f"`depths` are stages of {first.title} before the last one: choose from {', '.join(first.stages[:-1])}."
            )
        positions = [first.stages.index(depth) for depth in depths]
        start, end = min(positions) + 1, max(positions) + 1
        sizes = map_sizes(first)
        for stage in first.stages[:start]:
            self.add_module(stage, getattr(first, stage))
        chosen = list(islice(cycle(depths), experts))
        self.fusion = Fusion(
            first.stages[start - 1],
            {stage: getattr(first, stage) for stage in first.stages[start:end]},
            [OrderedDict((stage, getattr(network, stage)) for stage in first.stages[end:]) for network in networks],
            [(depth, aligned(sizes[depth], sizes[first.stages[-1]])) for depth in chosen],
        )
        self.stages = (*first.stages[:start], "fusion")
        self.experts, self.dim = experts, experts * first.dim


class Fusion(nn.Module):
    """The stages from the first depth on: shared ones, and the separate ones of all experts.

    Args:
        entry: the name of the stage before.
        shared: the shared stages by name, in order.
        branches: the stages of every expert by name, in order.
        alignments: the depth that each expert uses, with what brings its maps to the size of the last ones.
    """

    def __init__(
        self,
        entry: str,
        shared: Mapping[str, nn.Module],
        branches: Sequence[OrderedDict[str, nn.Module]],
        alignments: Sequence[tuple[str, nn.Module]],
    ) -> None:
        super().__init__()
        self.entry, self.depths = entry, [depth for depth, _ in alignments]
        self.shared = nn.ModuleDict(shared)
        self.branches = nn.ModuleList(nn.Sequential(branch) for branch in branches)
        self.alignments = nn.ModuleList(alignment for _, alignment in alignments)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, D', h', w') to the concatenated maps of all experts, (B, E * D, h, w)."""
        by_stage = {self.entry: maps}
        for name, stage in self.shared.items():
            maps = by_stage[name] = stage(maps)
        experts = zip(self.depths, self.alignments, self.branches, strict=True)
        return torch.cat([alignment(by_stage[depth]) * branch(maps) for depth, alignment, branch in experts], 1)


def aligned(maps: torch.Size, last: torch.Size) -> nn.Sequential:
    """Return convolutions from maps of one size (1, D', h', w') to those of another (1, D, h, w).

    Each one but the last doubles the channels. A rectified linear unit follows every convolution but the last of
    several, as in the official code: alone, it has one.
    """
    count = max(round(math.log2(maps[2] / last[2])), 0)
    stride, count = (2, count) if count else (1, 1)
    channels = [*(maps[1] * 2**step for step in range(count)), last[1]]
    layers: list[nn.Module] = []
    for step, (inputs, outputs) in enumerate(pairwise(channels), 1):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.ReLU()] if step < count or count == 1 else []
    return nn.Sequential(*layers)


@torch.no_grad()
def map_sizes(network: Backbone) -> dict[str, torch.Size]:
    """Return the size (1, D, h, w) of the maps after each stage, for a blank image of 64 x 64 pixels."""
    network.eval()  # so that the blank image does not change the running statistics
    maps, sizes = torch.zeros(1, 3, 64, 64), {}
    for stage in network.stages:
        maps = getattr(network, stage)(maps)
        sizes[stage] = maps.shape
    network.train()
    return sizes
