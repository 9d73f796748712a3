"""Heads of several seeds and learning rates at once lose what each would lose alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from ltr import losses
from ltr.callbacks.many_heads import means
from ltr.contracts import Batch, Loss, Output
from ltr.errors import InputError
from ltr.heads import Linear
from ltr.seeds import Stream

COUNTS = torch.tensor([60, 20, 9, 3, 1])
SEEDS, RATES, SIZE, DIM = 3, 2, 12, 4
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")  # of PaCo and RIDE, on any vmap


class Everything(Linear):
    """A head whose output has all that a loss may ask for."""

    scale: Any = 1.0

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits, and to experts and embeddings made of them."""
        logits, features = super().forward(features)[:2]
        return Output(logits, features, F.normalize(logits)[:, None], torch.stack([logits, logits / 2]), self.scale)


class ByLabels(Loss):
    """Cross-entropy of some classes only, by a shape that depends on the labels."""

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return one value for all."""
        chosen = labels > 0
        return F.cross_entropy(output.logits[chosen], labels[chosen]).expand(len(labels))


class ByLogits(Loss):
    """A decision that depends on logits."""

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values, or their negatives."""
        return -output.logits[:, 0] if output.logits.sum() > 0 else output.logits[:, 0]


def parts(kind: Callable[[Tensor], Loss]) -> tuple[Everything, dict[str, Tensor], Loss, Batch]:
    """Return a head, the weights (seeds, rates, ...) of many, a loss late in its run, and a batch of each seed."""
    head, loss = Everything(DIM, len(COUNTS)), kind(COUNTS)
    head.scale = "norm" if "norm" in loss.needs else 1.0
    heads = {
        name: torch.randn(SEEDS, RATES, *value.shape, requires_grad=True) for name, value in head.named_parameters()
    }
    loss.set_epoch(9, 10)
    labels = torch.randint(len(COUNTS), (SEEDS, SIZE))
    labels[0] = 1 + labels[0] % 2  # classes are missing, others from seed to seed
    features = torch.randn(SEEDS, SIZE, DIM)
    return head, heads, loss, Batch(torch.empty(SEEDS, 0), labels, torch.empty(SEEDS, SIZE), features)


@pytest.mark.parametrize("kind", [*(getattr(losses, name) for name in losses.__all__), ByLabels])
def test_every_loss_is_computed_for_all_heads_at_once(kind: type[Loss]) -> None:
    head, heads, loss, batch = parts(kind)
    found = means(head, heads, loss, batch, [Stream(seed) for seed in range(SEEDS)])
    assert batch.features is not None
    expected = torch.empty(SEEDS, RATES)
    for seed in range(SEEDS):
        for rate in range(RATES):
            own = {name: value[seed, rate] for name, value in heads.items()}
            with Stream(seed).drawn():
                output = functional_call(head, own, (batch.features[seed],))
                expected[seed, rate] = loss(output, batch.labels[seed]).mean()
    torch.testing.assert_close(found, expected)
    slopes, wanted = (
        torch.autograd.grad(value.sum(), [*heads.values()], allow_unused=True) for value in (found, expected)
    )
    for slope, slope_wanted in zip(slopes, wanted, strict=True):
        torch.testing.assert_close(slope, slope_wanted, rtol=1e-4, atol=1e-5)


def test_a_decision_that_depends_on_logits_is_said() -> None:
    with pytest.raises(InputError, match="ByLogits cannot be computed for several heads at once"):
        means(*parts(ByLogits), [Stream(seed) for seed in range(SEEDS)])
