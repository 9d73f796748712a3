"""Sampling balanced by class activation maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from ltr import distributed
from ltr.callbacks.classifier import linear_classifier
from ltr.contracts import Batch
from ltr.data import LongTailed
from ltr.data.transforms.foreground import draw, move
from ltr.errors import InputError, advice
from ltr.methods import Method


class CAMSampling(Callback):
    """Show an image of a small class with its foreground moved, the more often the smaller the class.

    The network with which the training starts finds the foreground of every training image: where the class activation
    map of its class, sum_d w_cd map_d, scaled to [0, 1], is at least `threshold` times its mean. A training image of
    class c is then left as it is with probability N_c / (N_max + N_min); else its foreground is turned and scaled,
    shifted or mirrored, before any augmentation. This is as if every class had been filled up to N_max + N_min images,
    as the paper does on disk, but with new ones each time. How often a class is drawn remains the sampler's affair.

    Args:
        threshold: share of the mean of the map from which on a pixel is foreground.

    Reference:
        Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional Neural Networks", AAAI
        2021, https://ojs.aaai.org/index.php/AAAI/article/view/16458; official code zhangyongshun/BagofTricks-LT,
        lib/utils/cam_based_sampling.py. There the maps are those of randomly cropped and mirrored images, and the box
        of the foreground ends at its second row and column; here neither.
    """

    def __init__(self, threshold: float = 0.75) -> None:
        self.threshold = threshold
        self.masks: Tensor | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the foregrounds, except where a resumed run has brought them, and take a place before the augmentation.

        Raises:
            InputError: where the head is not linear, or there are no images to rework.
        """
        assert isinstance(pl_module, Method)
        data = pl_module.data
        with advice("Leave out `CAMSampling`."):
            classifier = linear_classifier(pl_module)
        if pl_module.bank.features:
            raise InputError("CAMSampling reworks images, and cached features are none: pass `--model.cache false`.")
        if self.masks is None or trainer.ckpt_path is None:
            self.masks = foregrounds(pl_module, classifier, data, self.threshold)
        self.masks = self.masks.to(pl_module.device)
        self.chances = rework_chances(pl_module.counts)
        pl_module.reworks.append(self.rework)

    def rework(self, batch: Batch) -> Batch:
        """Return the batch with the foregrounds of some of its uint8 images moved."""
        assert self.masks is not None
        masks = self.masks[batch.indices]
        chosen = torch.rand(len(masks), device=masks.device) < self.chances[batch.labels]
        moved = move(batch.images, masks, draw(masks))
        return batch._replace(images=torch.where(chosen[:, None, None, None], moved, batch.images))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the data as they were."""
        assert isinstance(pl_module, Method)
        if self.rework in pl_module.reworks:
            pl_module.reworks.remove(self.rework)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the data as they were."""
        self.on_train_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know: by then the network would find other foregrounds."""
        if self.masks is None:
            return {}
        return {"masks": torch.from_numpy(np.packbits(self.masks.cpu().numpy())), "shape": list(self.masks.shape)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the foregrounds of the run."""
        if state_dict:
            shape = state_dict["shape"]
            bits = np.unpackbits(state_dict["masks"].cpu().numpy(), count=math.prod(shape))
            self.masks = torch.from_numpy(bits).bool().view(shape)


def rework_chances(counts: Tensor) -> Tensor:
    """Return (C,) how probably an image is reworked: the share of new images in a class filled to N_max + N_min."""
    return 1 - counts / (counts.max() + counts.min())


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
