"""Post-hoc logit adjustment."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ltr.contracts import Output
from ltr.counts import log_prior
from ltr.data import LongTailed
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import NonNegative


class LogitAdjustment(Adjustment):
    """Subtract the training prior from the logits: z - tau log pi.

    Args:
        tau: strength; 1 is the post-compensated softmax (PC-softmax) of Hong et al. (LADE), CVPR 2021,
            https://arxiv.org/abs/2012.00321.

    Reference:
        Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, https://arxiv.org/abs/2007.07314.
    """

    prior: Tensor

    def __init__(self, tau: NonNegative = 1.0) -> None:
        self.tau = tau

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"tau": self.tau}

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Compute the logarithm of the prior."""
        self.prior = log_prior(method.counts.cpu())

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with logits (B, C) adjusted."""
        logits = output.logits.float()
        return output._replace(logits=logits - self.tau * self.prior.to(logits))
