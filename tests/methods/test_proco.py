"""ProCo: the contrastive loss as a loop with scipy's Bessel functions, the estimates, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from scipy import special
from torch import Tensor
from torch.nn import functional as F
from two_processes import alone_and_shared

from ltr.backbones import ResNet20
from ltr.contracts import Backbone, Batch, Output
from ltr.counts import log_prior
from ltr.data import CropFlip, MultiView, Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import Linear, Projection
from ltr.losses import BalancedSoftmax
from ltr.losses.von_mises_fisher import log_expectation
from ltr.methods import ProCo
from ltr.methods.proco import ClassDirections
from ltr.mixes import Mixup
from ltr.optimizers import SAM
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
COUNTS = [40, 12, 4, 2, 1]
CASES = json.loads((Path(__file__).parents[1] / "references" / "proco.json").read_text())["cases"]


class Flat(Backbone):
    """Pixels as features, so that a sample does not depend on the others."""

    dim = 12

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def flat(**options: Any) -> ProCo:
    """Return a method without batch norm."""
    torch.manual_seed(0)
    return ProCo(Flat(), COUNTS, head=lambda dim, classes: Projection(dim, classes, size=6), **options)


def unit(*shape: int) -> Tensor:
    """Draw vectors of length 1."""
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def log_bessel(order: float, kappa: float) -> float:
    return float(np.log(special.ive(order, kappa)) + kappa)


def loop(embedding: np.ndarray, means: np.ndarray, label: int, temperature: float) -> float:
    """Return -log softmax(log C(kappa_c) - log C(|kappa_c mu_c + f / T|) + log pi_c)_y of one embedding."""
    size, prior = len(embedding), np.array(COUNTS) / sum(COUNTS)
    order = size / 2 - 1
    scores = []
    for mean, share in zip(means, prior, strict=True):
        length = np.linalg.norm(mean)
        kappa = size * length / (1 - length**2)
        shifted = np.linalg.norm(kappa * mean / length + embedding / temperature)
        value = log_bessel(order, shifted) - order * np.log(shifted)
        scores.append(value - log_bessel(order, kappa) + order * np.log(kappa) + np.log(share))
    return float(special.logsumexp(scores) - scores[label])


def test_the_contrast_is_the_formula() -> None:
    model = flat(temperature=0.2)
    views, labels = unit(7, 2, 6), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    means = 0.6 * unit(5, 6)
    model.directions.start.copy_(means)
    found = model.contrast(views, labels)
    kept = model.directions.means().double().numpy()
    expected = [
        np.mean([loop(view, kept, label, 0.2) for view in pair])
        for pair, label in zip(views.numpy(), labels.tolist(), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_agrees_with_the_official_code_where_its_bessel_functions_are_exact(case: dict[str, Any]) -> None:
    """With exact Bessel functions, view by view as there; the means are rounded to nine digits."""
    prior = log_prior(torch.tensor(case["counts"])).double()
    labels, wanted = torch.tensor(case["labels"]), case["clean_formula"]
    views = torch.tensor(case["features"], dtype=torch.float64, requires_grad=True)
    logits = torch.tensor(case["logits"], requires_grad=True)
    contrasts = []
    for view, means, expected in zip(views, case["expected"]["means"], wanted["contrast_logits"], strict=True):
        temperature = case["params"]["temperature"]
        found = log_expectation(view, torch.tensor(means, dtype=torch.float64), temperature=temperature)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=4e-6)
        contrasts.append(F.cross_entropy(found + prior, labels))
    label = BalancedSoftmax(torch.tensor(case["counts"]))(Output(logits), labels).mean()
    loss = label + case["params"]["alpha"] * torch.stack(contrasts).mean()
    loss.backward()
    assert loss.item() == pytest.approx(wanted["loss"], rel=1e-6)
    torch.testing.assert_close(label.item(), case["expected"]["classification_loss"], rtol=1e-6, atol=0)
    torch.testing.assert_close(logits.grad, torch.tensor(case["expected"]["grad_logits"]), rtol=1e-5, atol=1e-7)
    gradient = torch.tensor(wanted["grad_features"], dtype=torch.float64)
    torch.testing.assert_close(views.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_estimates_after_each_view_are_those_of_the_official_code(case: dict[str, Any]) -> None:
    used, labels = case["state"]["previous_epoch"], torch.tensor(case["labels"])
    means, numbers = torch.tensor(used["means"]), torch.tensor(used["numbers"], dtype=torch.float32)
    directions = ClassDirections(*means.shape)
    directions.start.copy_(means)
    directions.sums[0] = numbers[:, None] * means
    directions.seen[0] = numbers
    for view, expected in zip(case["features"], case["expected"]["means"], strict=True):
        directions.add(torch.tensor(view)[:, None], labels)
        torch.testing.assert_close(directions.means(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_a_step_is_balanced_softmax_and_the_contrast_of_the_other_views() -> None:
    model = flat(weight=0.7)
    views, labels = torch.randn(8, 3, 3, 2, 2), torch.arange(8) % 5
    found = model.training_step(Batch(views, labels, labels), 0)
    output = model(views)
    means = [output.embeddings[labels == label, 1:].mean((0, 1)) for label in range(5)]
    torch.testing.assert_close(model.directions.means(), torch.stack(means).detach())
    label = BalancedSoftmax(torch.tensor(COUNTS))(output._replace(embeddings=None), labels)
    contrast = model.contrast(output.embeddings[:, 1:].double(), labels)
    torch.testing.assert_close(found, (label + 0.7 * contrast).mean().float())
    found.backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.head.parameters())


def test_the_estimates_are_of_this_epoch_and_the_one_before() -> None:
    directions = ClassDirections(3, 4)
    start = directions.start.clone()
    epochs = [[(unit(6, 2, 4), torch.randint(2, (6,))) for _ in range(3)] for _ in range(3)]
    for batches in epochs:
        directions.begin_epoch()
        for views, labels in batches:
            directions.add(views, labels)
    for label in range(2):
        own = [views[labels == label].flatten(0, 1) for batches in epochs[1:] for views, labels in batches]
        torch.testing.assert_close(directions.means()[label].double(), torch.cat(own).mean(0), rtol=0, atol=1e-6)
    assert torch.equal(directions.means()[2], start[2]), "a class that was never seen"
    assert start.norm(dim=1).tolist() == pytest.approx([0.9] * 3)


def test_the_order_of_an_epoch_does_not_matter() -> None:
    views, labels = unit(20, 2, 4), torch.randint(3, (20,))
    found = []
    for order in (torch.arange(20), torch.randperm(20)):
        torch.manual_seed(1)
        directions = ClassDirections(3, 4)
        for part in order.split(7):
            directions.add(views[part], labels[part])
        found.append(directions.means())
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)


def test_the_estimates_are_the_running_means_of_the_official_code() -> None:
    """The official code moves a mean by n / (n + N) towards that of the batch."""
    directions = ClassDirections(3, 4)
    means, amounts = directions.start.double().clone(), torch.zeros(3)
    for _ in range(4):
        views, labels = unit(9, 1, 4), torch.randint(3, (9,))
        directions.add(views, labels)
        for label in range(3):
            own = views[labels == label, 0]
            if len(own):
                share = len(own) / (len(own) + amounts[label])
                means[label] = (1 - share) * means[label] + share * own.mean(0)
                amounts[label] += len(own)
    torch.testing.assert_close(directions.means().double(), means, rtol=0, atol=1e-6)


def small(**options: Any) -> tuple[ProCo, Synthetic]:
    data = Synthetic(batch_size=16, augment=MultiView([Plain(), CropFlip(2), CropFlip(2)]))
    return ProCo(ResNet20(width=2), data.counts, **{"schedule": Cosine(), **options}), data


def test_a_training_counts_every_view_once_and_an_evaluation_none(trainer: Make) -> None:
    for options in ({}, {"optimizer": SAM}):  # SAM looks at every batch twice
        model, data = small(**options)
        trainer(2).fit(model, datamodule=data)
        assert model.directions.seen.tolist() == [[2 * count for count in data.counts]] * 2
        before = model.directions.sums.clone()
        trainer(1).test(model, datamodule=data, verbose=False)
        assert torch.equal(model.directions.sums, before)


def test_a_second_look_at_a_batch_has_the_estimates_of_the_first() -> None:
    model = flat()
    first, second = (Batch(torch.randn(8, 3, 3, 2, 2), *[torch.arange(8) % 5] * 2) for _ in range(2))
    model.training_step(first, 0)
    model.directions.begin_epoch()
    found = model.training_step(second, 0)
    with model.uncounted():
        assert torch.equal(model.training_step(second, 0), found)


def test_training_lowers_the_loss(trainer: Make) -> None:
    model, data = small(optimizer=lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9))
    losses = []
    for epochs in (1, 10):
        trainer(epochs).fit(model, datamodule=data)
        losses.append(model.measures["train/loss"])
    assert losses[1] < 0.8 * losses[0]


def test_one_view_is_not_enough(trainer: Make) -> None:
    model, _ = small()
    with pytest.raises(InputError, match=r"the views after the first: augment with `ltr\.data\.MultiView`"):
        trainer(1).fit(model, datamodule=Synthetic())


def test_views_are_not_blended(trainer: Make) -> None:
    model, data = small(mix=Mixup)
    with pytest.raises(InputError, match="Mixup blends single images: leave out the mix, or the views"):
        trainer(1).fit(model, datamodule=data)


def test_what_cannot_be_contrasted() -> None:
    with pytest.raises(InputError, match=r"a Linear head does not make: pass `--model\.head Projection`"):
        small(head=Linear)


def test_half_precision_changes_little() -> None:
    model = flat()
    views, labels = torch.randn(8, 3, 3, 2, 2), torch.arange(8) % 5
    exact = model.training_step(Batch(views, labels, labels), 0)
    model.directions.sums.zero_()
    model.directions.seen.zero_()
    with torch.autocast("cpu", torch.bfloat16):
        half = model.training_step(Batch(views, labels, labels), 0)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, rtol=0.05, atol=0)


def step(views: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Take two steps; return the value of the second one and its gradients in this process."""
    model = flat()
    for _ in range(2):
        model.zero_grad()
        value = model.training_step(Batch(views, labels, labels), 0)
        value.backward()
    gradients = [parameter.grad for parameter in model.head.parameters() if parameter.grad is not None]
    return value.detach(), [*gradients, model.directions.sums]


def work(rank: int, folder: str) -> None:
    """Take the steps alone, then with another process; write both."""
    torch.set_default_dtype(torch.float64)
    views = torch.randn(12, 3, 3, 2, 2, generator=torch.Generator().manual_seed(7))
    labels = (torch.arange(12) % 5).sort().values
    alone_and_shared(rank, folder, step, views, labels)


def test_two_processes_are_as_one(in_two_processes, tmp_path: Path) -> None:
    in_two_processes(work, str(tmp_path))
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt")
        (value, gradients), (expected, wanted) = result["together"], result["alone"]
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        assert len(wanted) == 7
        for gradient, exact in zip(gradients, wanted, strict=True):
            assert exact.abs().max() > 1e-4
            torch.testing.assert_close(gradient, exact, rtol=1e-9, atol=1e-12)
