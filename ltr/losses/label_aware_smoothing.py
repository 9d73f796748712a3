"""Label-aware smoothing: smooth the labels of frequent classes more."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Loss, Output
from ltr.counts import CountsLike, populated
from ltr.ranges import Fraction, Positive


class LabelAwareSmoothing(Loss):
    """Smooth the labels of large classes more: -(1 - e_y) log p_y - (e_y / C) sum_k log p_k.

    e_c = tail + (head - tail) f(r_c) with r_c = (N_c - N_min) / (N_max - N_min), or `head` if all counts are equal.
    The shapes f are concave sin(pi r / 2), linear r, convex 1 + sin(3 pi / 2 + pi r / 2) and exp r^power.

    Args:
        counts: (C,) training images per class, N_c.
        head: e of the largest class.
        tail: e of the smallest class.
        shape: f.
        power: the exponent of the shape exp.
        others: spread e over the other classes only, e / (C - 1) each, as in the paper; if false, over all classes, as
            in the official code.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Zhong et al., "Improving Calibration for Long-Tailed Recognition", CVPR 2021, https://arxiv.org/abs/2104.00466;
        official code dvlab-research/MiSLAS, methods.py.

    Example:
        >>> LabelAwareSmoothing(torch.tensor([100, 10, 1])).smoothing
        tensor([0.4000, 0.1427, 0.1000])
    """

    smoothing: Tensor

    def __init__(
        self,
        counts: CountsLike,
        *,
        head: Fraction = 0.4,
        tail: Fraction = 0.1,
        shape: Literal["concave", "linear", "convex", "exp"] = "concave",
        power: Positive = 2.0,
        others: bool = False,
    ) -> None:
        super().__init__(counts)
        numbers = populated(counts)
        above = numbers - numbers.min()
        ratios = above / above.max() if above.any() else torch.ones_like(above)
        shapes = {
            "concave": (ratios * math.pi / 2).sin(),
            "linear": ratios,
            "convex": 1 + (3 * math.pi / 2 + ratios * math.pi / 2).sin(),
            "exp": ratios.pow(power),
        }
        smoothing = tail + (head - tail) * shapes[shape]
        if others:  # compensates for the share of an even spread that the true class gets
            smoothing *= len(counts) / (len(counts) - 1)
        self.register_buffer("smoothing", smoothing.to(torch.get_default_dtype()), persistent=False)

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values."""
        losses = -F.log_softmax(self.precise(output.logits), dim=1)
        true = losses.gather(1, labels[:, None]).squeeze(1)
        return true.lerp(losses.mean(1), self.smoothing[labels].to(true.dtype))
