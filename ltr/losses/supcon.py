"""Supervised contrastive learning."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr import distributed
from ltr.contracts import Loss, Output
from ltr.counts import CountsLike
from ltr.ranges import Positive


class SupCon(Loss):
    """Contrast every embedded view with all others in the batch; those of the same class are the positives.

    With unit vectors f, the value of anchor i is -(T / T0) times the mean over its positives p of
    log(exp(f_i f_p / T) / sum over a != i of exp(f_i f_a / T)). An anchor without positives contributes 0 and stays in
    the divisor, as in the official code. This loss does not train the classifier; `Tuning` does so afterwards.

    This is a batch-level loss: every sample gets the same value. In distributed training every process contrasts its
    embeddings with those of all processes; value and gradient are those of the global batch. Gradient accumulation
    changes the objective, because each part counts as its own batch.

    Args:
        counts: (C,) training images per class; not used.
        temperature: T.
        base_temperature: T0.

    Shape:
        output.embeddings (B, V, P) of unit length, labels (B,) -> (B,), all equal.

    Reference:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, https://arxiv.org/abs/2004.11362; official code
        HobbitLong/SupContrast, losses.py.

    Example:
        >>> loss = SupCon(torch.tensor([100, 10, 1]), temperature=1, base_temperature=1)
        >>> views = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]])
        >>> loss(Output(torch.zeros(3, 3), torch.zeros(3, 1), views), torch.tensor([0, 0, 1]))
        tensor([0.2088, 0.2088, 0.2088])
    """

    batch_level = True
    mixable = False
    needs = ("embeddings",)

    def __init__(self, counts: CountsLike, *, temperature: Positive = 0.1, base_temperature: Positive = 0.07) -> None:
        super().__init__(counts)
        self.temperature, self.base_temperature = temperature, base_temperature

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return the value of the batch, expanded to (B,)."""
        assert output.embeddings is not None
        embeddings = distributed.concatenate(self.precise(output.embeddings))
        views = embeddings.flatten(0, 1)
        classes = distributed.concatenate(labels).repeat_interleave(embeddings.shape[1])
        with torch.autocast(views.device.type, enabled=False):  # float32 under autocast
            similarities = views @ views.T / self.temperature
        oneself = torch.eye(len(views), dtype=torch.bool, device=views.device)
        positives = (classes[:, None] == classes) & ~oneself
        # An anchor without positives may have no contrasts at all; log(0) would make its gradient NaN.
        anchors = positives.any(1)
        similarities, positives = similarities[anchors], positives[anchors]
        log_p = similarities - similarities.masked_fill(oneself[anchors], -torch.inf).logsumexp(1, keepdim=True)
        attraction = torch.where(positives, log_p, 0).sum(1) / positives.sum(1)
        value = -self.temperature / self.base_temperature * attraction.sum() / len(views)
        return value.expand(len(labels))
