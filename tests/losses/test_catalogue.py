"""What every loss owes, whatever its formula. Nothing is listed here: a new `Loss` is tested because it exists."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import ltr.losses
from ltr.contracts import Loss, Output
from ltr.errors import InputError
from ltr.losses import (
    CDT,
    BalancedSoftmax,
    ClassBalanced,
    CostSensitive,
    Deferred,
    FeatureBalanced,
    VectorScaling,
)
from ltr.run.lookup import folder

COUNTS = torch.tensor([300, 80, 40, 9, 3, 1])
CLASSES = len(COUNTS)


def concrete(kind: type[Loss]) -> Iterator[type[Loss]]:
    """Yield every loss of the package that can be built."""
    for child in kind.__subclasses__():
        yield from concrete(child)
        if not inspect.isabstract(child) and child.__module__.startswith("ltr."):
            yield child


LOSSES = sorted(set(concrete(Loss)), key=lambda kind: kind.__name__)
every_loss = pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)


def batch(kind: type[Loss], size: int, classes: int = CLASSES, scale: float = 3.0) -> tuple[Output, Tensor]:
    """Draw an output, every field of it filled, and labels of which the first cover all classes."""
    generator = torch.Generator().manual_seed(size)
    logits = (scale * torch.randn(size, classes, generator=generator)).requires_grad_()
    scale: Any = "norm" if "norm" in kind.needs else 1.0
    output = Output(logits, torch.randn(size, 5, generator=generator), scale=scale)
    return with_logits(output, logits), torch.arange(size) % classes


def with_logits(output: Output, logits: Tensor) -> Output:
    """Return the output with other logits, and with the experts and embeddings made of them, exact in any type."""
    embeddings = torch.stack([logits, logits / 2], 1) / 16
    return output._replace(logits=logits, embeddings=embeddings, experts=logits.expand(2, *logits.shape))


@pytest.fixture(autouse=True)
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every draw be the same, so that two calls can be compared."""
    monkeypatch.setattr(torch, "rand_like", lambda tensor: torch.full_like(tensor, 0.5))


def test_there_are_losses() -> None:
    assert BalancedSoftmax in LOSSES


