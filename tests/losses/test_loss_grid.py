"""Every loss over a grid of counts, classes, logits, types and batch sizes: finite values and gradients in float32."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from test_catalogue import every_loss, with_logits

from ltr.contracts import Loss, Output

CLASSES = (2, 10, 100, 1000)
TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SCALES = (0.0, 1.0, 1e4)
BATCHES = (1, 5)


def counts_of(classes: int) -> list[torch.Tensor]:
    """Return counts from a million to one, and equal ones."""
    return [torch.logspace(6, 0, classes).round().long(), torch.ones(classes, dtype=torch.int64)]


@every_loss
@pytest.mark.parametrize("classes", CLASSES)
def test_values_and_gradients_are_finite(kind: type[Loss], classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    for counts in counts_of(classes):
        loss = kind(counts)
        for dtype, scale, size in product(TYPES, SCALES, BATCHES):
            case = f"counts {counts.tolist()[:3]}, {dtype}, logits of {scale:g}, batch of {size}"
            logits = (scale * torch.randn(size, classes, generator=generator)).to(dtype).requires_grad_()
            features = torch.randn(size, 5, generator=generator)
            output = with_logits(Output(logits, features, scale="norm" if "norm" in kind.needs else 1.0), logits)
            values = loss(output, torch.randint(classes, (size,), generator=generator))
            values.sum().backward()
            assert values.shape == (size,), case
            assert values.dtype == (torch.float64 if dtype == torch.float64 else torch.float32), case
            assert bool(values.isfinite().all()), case
            assert logits.grad is not None, case
            assert bool(logits.grad.isfinite().all()), case
