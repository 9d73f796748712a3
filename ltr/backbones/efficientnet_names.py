"""The names that tensors of an EfficientNet have in other files than those of timm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXCITATION = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
# The layers of a block that makes more channels first, and of one that does not.
EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
    **EXCITATION,
}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2", **EXCITATION}
BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")


def timm_names(state: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors of an EfficientNet in the PyTorch port of 2019 by the names that they have in timm.

    That port, of whose naming there are files of EfficientNet-B0 to B7 and Lite, counts the blocks through, where timm
    counts them in each stage. Other files are returned unchanged, and so are names that it does not have.

    Args:
        state: the tensors by the names of the file.
        wanted: the names of the network in timm.

    Reference:
        lukemelas/EfficientNet-PyTorch, efficientnet_pytorch/model.py.
    """
    if "_conv_stem.weight" not in state:
        return dict(state)
    blocks = list(dict.fromkeys(found[0] for name in wanted if (found := re.match(r"blocks\.\d+\.\d+", name))))

    def renamed(name: str) -> str:
        inside = BLOCK.fullmatch(name)
        if inside is None:
            layer, _, value = name.partition(".")
            return f"{OUTSIDE[layer]}.{value}" if layer in OUTSIDE else name
        number, layer, value = inside.groups()
        layers = EXPANDED if f"_blocks.{number}._expand_conv.weight" in state else PLAIN
        known = layer in layers and int(number) < len(blocks)
        return f"{blocks[int(number)]}.{layers[layer]}.{value}" if known else name

    return {renamed(name): value for name, value in state.items()}