@every_loss
def test_shape_and_type(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    values = kind(COUNTS)(output, labels)
    assert values.shape == (13,)
    assert values.dtype == torch.float32


@every_loss
def test_half_precision_is_computed_in_float32(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    halved = output.logits.detach().bfloat16()
    values = kind(COUNTS)(with_logits(output, halved), labels)
    assert values.dtype == torch.float32
    assert torch.equal(values, kind(COUNTS)(with_logits(output, halved.float()), labels))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(values, kind(COUNTS)(with_logits(output, halved), labels))


@every_loss
def test_float64_stays_float64(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    assert kind(COUNTS)(with_logits(output, output.logits.double()), labels).dtype == torch.float64


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_for_extreme_logits(kind: type[Loss], dtype: torch.dtype) -> None:
    output, labels = batch(kind, 13, scale=1e4)
    logits = output.logits.detach().to(dtype).requires_grad_()
    values = kind(COUNTS)(with_logits(output, logits), labels)
    values.mean().backward()
    assert values.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_loss
def test_as_many_classes_as_in_inaturalist(kind: type[Loss]) -> None:
    counts = (1000 / torch.arange(1, 8143)).long().clamp(min=1)
    output, labels = batch(kind, 13, classes=len(counts))
    values = kind(counts)(output, labels * 678)
    values.mean().backward()
    assert values.isfinite().all()
    assert output.logits.grad is not None
    assert output.logits.grad.isfinite().all()


@every_loss
def test_the_gradient_reaches_every_sample(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    kind(COUNTS)(output, labels).mean().backward()
    gradient = output.logits.grad
    assert gradient is not None
    assert (gradient.abs().sum(1) > 0).all()


@every_loss
def test_a_step_along_the_gradient_lowers_the_loss(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    loss = kind(COUNTS)
    before = loss(output, labels).mean()
    (gradient,) = torch.autograd.grad(before, output.logits)
    assert loss(with_logits(output, output.logits - 0.1 * gradient), labels).mean() < before


@every_loss
@pytest.mark.parametrize("label", [0, CLASSES - 1])
def test_a_batch_of_one(kind: type[Loss], label: int) -> None:
    output, _ = batch(kind, 1)
    values = kind(COUNTS)(output, torch.tensor([label]))
    values.mean().backward()
    assert values.shape == (1,)
    assert values.isfinite().all()
    assert output.logits.grad is not None
    assert output.logits.grad.isfinite().all()


@every_loss
def test_classes_may_be_absent(kind: type[Loss]) -> None:
    output, _ = batch(kind, 8)
    values = kind(COUNTS)(output, torch.tensor([1, 4, 4, 1, 4, 4, 4, 4]))
    values.mean().backward()
    assert values.isfinite().all()
    assert output.logits.grad is not None
    assert output.logits.grad.isfinite().all()


@every_loss
def test_the_names_of_the_classes_do_not_matter(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    order = torch.tensor([4, 0, 5, 2, 1, 3])  # class `order[c]` becomes class c
    values = kind(COUNTS)(output, labels)
    permuted = kind(COUNTS[order])(with_logits(output, output.logits[:, order]), order.argsort()[labels])
    torch.testing.assert_close(permuted, values, rtol=1e-5, atol=1e-6)


@every_loss
def test_only_a_batch_level_loss_looks_at_the_other_samples(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    part = Output(*(field[4:9] for field in output[:3]), output.logits[4:9].expand(2, 5, CLASSES), output.scale)
    loss = kind(COUNTS)
    alike = []
    for epoch in (0, 9):  # a deferred loss may look at them from some epoch on
        loss.set_epoch(epoch, 10)
        alike.append(torch.allclose(loss(part, labels[4:9]), loss(output, labels)[4:9], rtol=1e-4, atol=1e-5))
    assert all(alike) is not loss.batch_level


@every_loss
def test_a_checkpoint_never_depends_on_the_loss(kind: type[Loss]) -> None:
    loss = kind(COUNTS)
    assert not loss.state_dict()
    assert not list(loss.parameters())


@every_loss
def test_eight_thousand_classes_with_one_image_each(kind: type[Loss]) -> None:
    output, labels = batch(kind, 16, classes=8142)
    values = kind(torch.ones(8142, dtype=torch.int64))(output, labels * 500)
    values.mean().backward()
    assert values.isfinite().all()
    assert output.logits.grad is not None
    assert output.logits.grad.isfinite().all()


@every_loss
def test_hears_the_time(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    loss = kind(COUNTS)
    for epoch in (0, 1, 9):
        loss.set_epoch(epoch, 10)
        assert loss(output, labels).isfinite().all()


@every_loss
def test_is_documented(kind: type[Loss]) -> None:
    assert kind.__name__ in ltr.losses.__all__
    text = inspect.getdoc(kind) or ""
    assert "https://" in text.partition("Reference:")[2], "a loss names its paper, with an address"
    assert ">>>" in text, "a loss has an example"


@every_loss
def test_a_recipe_uses_it(kind: type[Loss]) -> None:
    recipes = [path.read_text(encoding="utf-8") for path in Path(folder("configs")).rglob("*.yaml")]
    assert any(re.search(rf"(?<=losses\.){kind.__name__}\b|(?<=loss: ){kind.__name__}\b", text) for text in recipes)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", [BalancedSoftmax])
def test_uniform_counts_give_cross_entropy(kind: type[BalancedSoftmax], tau: float) -> None:
    output, labels = batch(kind, 13)
    values = kind(torch.full((CLASSES,), 7), tau=tau)(output, labels)
    torch.testing.assert_close(values, F.cross_entropy(output.logits, labels, reduction="none"))


@pytest.mark.parametrize("kind", [CDT, ClassBalanced, CostSensitive, Deferred, FeatureBalanced, VectorScaling])
def test_equal_counts_give_cross_entropy(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    loss = kind(torch.full((CLASSES,), 7))
    loss.set_epoch(9, 10)
    torch.testing.assert_close(loss(output, labels), F.cross_entropy(output.logits, labels, reduction="none"))


@every_loss
def test_plain_logits_and_lists_are_enough_or_it_says_what_is_missing(kind: type[Loss]) -> None:
    output, labels = batch(kind, 13)
    loss = kind(COUNTS.tolist())
    if loss.needs:
        with pytest.raises(InputError, match=rf"^{kind.__name__} needs .*pass `"):
            loss(output.logits, labels)
    else:
        assert torch.equal(loss(output.logits, labels.tolist()), kind(COUNTS)(output, labels))


@every_loss
@pytest.mark.parametrize("counts", [[], [[3, 1]], [3, math.nan], [3, math.inf], [3, -1]], ids=str)
def test_counts_that_are_none_are_refused(kind: type[Loss], counts: list[float]) -> None:
    with pytest.raises(InputError, match="counts are the numbers of training images"):
        kind(torch.tensor(counts))
