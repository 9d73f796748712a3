"""Label over-smoothing: retrain the classifier with strongly smoothed labels."""

from __future__ import annotations

from ltr.counts import CountsLike
from ltr.losses.label_smoothing import LabelSmoothing
from ltr.ranges import Fraction


class LOS(LabelSmoothing):
    """Smooth the labels until the true class keeps little more than 1 / C: `LabelSmoothing` with epsilon near 1.

    For the second stage, which retrains the classifier on frozen features. It does not depend on the counts.

    Args:
        counts: (C,) training images per class; not used.
        epsilon: probability that is spread evenly over all classes; 0.98 in the readme of the official code.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Sun et al., "Rethinking Classifier Re-Training in Long-Tailed Recognition: Label Over-Smooth Can Balance", ICLR
        2025, https://openreview.net/forum?id=OeKp3AdiVO; official code bilibili/LOS, main_stage2.py.

    Example:
        >>> import torch
        >>> from ltr.contracts import Output
        >>> loss = LOS(torch.tensor([100, 10, 1]))
        >>> loss(Output(torch.tensor([[2.0, 0.0, -1.0]]), torch.zeros(1, 1)), torch.tensor([0])).item()
        1.8031...
    """

    def __init__(self, counts: CountsLike, *, epsilon: Fraction = 0.98) -> None:
        super().__init__(counts, epsilon=epsilon)
