"""Parametric contrastive learning: contrast every sample with class centres and other samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ltr import distributed
from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, log_prior
from ltr.ranges import BelowOne, NonNegative, Positive


class Memory(NamedTuple):
    """Embeddings of earlier batches to contrast with.

    Attributes:
        embeddings: (K, P) of unit length.
        labels: (K,) class indices; -1 for an empty entry.
    """

    embeddings: Tensor
    labels: Tensor


class PaCo(Loss):
    """Balanced softmax whose classes and samples share one denominator.

    The first view v of a sample is the anchor. It is contrasted with all other views in the batch, including those of
    the same image, and with the memory. With u_c = z_c + log pi_c and s_a = v v_a / T,

        log D = log(sum_c exp(u_c) + gamma sum_a exp(s_a)),
        L = sum_c beta t_c (log D - u_c) / (beta + alpha |P|) + sum_{p in P} alpha (log D - s_p) / (beta + alpha |P|),

    where P are the contrasts of the anchor's class and t is its label, one-hot or smoothed. The class centres are the
    rows of the classifier. The prior is used in training only; at test time the plain logits are used.

    In distributed training the contrasts are those of the global batch; value and gradient equal those of one process.

    Args:
        counts: (C,) training images per class, N_c; pi_c = N_c / N.
        alpha: weight of a sample of the same class.
        beta: weight of the class centre.
        gamma: weight of the samples in the denominator.
        temperature: T.
        smoothing: the share of the label that is spread over the other classes.

    Shape:
        output.logits (B, C), output.embeddings (B, V, P) of unit length, labels (B,) -> (B,).

    Reference:
        Cui et al., "Parametric Contrastive Learning", ICCV 2021, https://arxiv.org/abs/2107.12028, and "Generalized
        Parametric Contrastive Learning", TPAMI 2023, https://arxiv.org/abs/2209.12400 (smoothing); official code
        dvlab-research/Parametric-Contrastive-Learning, PaCo/LT/losses.py and GPaCo/LT/losses.py. Their `supt` is 1
        here, and the constants in their logarithms are left out.

    Example:
        >>> loss = PaCo(torch.tensor([100, 10, 1]), alpha=1, temperature=1)
        >>> views = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
        >>> loss(Output(torch.zeros(2, 3), torch.zeros(2, 1), views), torch.tensor([0, 1]))
        tensor([1.2958, 2.4471])
    """

    batch_level = True
    mixable = False
    needs = ("embeddings",)
    prior: Tensor

    def __init__(
        self,
        counts: CountsLike,
        *,
        alpha: NonNegative = 0.01,
        beta: Positive = 1.0,
        gamma: NonNegative = 1.0,
        temperature: Positive = 0.05,
        smoothing: BelowOne = 0.0,
    ) -> None:
        super().__init__(counts)
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.temperature, self.smoothing = temperature, smoothing
        self.register_buffer("prior", log_prior(counts), persistent=False)

    def forward(self, output: Output, labels: Tensor, memory: Memory | None = None) -> Tensor:
        """Return (B,) values.

        Args:
            output: of the batch; the first view is the anchor.
            labels: (B,) class indices.
            memory: further embeddings to contrast with, without gradient.
        """
        assert output.embeddings is not None
        centres, embeddings = self.precise(output.logits) + self.prior, self.precise(output.embeddings)
        views = embeddings.shape[1]
        contrasts = distributed.concatenate(embeddings).flatten(0, 1)
        classes = distributed.concatenate(labels).repeat_interleave(views)
        if memory is not None:
            contrasts = torch.cat([contrasts, memory.embeddings.to(contrasts)])
            classes = torch.cat([classes, memory.labels])
        first = sum(distributed.lengths(labels)[: distributed.rank()])
        oneself = views * (first + torch.arange(len(labels), device=labels.device))
        others = (torch.arange(len(classes), device=labels.device) != oneself[:, None]) & (classes >= 0)
        positives = others & (classes == labels[:, None])

        with torch.autocast(contrasts.device.type, enabled=False):  # float32 under autocast
            similarities = embeddings[:, 0] @ contrasts.T / self.temperature
        weight = math.log(self.gamma) if self.gamma else -math.inf
        contrasted = (similarities + weight).masked_fill(~others, -math.inf)
        log_d = torch.cat([centres, contrasted], 1).logsumexp(1)
        attraction = self.beta * (self.targets(labels, centres) * centres).sum(1)
        attraction = attraction + self.alpha * torch.where(positives, similarities, 0).sum(1)
        return log_d - attraction / (self.beta + self.alpha * positives.sum(1))

    def targets(self, labels: Tensor, centres: Tensor) -> Tensor:
        """Return (B, C) the labels as shares of the classes, in the type of `centres` (B, C)."""
        shares = torch.full_like(centres, self.smoothing / (centres.shape[1] - 1))
        return shares.scatter_(1, labels[:, None], 1 - self.smoothing)
