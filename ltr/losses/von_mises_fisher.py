"""The von Mises-Fisher distribution: closed forms for contrastive learning.

On the unit sphere in P dimensions it has the density C(kappa) exp(kappa mu z), with 1 / C(kappa) proportional to
I_v(kappa) / kappa^v, v = P/2 - 1 and I_v the modified Bessel function.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Coefficients of U_1 ... U_4 in powers of t^2, and their divisors: DLMF 10.41.10.
DEBYE = (
    ((3, -5), 24),
    ((81, -462, 385), 1_152),
    ((30_375, -369_603, 765_765, -425_425), 414_720),
    ((4_465_125, -94_121_676, 349_922_430, -446_185_740, 185_910_725), 39_813_120),
)

# From this order on, the expansion is accurate to about 1e-10.
LARGE_ORDER = 40

MOST_CONCENTRATED = 1e5


def log_partition(squared: Tensor, dim: int) -> Tensor:
    """Return log(I_v(kappa) / kappa^v), v = dim/2 - 1, finite and smooth down to kappa = 0.

    Large orders use an expansion that is uniform in kappa; small orders follow by downward recurrence, which is stable.

    Args:
        squared: kappa^2, of any shape, in float64 (the values grow with kappa, their differences do not).
        dim: P, at least 2.

    Reference:
        NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov/10.41 and https://dlmf.nist.gov/10.29.
    """
    order = dim / 2 - 1
    steps = max(math.ceil(LARGE_ORDER - order), 0)
    value = _expansion(squared, order + steps)
    above = _expansion(squared, order + steps + 1) if steps else value
    for step in range(steps, 0, -1):
        below = value + (2 * (order + step) + squared * (above - value).exp()).log()
        above, value = value, below
    return value


def _expansion(squared: Tensor, order: float) -> Tensor:
    """Return log(I_v(kappa) / kappa^v) for a large order v."""
    root = (1 + squared / order**2).sqrt()
    series = torch.ones_like(root)
    for power, (coefficients, divisor) in enumerate(DEBYE, 1):
        polynomial = sum(factor * root ** -(power + 2 * term) for term, factor in enumerate(coefficients))
        series = series + polynomial / (divisor * order**power)
    exponent = order * (root - root.log1p() - math.log(order))
    return exponent - 0.5 * (2 * math.pi * order * root).log() + series.log()


def concentration(resultant: Tensor, dim: int) -> Tensor:
    """Return kappa = P R / (1 - R^2), at most 1e5, for distributions whose mean has length R.

    Args:
        resultant: (C,) R, at most 1 up to rounding.
        dim: P.

    Reference:
        `update_kappa` of LeapLabTHU/ProCo, ProCo_cifar/loss/proco.py.
    """
    spread = (1 - resultant.square()).clamp(min=torch.finfo(resultant.dtype).tiny)
    return (dim * resultant / spread).clamp(max=MOST_CONCENTRATED)


def log_expectation(embeddings: Tensor, means: Tensor, *, temperature: float) -> Tensor:
    """Return log E_c exp(f z / T) = log C(kappa) - log C(|kappa mu + f / T|) of every class c.

    Args:
        embeddings: (B, P) f.
        means: (C, P) means of the distributions, |mean| <= 1.
        temperature: T.

    Returns:
        (B, C) in float64.
    """
    embeddings, means = embeddings.double() / temperature, means.double()
    dim = embeddings.shape[1]
    resultant = means.norm(dim=1)
    kappa = concentration(resultant, dim)
    natural = means * (kappa / resultant.clamp(min=1e-12))[:, None]
    shifted = kappa.square() + 2 * embeddings @ natural.T + embeddings.square().sum(1, keepdim=True)
    return log_partition(shifted.clamp(min=0), dim) - log_partition(kappa.square(), dim)
