"""LoRA."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ltr.backbones.adapters import Adapter, Block, lift_width
from ltr.errors import InputError
from ltr.ranges import Count, Positive

PACKED = ("qkv.weight", "in_proj_weight")  # (3 D, D), of query, key and value, in timm and torch


class LoRA(Adapter):
    """Products of low rank, added to the weights of query and value of every block: `W + (alpha / r) B A`.

    A (r, D) starts with small random numbers and B (D, r) at 0.

    Args:
        blocks: the transformer blocks.
        classes: number of classes C.
        rank: r; by default the width of an `AdaptFormer`.
        alpha: the factor before 1 / r.

    Reference:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, https://arxiv.org/abs/2106.09685;
        which weights, alpha and rank are those of Shi et al., ICML 2024, https://arxiv.org/abs/2309.10019.
    """

    def __init__(
        self, blocks: Sequence[Block], classes: int, *, rank: Count | None = None, alpha: Positive = 1.0
    ) -> None:
        super().__init__(blocks, classes)
        rank = rank or lift_width(classes, len(blocks))
        self.names = [packed(block) for block in blocks]
        self.parts = nn.ModuleList(Product(block.dim, rank, alpha / rank) for block in blocks)

    def run(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the features (B, D) of images (B, 3, H, W) under the network with the changed weights."""
        pairs = zip(self.names, self.parts, strict=True)
        changed = {name: network.get_parameter(name) + part() for name, part in pairs}
        features: Tensor = functional_call(network, changed, (images,))
        return features


class Product(nn.Module):
    """What is added to the packed weight (3 D, D) of query, key and value.

    Args:
        dim: D.
        rank: r.
        scale: its factor.
    """

    def __init__(self, dim: int, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.empty(2, rank, dim).uniform_(-1, 1) / math.sqrt(dim))
        self.up = nn.Parameter(torch.zeros(2, dim, rank))

    def forward(self) -> Tensor:
        """Return (3 D, D)."""
        query, value = self.scale * (self.up @ self.down)
        return torch.cat([query, torch.zeros_like(query), value])

    def extra_repr(self) -> str:
        """Return its factor, which its weights do not have."""
        return f"scale={self.scale}"


def packed(block: Block) -> str:
    """Return the name of the packed weight of a block in its network.

    Raises:
        InputError: if it has none.
    """
    attention = dict(block.module.named_children())[block.attention]
    for name, weight in attention.named_parameters():
        if name in PACKED and weight.shape == (3 * block.dim, block.dim):
            return f"{block.name}.{block.attention}.{name}"
    raise InputError(
        "LoRA changes one weight of query, key and value together, and this network has them apart: pass "
        "`--model.backbone.adapter AdaptFormer`."
    )
