"""A network whose last block is there twice."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from ltr.backbones.resnet_cifar import ResNet32
from ltr.contracts import Backbone
from ltr.errors import InputError

BRANCHES = ("cb_block", "rb_block")


class Bilateral(Backbone):
    """Double the last block of the last stage of a backbone: the features of both branches lie side by side.

    The conventional branch (`cb_block`) is trained on the set as it is, the re-balancing one (`rb_block`) on the
    reversed set; all that comes before is shared. `BBN` makes one of the backbone that it is given, and
    `Pretrained` takes one to read a run of it. The tensors are named as in the official checkpoints.

    Args:
        backbone: the plain network, a ResNet-32 where none is named. Its last stage is a chain of blocks.

    Shape:
        images (B, 3, H, W) -> features (B, 2 * D), D being the plain network's.

    Raises:
        InputError: for a backbone without such a stage.

    Reference:
        Zhou et al., "BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition", CVPR
        2020, https://arxiv.org/abs/1912.02413; official code megvii-research/BBN, lib/backbone/resnet_cifar.py.
    """

    def __init__(self, backbone: Backbone | None = None) -> None:
        super().__init__()
        backbone = backbone or ResNet32()
        last = getattr(backbone, backbone.stages[-1]) if backbone.stages else None
        if not isinstance(last, nn.Sequential):
            raise InputError(
                f"the last stage of {type(backbone).__name__} is no chain of blocks, the last of which could be there "
                "twice: take another backbone, such as ResNet32."
            )
        self.shared = backbone.stages
        for stage in self.shared[:-1]:
            self.add_module(stage, getattr(backbone, stage))
        self.add_module(self.shared[-1], last[:-1])
        self.cb_block, self.rb_block = last[-1], redrawn(last[-1])
        self.dim = 2 * backbone.dim

    def forward(self, images: Tensor, branches: Sequence[str] = BRANCHES) -> Tensor:
        """Map images (B, 3, H, W) to the features of the named branches, side by side."""
        for stage in self.shared:
            images = getattr(self, stage)(images)
        return torch.cat([self.pool(getattr(self, branch)(images)) for branch in branches], 1)


def redrawn(block: nn.Module) -> nn.Module:
    """Return a copy of a fresh block with other weights, drawn as its own were, whatever its initialisation."""
    copy = deepcopy(block)
    with torch.no_grad():
        for parameter in copy.parameters():  # independent draws of one distribution are so in any order
            parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))
    return copy
