"""The rare-sample generator: feature maps of rare classes from those of frequent classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ltr import milestones
from ltr.contracts import EpochAware, Loss
from ltr.errors import InputError

PAIR_CHANNELS = 256
precise = Loss.precise


class Generated(NamedTuple):
    """The generated maps of a batch, and the losses of the generator.

    Attributes:
        maps: (G, D, h, w) feature maps of rare classes; G is 0 until generation starts.
        labels: (G,) their class indices.
        centre: () mean over the batch of the distance from the centres.
        contrast: () mean over the pairs of the cross-entropy of "same class"; 0 once maps are generated.
        pairs: number of these pairs.
        transfer: () mean over the generated maps of the transfer loss; 0 if there are none.
    """

    maps: Tensor
    labels: Tensor
    centre: Tensor
    contrast: Tensor
    pairs: int
    transfer: Tensor


class RareSamples(EpochAware, nn.Module):
    """Transfer the displacement of a head sample from its centre to a tail sample: F' = F_t + T(F_h - mu_h).

    Every class has K centres mu of D channels and a gate g = softmax(A' GAP(F) + b) over them. The centres follow the
    maps (`centre`). A contrastive network learns whether two maps are of the same class (`contrast`). From the fraction
    `start` of training on, this network is fixed, and every sample of the larger group of the batch (head or tail) is
    paired with one of the smaller group. The transformation T then learns (`transfer`): u = T(v) should not be
    recognised as the class of the head sample, should have the length of v at every position, and should point in the
    direction of F_t - mu_t. All maps are detached, so no gradient reaches the network below.

    The direction term is |cos - 1| at every position. The official code sums |a_d b_d - 1| over the channels of unit
    vectors, which differs by a constant, but takes them from a reshaped (n, D, h, w) tensor whose rows are not
    positions. For a strength above 1 it pairs empty slices; here the larger group is used again.

    Args:
        counts: (C,) training images per class; the head classes are those with the most.
        channels: D.
        centres: K of each class.
        head_share: the share of the classes that are head classes.
        start: the fraction of training at which generation starts; 0.8 is epoch 160 (from 0) of 200.
        strength: how many times the larger group is used, in whole multiples of the smaller group and at least one.

    Reference:
        Wang et al., "RSG: A Simple but Effective Module for Learning Imbalanced Datasets", CVPR 2021,
        https://arxiv.org/abs/2106.09859; official code Jianf-Wang/RSG, Imbalanced_Classification/models/RSG.py.
    """

    is_head: Tensor

    def __init__(
        self, counts: Tensor, channels: int, *, centres: int, head_share: float, start: float, strength: float
    ) -> None:
        super().__init__()
        classes = len(counts)
        heads = int(round(head_share * classes, 6))
        if not 0 < heads < classes:
            raise InputError(f"`head_share` {head_share:g} makes {heads} of {classes} head classes: choose another.")
        self.start, self.strength, self.generating = start, strength, False
        is_head = torch.zeros(classes, dtype=torch.bool)
        is_head[counts.argsort(descending=True, stable=True)[:heads]] = True
        self.register_buffer("is_head", is_head, persistent=False)
        self.centres = nn.Parameter(torch.zeros(classes, centres, channels))
        self.gates = nn.Parameter(torch.randn(classes, channels, centres))
        self.gate_bias = nn.Parameter(torch.ones(classes, centres))
        self.transform = nn.Conv2d(channels, channels, 3, padding=1)
        self.contrast = nn.Sequential(
            nn.Conv2d(2 * channels, PAIR_CHANNELS, 1), nn.ReLU(), PooledConv(PAIR_CHANNELS), nn.Linear(PAIR_CHANNELS, 2)
        )
        for module in (self.transform, *self.contrast):
            for parameter in module.parameters():
                if parameter.dim() == 4:
                    nn.init.kaiming_normal_(parameter)
                elif parameter.dim() == 2:
                    nn.init.normal_(parameter)
                else:
                    nn.init.zeros_(parameter)

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for."""
        return milestones.notes(self.start, epochs, "the generation of rare samples")

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`; the contrastive network is fixed once generation starts."""
        self.generating = milestones.passed(self.start, epoch, epochs)

    def forward(self, maps: Tensor, labels: Tensor) -> Generated:
        """Generate from maps (B, D, h, w) and labels (B,)."""
        maps = maps.detach()
        gates = self.gate(maps, labels)
        centre = self.centre_loss(maps, labels, gates)
        generated, rare = maps[:0], labels[:0]
        pairs, contrast, transfer = 0, torch.zeros_like(centre), torch.zeros_like(centre)
        if self.generating:
            head, tail = self.pair(labels)
            if len(head) > 0:
                rare = labels[tail]
                difference = maps[head] - self.nearest(gates[head], labels[head])
                carried: Tensor = self.transform(difference)
                generated = (maps[tail] + carried).to(maps.dtype)
                towards = maps[tail] - self.nearest(gates[tail], rare)
                transfer = self.transfer_loss(maps[head], difference, carried, towards)
        elif len(labels) > 1:
            pairs = len(labels) // 2
            same = (labels[:pairs] == labels[pairs : 2 * pairs]).long()
            contrast = F.cross_entropy(self.tell(maps[:pairs], maps[pairs : 2 * pairs]), same)
        return Generated(generated, rare, centre, contrast, pairs, transfer)

    def gate(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Return (B, K) the gate of each sample over the centres of its class."""
        with torch.autocast(maps.device.type, enabled=False):
            pooled = precise(maps).mean((2, 3))
            return (torch.einsum("bd,bdk->bk", pooled, self.gates[labels]) + self.gate_bias[labels]).softmax(1)

    def centre_loss(self, maps: Tensor, labels: Tensor, gates: Tensor) -> Tensor:
        """Return (), the mean over the batch of sum_k g_k ||F - mu_k||^2."""
        with torch.autocast(maps.device.type, enabled=False):
            flat, centres = precise(maps).flatten(2), self.centres[labels]
            # Multiplied out, because K copies of the maps would be large.
            squares = flat.square().sum((1, 2))[:, None]
            products = torch.einsum("bd,bkd->bk", flat.sum(2), centres)
            distances = squares - 2 * products + flat.shape[2] * centres.square().sum(2)
            return (gates * distances).sum(1).mean()

    def nearest(self, gates: Tensor, labels: Tensor) -> Tensor:
        """Return (G, D, 1, 1) the centre with the largest gate of each sample, without gradient."""
        return self.centres.detach()[labels, gates.argmax(1)][:, :, None, None]

    def pair(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (G,) positions of head samples and (G,) of the tail samples paired with them."""
        head, tail = (group.nonzero().flatten() for group in (self.is_head[labels], ~self.is_head[labels]))
        few, many = sorted((len(head), len(tail)))
        if few == 0:
            return head[:0], tail[:0]
        turns = torch.arange(max(1, int(self.strength * many / few)) * few, device=labels.device)
        return head[turns % len(head)], tail[turns % len(tail)]

    def tell(self, first: Tensor, second: Tensor) -> Tensor:
        """Return (G, 2) the logits of "different classes" and "same class", in at least float32."""
        # Fixed here and not by `requires_grad`, which would outlast the training.
        fixed = {name: weight.detach() for name, weight in self.contrast.named_parameters()} if self.generating else {}
        logits: Tensor = functional_call(self.contrast, fixed, (torch.cat([first, second], 1),))
        return precise(logits)

    def transfer_loss(self, head: Tensor, difference: Tensor, carried: Tensor, towards: Tensor) -> Tensor:
        """Return () the mean transfer loss of the transformed displacements `carried`; all are (G, D, h, w)."""
        different = torch.zeros(len(head), dtype=torch.int64, device=head.device)
        foreign = F.cross_entropy(self.tell(head, carried), different)
        carried, difference, towards = precise(carried), precise(difference), precise(towards)
        length = (carried.norm(dim=1) - difference.norm(dim=1)).abs()
        cosine = (F.normalize(towards, dim=1) * F.normalize(carried, dim=1)).sum(1)
        loss: Tensor = foreign + (length + (cosine - 1).abs()).sum((1, 2)).mean()
        return loss


class PooledConv(nn.Conv2d):
    """A 3 x 3 convolution with padding 1, averaged over all positions, which are not computed.

    Both are linear, so the result is the kernel times the averages of the nine shifted maps: averages of the map
    without a row, a column or both.

    Args:
        channels: D, before and after.

    Shape:
        maps (B, D, h, w) -> (B, D).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the averages."""
        positions = maps.shape[2] * maps.shape[3]
        maps = precise(maps)
        rows = maps.sum(3)
        across = torch.stack([rows - maps[..., -1], rows, rows - maps[..., 0]], 3)
        whole = across.sum(2)
        shifted = torch.stack([whole - across[:, :, -1], whole, whole - across[:, :, 0]], 2)
        return F.linear(shifted.flatten(1) / positions, self.weight.flatten(1), self.bias)
