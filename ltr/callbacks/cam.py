"""Class-balanced sampling by class activation maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from ltr import distributed, trainable
from ltr.callbacks.classifier import linear_classifier
from ltr.contracts import Batch
from ltr.data import LongTailed
from ltr.data.transforms.foreground import draw, move
from ltr.errors import InputError, advice
from ltr.methods import Method
from ltr.methods.method import MethodCallback
from ltr.ranges import NonNegative


class CAMSampling(MethodCallback):
    """Move the foreground of training images; the smaller their class, the more often.

    The network with which the training starts determines the foreground of every training image: the pixels where the
    class activation map of its class, sum_d w_cd map_d, scaled to [0, 1], is at least `threshold` times its mean. An
    image of class c is unchanged with probability N_c / (N_max + N_min); otherwise its foreground is rotated and
    scaled, shifted or mirrored, before any augmentation. This corresponds to filling up every class to N_max + N_min
    images, as the paper does on disk, but with new images each time. The sampler still decides how often a class is
    drawn.

    Args:
        threshold: the smallest value of a foreground pixel, as a multiple of the mean of the map.

    Reference:
        Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional Neural Networks", AAAI
        2021, https://ojs.aaai.org/index.php/AAAI/article/view/16458; official code zhangyongshun/BagofTricks-LT,
        lib/utils/cam_based_sampling.py. Its maps are of randomly cropped and mirrored images, and its foreground box
        ends at the second row and column; neither is repeated here.
    """

    def __init__(self, threshold: NonNegative = 0.75) -> None:
        self.threshold = threshold
        self.masks: Tensor | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the foregrounds, unless a resumed run has loaded them, and act before the augmentation.

        Raises:
            InputError: if the head is not linear, or the features are cached.
        """
        method = self.method
        with advice("Leave out `CAMSampling`."):
            classifier = linear_classifier(method)
        if method.bank.features:
            raise InputError("CAMSampling changes images, not cached features: pass `--model.cache false`.")
        if self.masks is None or trainer.ckpt_path is None:
            self.masks = foregrounds(method, classifier, method.data, self.threshold)
        self.masks = self.masks.to(method.device)
        self.chances = rework_chances(method.counts)
        method.pre_augment_hooks.append(self.move_foregrounds)

    def move_foregrounds(self, batch: Batch) -> Batch:
        """Return the batch with the foregrounds of some of its uint8 images moved."""
        assert self.masks is not None
        masks = self.masks[batch.indices]
        chosen = torch.rand(len(masks), device=masks.device) < self.chances[batch.labels]
        moved = move(batch.images, masks, draw(masks))
        return batch._replace(images=torch.where(chosen[:, None, None, None], moved, batch.images))

    def state_dict(self) -> dict[str, Any]:
        """Return the foregrounds for a resumed run, whose network would determine others."""
        if self.masks is None:
            return {}
        return {"masks": torch.from_numpy(np.packbits(self.masks.cpu().numpy())), "shape": list(self.masks.shape)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the foregrounds of the run."""
        if state_dict:
            shape = state_dict["shape"]
            bits = np.unpackbits(state_dict["masks"].cpu().numpy(), count=math.prod(shape))
            self.masks = torch.from_numpy(bits).bool().view(shape)


def rework_chances(counts: Tensor) -> Tensor:
    """Return (C,) the probability that an image is changed: the share of new images if a class had N_max + N_min."""
    return 1 - counts / (counts.max() + counts.min())


@torch.no_grad()
def foregrounds(method: Method, classifier: nn.Linear, data: LongTailed, threshold: float) -> Tensor:
    """Return the foreground of every training image; each process computes a part of them.

    Args:
        method: the network.
        classifier: its classifier.
        data: the data module.
        threshold: the smallest value of a foreground pixel, as a multiple of the mean of its map.

    Returns:
        (N, H, W) bool in the order of the split.

    Raises:
        InputError: if the classifier does not have one weight per feature map of the backbone.
    """
    backbone, weight = method.backbone, classifier.weight
    backbone.check_stages("a class activation map")
    images = data.splits["train"].images
    masks = torch.zeros(len(images), *images.shape[2:], dtype=torch.uint8, device=method.device)
    with trainable.evaluating(backbone), method.trainer.precision_plugin.forward_context():
        for batch in data.plain("train"):
            maps = backbone.maps(method.ready(batch.images))
            if maps.dim() != 4 or maps.shape[1] != weight.shape[1]:
                raise InputError(
                    f"a class activation map needs one feature map per feature, which {backbone.title} lacks."
                )
            foreground = torch.zeros_like(masks[batch.indices])
            crop = data.preprocessing.cropped(foreground)  # a view of the part that the network gets
            activations = activation_maps(maps.float(), weight[batch.labels].float(), crop.shape[1:])
            crop.copy_(activations >= threshold * activations.mean((1, 2), keepdim=True))
            masks[batch.indices] = foreground
    return distributed.total(masks).bool()


def activation_maps(maps: Tensor, weights: Tensor, size: torch.Size) -> Tensor:
    """Return (B, H, W) class activation maps, scaled to [0, 1] and enlarged to the size of the images.

    The map is sum_d w_cd map_d; a constant map becomes 0.

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
