"""AdaptFormer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr.backbones.adapters import Adapter, Block, lift_width
from ltr.ranges import Count


class AdaptFormer(Adapter):
    """A narrow feed-forward part parallel to that of every block: `x + mlp(norm(x)) + s (U relu(W LN(x) + b) + c)`.

    LN has weights of its own; s is a learned number per block, which starts at 1. U, b and c start at 0.

    Args:
        blocks: the transformer blocks.
        classes: number of classes C.
        width: r, the size of the hidden layer; by default that of LIFT: the largest power of 2 up to C / (2 L) for L
            blocks, at least 1.

    Reference:
        Chen et al., "AdaptFormer: Adapting Vision Transformers for Scalable Visual Recognition", NeurIPS 2022,
        https://arxiv.org/abs/2205.13535; in the form of Shi et al., "Long-Tail Learning with Foundation Model: Heavy
        Fine-Tuning Hurts", ICML 2024, https://arxiv.org/abs/2309.10019; official code shijxcs/LIFT,
        models/peft_modules.py.
    """

    def __init__(self, blocks: Sequence[Block], classes: int, *, width: Count | None = None) -> None:
        super().__init__(blocks, classes)
        width = width or lift_width(classes, len(blocks))
        parts = [Bottleneck(block.dim, width) for block in blocks]
        for part, block in zip(parts, blocks, strict=True):
            part.insert(block)
        self.parts = nn.ModuleList(parts)


class Bottleneck(nn.Module):
    """The part of one block.

    Args:
        dim: size D of a token.
        width: r.

    Shape:
        tokens (B, N, D) -> (B, N, D).
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        self.scale = nn.Parameter(torch.ones(()))
        nn.init.kaiming_normal_(self.down.weight, a=math.sqrt(5))
        for start in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(start)
        self.waiting: list[Tensor] = []  # the input of the norm of the block, until the block ends

    def insert(self, block: Block) -> None:
        """Add what this part returns to the output of a block, whatever scales or drops its feed-forward part."""
        block.norm.register_forward_pre_hook(self.keep)
        block.module.register_forward_hook(self.add)

    def keep(self, norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Keep the input of the norm: the sum of the input of the block and its attention."""
        self.waiting.append(inputs[0])

    def add(self, block: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """Return the output of the block with this part."""
        changed: Tensor = output + self(self.waiting.pop())
        return changed

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, D) to what is added to them."""
        added: Tensor = self.scale * self.up(F.relu(self.down(self.norm(tokens))))
        return added
