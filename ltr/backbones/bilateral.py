"""The two-branch network of BBN."""

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
    """Duplicate the last block of a backbone and concatenate the features of both branches.

    The conventional branch (`cb_block`) is trained on the original class distribution, the re-balancing branch
    (`rb_block`) on the reversed one; all earlier blocks are shared. `BBN` builds it from the backbone it is given;
    `Pretrained` needs it to read a BBN run. The tensors have the names of the official checkpoints.

    Args:
        backbone: the plain network; ResNet-32 by default. Its last stage must be a sequence of blocks.

    Shape:
        images (B, 3, H, W) -> features (B, 2 * D), where D is that of the plain network.

    Raises:
        InputError: if the last stage is not a sequence of blocks, or the network starts from weights.

    Reference:
        Zhou et al., "BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition", CVPR
        2020, https://arxiv.org/abs/1912.02413; official code megvii-research/BBN, lib/backbone/resnet_cifar.py.
    """

    def __init__(self, backbone: Backbone | None = None) -> None:
        super().__init__()
        backbone = backbone or ResNet32()
        backbone.check_new("BBN")
        last = getattr(backbone, backbone.stages[-1]) if backbone.stages else None
        if not isinstance(last, nn.Sequential):
            raise InputError(
                f"the last stage of {backbone.title} is not a sequence of blocks, so its last block cannot be "
                "duplicated: use another backbone, such as ResNet32."
            )
        self.shared = backbone.stages
        for stage in self.shared[:-1]:
            self.add_module(stage, getattr(backbone, stage))
        self.add_module(self.shared[-1], last[:-1])
        self.cb_block, self.rb_block = last[-1], redrawn(last[-1])
        self.dim = 2 * backbone.dim

    def forward(self, images: Tensor, branches: Sequence[str] = BRANCHES) -> Tensor:
        """Map images (B, 3, H, W) to the concatenated features of the named branches."""
        for stage in self.shared:
            images = getattr(self, stage)(images)
        return torch.cat([self.pool(getattr(self, branch)(images)) for branch in branches], 1)


def redrawn(block: nn.Module) -> nn.Module:
    """Return a copy of an untrained block with new weights from the same distribution, whatever its initialisation."""
    copy = deepcopy(block)
    with torch.no_grad():
        for parameter in copy.parameters():  # a permutation of i.i.d. draws is i.i.d.
            parameter.copy_(parameter.flatten()[torch.randperm(parameter.numel())].view_as(parameter))
    return copy
