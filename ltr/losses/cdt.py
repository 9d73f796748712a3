"""Class-dependent temperatures."""

from __future__ import annotations

from ltr.counts import CountsLike
from ltr.losses.vector_scaling import VectorScaling
from ltr.ranges import NonNegative


class CDT(VectorScaling):
    """Divide the logits by temperatures that rise towards the tail: -log softmax(z / a)_y, a_c = (N_max / N_c)^gamma.

    This is `VectorScaling` without the shift. At test time the plain logits are used.

    Args:
        counts: (C,) training images per class, N_c.
        gamma: strength of the temperatures; 0 is cross-entropy.

    Shape:
        output.logits (B, C), labels (B,) -> (B,).

    Reference:
        Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep Learning", 2020,
        https://arxiv.org/abs/2001.01385; zhangyongshun/BagofTricks-LT,
        lib/loss/loss_impl/class_dependent_temperatures_loss.py.

    Example:
        >>> import torch
        >>> 1 / CDT(torch.tensor([100, 10, 1])).scales
        tensor([1.0000, 1.5849, 2.5119])
    """

    def __init__(self, counts: CountsLike, *, gamma: NonNegative = 0.2) -> None:
        super().__init__(counts, gamma=gamma, tau=0.0)
