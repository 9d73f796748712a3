"""A network that follows another one slowly."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ltr.contracts import Backbone, Head


class MomentumEncoder(nn.Module):
    """Embed images with a moving average of a network, without gradient.

    Batch norm normalises with the statistics of the batch, as in the network that is followed; the running statistics
    are not averaged, since nothing uses them.

    Args:
        backbone: the backbone to follow; it is copied.
        head: the head to follow, which makes embeddings; it is copied.

    Reference:
        He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
        https://arxiv.org/abs/1911.05722; official code facebookresearch/moco, moco/builder.py.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = copy.deepcopy(backbone), copy.deepcopy(head)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to embeddings (B, P)."""
        embeddings: Tensor = self.head(self.backbone(images)).embeddings
        return embeddings[:, 0]

    @torch.no_grad()
    def follow(self, backbone: Backbone, head: Head, momentum: float) -> None:
        """Move every weight: k <- m k + (1 - m) q.

        Args:
            backbone: what is followed.
            head: likewise.
            momentum: m; 0 takes the weights over as they are.
        """
        pairs = ((self.backbone, backbone), (self.head, head))
        for mine, other in pairs:
            for key, query in zip(mine.parameters(), other.parameters(), strict=True):
                key.lerp_(query, 1 - momentum)
