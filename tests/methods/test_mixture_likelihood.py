"""Mixture likelihood: the queue of the official code, a step as a sum, what trains what, several processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.nn import functional as F
from two_processes import alone_and_shared

from ltr.backbones import Pretrained, ResNet20
from ltr.contracts import Backbone, Batch
from ltr.data import CropFlip, MultiView, Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import Cosine, Linear, Projection
from ltr.losses import BalancedSoftmax
from ltr.methods import MixtureLikelihood
from ltr.methods.distillation import divergence
from ltr.methods.mixture_likelihood import ClassQueue, negative_log_posterior
from ltr.optimizers import SAM
from ltr.schedules import Cosine as CosineSchedule

Make = Callable[..., Trainer]
COUNTS = [40, 12, 4, 2, 1]
REFERENCE = Path(__file__).parents[1] / "references" / "mixture_likelihood.json"
CASES = {case["name"]: case for case in json.loads(REFERENCE.read_text())["cases"]}


class Flat(Backbone):
    """Pixels as features, so that a sample does not depend on the others; as a teacher, with a classifier."""

    dim = 12

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def load(self) -> dict[str, Tensor]:
        return {"weight": torch.randn(5, 12, generator=torch.Generator().manual_seed(3))}


def head(dim: int, classes: int) -> Projection:
    """Return a head without batch norm."""
    return Projection(dim, classes, classifier=Cosine, size=6)


def flat(**options: Any) -> MixtureLikelihood:
    """Return a method on pixels, with its teacher."""
    torch.manual_seed(0)
    model = MixtureLikelihood(Flat(), COUNTS, teacher=Flat(), head=head, **{"queue": 30, **options})
    model.teacher.load()
    return model


def three(count: int = 8) -> Batch:
    """Return a batch of three views of images of two by two pixels."""
    labels = torch.arange(count) % 5
    return Batch(torch.randn(count, 3, 3, 2, 2), labels, 100 + torch.arange(count))


# ---- the queue


def queue_of(case: dict[str, Any]) -> ClassQueue:
    params = case["params"]
    return ClassQueue(torch.tensor(case["counts"]), size=params["queue_size"], least=params["minimum_per_class"], dim=1)


@pytest.mark.parametrize("name", ["queue_slots/cifar100_if100", "queue_order"])
def test_the_places_are_those_of_the_official_code(name: str) -> None:
    queue, expected = queue_of(CASES[name]), CASES[name]["expected"]
    assert queue.places.tolist() == expected["slots_per_class"]
    assert queue.first.tolist() == expected["first_slot"]


def test_keys_take_the_places_of_the_official_code() -> None:
    case = CASES["queue_order"]
    queue = queue_of(case)
    assert queue.labels.tolist() == case["expected"]["labels"]
    for step, after in zip(case["steps"], case["expected"]["after_step"], strict=True):
        images = torch.tensor(step["images"])
        queue.push(images[:, None].float(), torch.tensor(step["labels"]), images)
        assert queue.images.tolist() == after["images"]
        assert queue.next.tolist() == after["pointers"]
        taken = queue.images >= 0
        assert torch.equal(queue.features[taken, 0], queue.images[taken].float())
    assert queue.features[~taken].norm(dim=1).tolist() == pytest.approx([1.0] * int((~taken).sum()))


def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(InputError, match="2 places for each of 5 classes are more than the 9 of the queue"):
        flat(queue=9)


# ---- a step


def test_a_step_is_the_loss_the_divergence_and_the_contrast_with_the_batch_in_the_queue() -> None:
    model, batch = flat(label_weight=0.5, teacher_weight=0.7, contrast_weight=0.3), three()
    found = model.training_step(batch, 0)
    assert (model.queue.images >= 100).sum() == 8, "every class has room for its images"
    output, classes = model(batch.images[:, :2]), batch.labels
    taught = model.teacher(batch.images[:, 0])
    keys = F.normalize(model.key_embedding(model.queue.features), dim=1)
    similarities = 10 * output.embeddings[:, 1] @ keys.T
    own = batch.indices[:, None] == model.queue.images
    known = (model.queue.labels, classes, model.prior)
    contrast = negative_log_posterior(similarities, *known) + negative_log_posterior(similarities, *known, left_out=own)
    loss = BalancedSoftmax(torch.tensor(COUNTS))(output._replace(embeddings=None), classes)
    expected = 0.5 * loss + 0.7 * divergence(output.logits, taught, temperature=4) + 0.3 * contrast
    torch.testing.assert_close(found, expected.mean())


def test_the_stored_features_are_those_of_the_teacher_for_the_last_view() -> None:
    model, batch = flat(), three()
    model.training_step(batch, 0)
    for image in batch.indices:
        place = int((model.queue.images == image).nonzero())
        torch.testing.assert_close(model.queue.features[place], batch.images[image - 100, 2].flatten())


def test_all_parts_are_trained_and_the_temperature_by_the_keys_of_other_images() -> None:
    model, batch = flat(), three()
    model.training_step(batch, 0).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        if name != "key_embedding.0.bias":  # before a batch norm
            assert parameter.grad.abs().max() > 0, name
    gradient = model.log_temperature.grad
    keys = F.normalize(model.key_embedding(model.queue.features), dim=1)
    similarities = model(batch.images[:, :2]).embeddings[:, 1] @ keys.T
    log_temperature = model.log_temperature.detach().clone().requires_grad_()
    value = negative_log_posterior(
        similarities.detach() / log_temperature.exp(),
        model.queue.labels,
        batch.labels,
        model.prior,
        left_out=batch.indices[:, None] == model.queue.images,
    )
    value.mean().backward()
    torch.testing.assert_close(gradient, log_temperature.grad)


# ---- a training


def small(file: Path, **options: Any) -> tuple[MixtureLikelihood, Synthetic]:
    """Return a small method whose teacher is the run in a file."""
    data = Synthetic(batch_size=16, augment=MultiView([Plain(), CropFlip(2), CropFlip(2)]))
    teacher = Pretrained(str(file), ResNet20(width=2))
    options = {"queue": 40, "schedule": CosineSchedule(), "teacher_head": Linear, **options}
    return MixtureLikelihood(ResNet20(width=2), data.counts, teacher=teacher, head=head, **options), data


@pytest.mark.parametrize("optimizer", [partial(torch.optim.SGD, lr=0.1), SAM])
def test_every_image_enters_the_queue_once(run_file: Path, trainer: Make, optimizer: Any) -> None:
    model, data = small(run_file, optimizer=optimizer)
    trainer(1).fit(model, datamodule=data)
    expected = [count % int(places) for count, places in zip(data.counts, model.queue.places, strict=True)]
    assert model.queue.next.tolist() == expected
    assert model.queue.images.max() >= 0


def test_the_temperature_has_no_weight_decay(run_file: Path, trainer: Make) -> None:
    model, data = small(run_file, optimizer=lambda params: torch.optim.SGD(params, lr=0.01, weight_decay=0.1))
    one = trainer(1)
    one.fit(model, datamodule=data)
    groups = {group["weight_decay"]: group["params"] for group in one.optimizers[0].param_groups}
    assert [id(parameter) for parameter in groups[0.0]] == [id(model.log_temperature)]
    assert len(groups[0.1]) == len([*model.parameters()]) - 1


def test_training_lowers_the_loss(run_file: Path, trainer: Make) -> None:
    model, data = small(run_file, optimizer=lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9))
    losses = []
    for epochs in (1, 10):
        trainer(epochs).fit(model, datamodule=data)
        losses.append(model.measures["train/loss"])
    assert losses[1] < 0.8 * losses[0]


def test_other_numbers_of_views_are_refused(run_file: Path, trainer: Make) -> None:
    model, _ = small(run_file)
    with pytest.raises(InputError, match=r"three views of an image, .* and `data\.augment` makes 2"):
        trainer(1).fit(model, datamodule=Synthetic(augment=MultiView([Plain(), Plain()])))


def test_half_precision_changes_little() -> None:
    batch, values = three(), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            values.append(flat().training_step(batch, 0))
    assert values[1].dtype == torch.float32
    torch.testing.assert_close(values[1], values[0], rtol=0.05, atol=0)


# ---- several processes


def step(views: Tensor, labels: Tensor, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Take two steps; return the value of the second one, its gradients in this process, and the queue."""
    model, batch = flat(), Batch(views, labels, images)
    for _ in range(2):
        model.zero_grad()
        value = model.training_step(batch, 0)
        value.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return value.detach(), [*gradients, model.queue.features]


def work(rank: int, folder: str) -> None:
    """Take the steps alone, then with another process; write both."""
    torch.set_default_dtype(torch.float64)
    views = torch.randn(12, 3, 3, 2, 2, generator=torch.Generator().manual_seed(7))
    labels = (torch.arange(12) % 5).sort().values
    alone_and_shared(rank, folder, step, views, labels, 100 + torch.arange(12))


def test_two_processes_are_as_one(in_two_processes, tmp_path: Path) -> None:
    in_two_processes(work, str(tmp_path))
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt")
        (value, gradients), (expected, wanted) = result["together"], result["alone"]
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        assert len(wanted) == 13
        for gradient, exact in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(gradient, exact, rtol=1e-9, atol=1e-12)
