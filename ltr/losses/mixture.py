"""The likelihood of embeddings under a mixture of kernels around the keys of each class."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def negative_log_posterior(
    similarities: Tensor, keys: Tensor, labels: Tensor, prior: Tensor, *, left_out: Tensor | None = None
) -> Tensor:
    """Return (B,) the cross-entropy of the class scores plus the log-prior.

    A sample is worth 0 if no key of its own class remains, because the score of that class is then unknown.

    Args:
        similarities: (B, K) of samples and keys, divided by the temperature.
        keys: (K,) class indices of the keys.
        labels: (B,) class indices of the samples.
        prior: (C,) log pi.
        left_out: (B, K) whether a key does not count for a sample; all count if None.
    """
    scores = class_scores(similarities, keys, len(prior), left_out=left_out)
    known = scores.gather(1, labels[:, None])[:, 0] > -math.inf
    values = F.cross_entropy(torch.where(known[:, None], scores, 0) + prior, labels, reduction="none")
    return torch.where(known, values, 0)


def class_scores(similarities: Tensor, keys: Tensor, classes: int, *, left_out: Tensor | None = None) -> Tensor:
    """Return (B, C) S_c = log mean over the keys k of class c of exp(s_k); -inf for a class without keys.

    Args:
        similarities: (B, K) s of samples and keys.
        keys: (K,) class indices of the keys.
        classes: C.
        left_out: (B, K) whether a key does not count for a sample; all count if None.
    """
    counted = torch.ones_like(similarities, dtype=torch.bool) if left_out is None else ~left_out
    columns, empty = keys.expand_as(similarities), similarities.new_zeros(len(similarities), classes)
    numbers = empty.scatter_add(1, columns, counted.to(empty.dtype))
    known = numbers > 0
    # The greatest of each class is taken out, so that a class far from a sample does not underflow.
    shown = similarities.detach().masked_fill(~counted, -math.inf)
    greatest = torch.where(known, empty.scatter_reduce(1, columns, shown, "amax", include_self=False), 0)
    kernels = torch.where(counted, similarities - greatest.gather(1, columns), -math.inf).exp()
    sums = torch.where(known, empty.scatter_add(1, columns, kernels), 1)
    return torch.where(known, sums.log() + greatest - numbers.clamp(min=1).log(), -math.inf)
