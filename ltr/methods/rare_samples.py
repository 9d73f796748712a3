"""The rare-sample generator: feature maps of rare classes out of those of frequent ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr import milestones
from ltr.contracts import EpochAware, Loss
from ltr.errors import InputError

PAIR_CHANNELS = 256
precise = Loss.precise


class Generated(NamedTuple):
    """What the generator makes of a batch, and what it is trained by.

    Attributes:
        maps: (G, D, h, w) feature maps of rare classes, G being 0 until the generation starts.
        labels: (G,) their class indices.
        centre: (), how far maps lie from the centres of their class, in the mean over the batch.
        contrast: (), the cross-entropy of "of one class?", in the mean over the pairs; 0 once maps are generated.
        pairs: how many pairs those are.
        transfer: (), the loss of what is carried over, in the mean over the generated maps; 0 where there are none.
    """

    maps: Tensor
    labels: Tensor
    centre: Tensor
    contrast: Tensor
    pairs: int
    transfer: Tensor


class RareSamples(EpochAware, nn.Module):
    """Carry what makes a head sample differ from its centre over to a tail sample: F' = F_t + T(F_h - mu_h).

    Every class has K centres mu in the space of channels, and a gate g = softmax(A' GAP(F) + b) over them. The centres
    follow the maps (`centre`). A contrastive net learns to tell whether two maps are of one class (`contrast`). From
    the fraction `start` of the run on, that network is fixed, every head sample of the batch is paired with a tail
    sample, or every tail sample with a head one where those are fewer, and the transformation T learns (`transfer`) to
    keep the class of the head sample out of u = T(v), the length of v in u at every position, and u in the direction
    of F_t - mu_t. No gradient reaches the network below: all maps are detached.

    The direction is |cos - 1| at every position. The official code sums |a_d b_d - 1| over the channels of the unit
    vectors, which is the same but for a constant; it takes them, however, from a reshaped (n, D, h, w) tensor, whose
    rows are no positions, and that is not repeated here. Nor are the empty slices that it pairs for a strength above 1:
    the larger group is gone through again.

    Args:
        counts: (C,) training images per class; the head classes are those with most.
        channels: D.
        centres: K of each class.
        head_share: the part of the classes that is called head.
        start: the fraction of the run at which the generation starts; 0.8 is epoch 160 (from 0) of 200.
        strength: how many times the larger group is gone through, at least one slice as long as the smaller group.

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
            raise InputError(f"a share of {head_share:g} makes heads of {heads} of {classes} classes: name another.")
        if centres < 1 or strength <= 0:
            raise InputError("RSG needs at least one centre per class and a positive strength.")
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
        """Start to generate when it is time, and hold the contrastive net from then on."""
        self.generating = milestones.passed(self.start, epoch, epochs)
        self.contrast.requires_grad_(not self.generating)

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
        """Return (B, K), how much each sample belongs to each centre of its class."""
        with torch.autocast(maps.device.type, enabled=False):
            pooled = precise(maps).mean((2, 3))
            return (torch.einsum("bd,bdk->bk", pooled, self.gates[labels]) + self.gate_bias[labels]).softmax(1)

    def centre_loss(self, maps: Tensor, labels: Tensor, gates: Tensor) -> Tensor:
        """Return (), the mean over the batch of sum_k g_k ||F - mu_k||^2."""
        with torch.autocast(maps.device.type, enabled=False):
            flat, centres = precise(maps).flatten(2), self.centres[labels]
            # Multiplied out, since K copies of the maps would be large.
            squares = flat.square().sum((1, 2))[:, None]
            products = torch.einsum("bd,bkd->bk", flat.sum(2), centres)
            distances = squares - 2 * products + flat.shape[2] * centres.square().sum(2)
            return (gates * distances).sum(1).mean()

    def nearest(self, gates: Tensor, labels: Tensor) -> Tensor:
        """Return (G, D, 1, 1), the centre of its class that each sample belongs to most, without gradient."""
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
        """Return (G, 2) in at least float32, the logits of "of different classes" and "of one class"."""
        logits: Tensor = self.contrast(torch.cat([first, second], 1))
        return precise(logits)

    def transfer_loss(self, head: Tensor, difference: Tensor, carried: Tensor, towards: Tensor) -> Tensor:
        """Return (), the mean over the generated maps of what `carried` does wrong; all are (G, D, h, w)."""
        different = torch.zeros(len(head), dtype=torch.int64, device=head.device)
        foreign = F.cross_entropy(self.tell(head, carried), different)
        carried, difference, towards = precise(carried), precise(difference), precise(towards)
        length = (carried.norm(dim=1) - difference.norm(dim=1)).abs()
        cosine = (F.normalize(towards, dim=1) * F.normalize(carried, dim=1)).sum(1)
        loss: Tensor = foreign + (length + (cosine - 1).abs()).sum((1, 2)).mean()
        return loss


class PooledConv(nn.Conv2d):
    """A 3 x 3 convolution with padding 1 and the average over all positions, without computing the positions.

    Both are linear, so the average of the convolution is the kernel times the averages of the nine shifted maps, each
    of which is that of the map without a row, a column or both.

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
        maps = maps if maps.dtype == torch.float64 else maps.float()
        rows = maps.sum(3)
        across = torch.stack([rows - maps[..., -1], rows, rows - maps[..., 0]], 3)
        whole = across.sum(2)
        shifted = torch.stack([whole - across[:, :, -1], whole, whole - across[:, :, 0]], 2)
        return F.linear(shifted.flatten(1) / positions, self.weight.flatten(1), self.bias)
