"""Small modules in the transformer blocks of a network, which are trained in place of its weights."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from ltr.ranges import Checked

ATTENTIONS, NORMS, FEED_FORWARD = ("attn", "self_attention"), ("norm2", "ln_2"), "mlp"  # in timm, OpenCLIP, torchvision


class Block(NamedTuple):
    """A transformer block: `x = x + attention(norm1(x))`, then `x + mlp(norm(x))`.

    Attributes:
        name: of the block in its network.
        module: the block.
        attention: the name of its attention in it.
        norm: the norm before its feed-forward part.
        dim: size D of a token.
    """

    name: str
    module: nn.Module
    attention: str
    norm: nn.Module
    dim: int


def blocks(network: nn.Module) -> list[Block]:
    """Return the transformer blocks of a network, in order; none if they are not all of one size, or norm afterwards.

    Args:
        network: of timm, OpenCLIP or torchvision.
    """
    found = []
    for name, module in network.named_modules():
        parts = dict(module.named_children())
        known = [part for part in parts if part in (*ATTENTIONS, *NORMS, FEED_FORWARD)]
        # A block that normalises what its parts return has the same names in another order.
        if len(known) == 3 and known[0] in ATTENTIONS and known[1] in NORMS:
            shape = getattr(parts[known[1]], "normalized_shape", ())
            found += [Block(name, module, known[0], parts[known[1]], shape[-1])] if shape else []
    return found if len({block.dim for block in found}) == 1 else []


class Adapter(Checked, nn.Module, ABC):
    """Small modules in the transformer blocks of a network. A new adapter leaves the features unchanged.

    Args:
        blocks: the blocks.
        classes: number of classes C.
    """

    def __init__(self, blocks: Sequence[Block], classes: int) -> None:
        super().__init__()

    def run(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the features (B, D) of images (B, 3, H, W) under the network in whose blocks it is."""
        features: Tensor = network(images)
        return features


def lift_width(classes: int, blocks: int) -> int:
    """Return the width of LIFT for an adapter: the largest power of 2 up to classes / (2 blocks), at least 1."""
    return 1 << (max(classes // (2 * blocks), 1).bit_length() - 1)


AdapterFactory = Callable[[Sequence[Block], int], Adapter]
