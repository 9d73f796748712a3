"""Where in an image the class is, by the network itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr import distributed
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods import Method


@torch.no_grad()
def foregrounds(method: Method, classifier: nn.Linear, data: LongTailed, threshold: float) -> Tensor:
    """Find the foreground of every training image, each process that of a part of them.

    Args:
        method: the network.
        classifier: its classifier.
        data: the data module.
        threshold: share of the mean of an activation map from which on a pixel is foreground.

    Returns:
        (N, H, W) bool in the order of the split.

    Raises:
        InputError: where the classifier does not weight the feature maps of the backbone one by one.
    """
    backbone, weight = method.backbone, classifier.weight
    images = data.splits["train"].images
    masks = torch.zeros(len(images), *images.shape[2:], dtype=torch.uint8, device=method.device)
    modes = [(module, module.training) for module in backbone.modules()]
    backbone.eval()
    with method.trainer.precision_plugin.forward_context():
        for batch in data.plain("train"):
            maps = backbone.maps(method.ready(batch.images))
            if maps.dim() != 4 or maps.shape[1] != weight.shape[1]:
                kind = type(backbone).__name__
                raise InputError(f"a class activation map needs one feature map per feature, which {kind} lacks.")
            found = torch.zeros_like(masks[batch.indices])
            seen = data.preprocessing.cropped(found)  # a view of what the network sees
            activations = activation_maps(maps.float(), weight[batch.labels].float(), seen.shape[1:])
            seen.copy_(activations >= threshold * activations.mean((1, 2), keepdim=True))
            masks[batch.indices] = found
    for module, mode in modes:
        module.training = mode
    return distributed.total(masks).bool()


def activation_maps(maps: Tensor, weights: Tensor, size: torch.Size) -> Tensor:
    """Return (B, H, W): what each position says for the class, from 0 to 1, enlarged to the size of the images.

    The map is sum_d w_cd map_d; that of an image in which every position says the same is 0.

    Args:
        maps: (B, D, h, w) feature maps.
        weights: (B, D) the classifier's row of the class of each image.
        size: (H, W).

    Reference:
        Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016,
        https://arxiv.org/abs/1512.04150.
    """
    activations = torch.einsum("bdhw,bd->bhw", maps, weights)
    low, high = activations.amin((1, 2), keepdim=True), activations.amax((1, 2), keepdim=True)
    scaled = (activations - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)
    return F.interpolate(scaled[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
