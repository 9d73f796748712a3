"""Distillation: the divergence as a loop, a teacher that stays as it is, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
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
from ltr.heads import Cosine, Projection
from ltr.losses import BalancedSoftmax, CrossEntropy
from ltr.methods import Distillation, Method
from ltr.methods.distillation import divergence
from ltr.mixes import ManifoldMixup, Mixup, StopAt
from ltr.schedules import Cosine as CosineSchedule

Make = Callable[..., Trainer]


def student(file: Path, data: Synthetic, **options: Any) -> Distillation:
    """Return a small student of the run in a file."""
    teacher = Pretrained(str(file), ResNet20(width=2))
    torch.manual_seed(1)
    return Distillation(ResNet20(width=2), data.counts, teacher=teacher, **{"schedule": CosineSchedule(), **options})


def loop(student: list[float], teacher: list[float], temperature: float, power: float) -> float:
    """Return T^2 KL(q || p) of one sample, q being the normalised power of the teacher's softened distribution."""
    softened = [math.exp(value / temperature) for value in teacher]
    powered = [(value / sum(softened)) ** power for value in softened]
    q = [value / sum(powered) for value in powered]
    exponentials = [math.exp(value / temperature) for value in student]
    p = [value / sum(exponentials) for value in exponentials]
    return temperature**2 * sum(a * math.log(a / b) for a, b in zip(q, p, strict=True))


@pytest.mark.parametrize("power", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("temperature", [1.0, 1.5, 4.0])
def test_the_divergence_is_the_formula(temperature: float, power: float) -> None:
    first, second = 3 * torch.randn(2, 6, 5, dtype=torch.float64)
    first.requires_grad_()
    found = divergence(first, second, temperature=temperature, power=power)
    expected = [loop(*pair, temperature, power) for pair in zip(first.tolist(), second.tolist(), strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-10)
    found.sum().backward()
    q = (second / temperature).softmax(1).pow(power)
    gradient = temperature * ((first / temperature).softmax(1) - q / q.sum(1, keepdim=True))
    torch.testing.assert_close(first.grad, gradient)


def test_the_divergence_is_that_of_torch_with_a_power_of_one() -> None:
    first, second = torch.randn(6, 5), torch.randn(6, 5)
    expected = 4 * F.kl_div((first / 2).log_softmax(1), (second / 2).softmax(1), reduction="none").sum(1)
    torch.testing.assert_close(divergence(first, second, temperature=2), expected)


@pytest.mark.parametrize("scale", [1, 1e4])
def test_the_divergence_is_finite_and_in_full_precision(scale: float) -> None:
    first, second = (scale * torch.randn(6, 5, dtype=torch.bfloat16) for _ in range(2))
    found = divergence(first, second, temperature=1)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    assert divergence(second, second, temperature=1).abs().max() < 1e-4


def test_a_step_is_the_weighted_sum(run_file: Path) -> None:
    data = Synthetic()
    model = student(run_file, data, loss=BalancedSoftmax, label_weight=0.3, teacher_weight=0.7, temperature=1.5)
    model.teacher.load()
    model.eval()
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 5
    found = model.training_step(Batch(images, labels, labels), 0)
    logits = model(images).logits
    with torch.no_grad():
        taught = model.teacher.head(model.teacher.backbone(images)).logits
    counts = torch.tensor(data.counts)
    label = F.cross_entropy(logits + (counts / counts.sum()).log(), labels)
    apart = divergence(logits, taught, temperature=1.5).mean()
    assert apart > 1e-3
    torch.testing.assert_close(found, 0.3 * label + 0.7 * apart)


def test_without_weight_the_teacher_changes_no_bit(run_file: Path, trainer: Make) -> None:
    states = []
    for weight in (None, 0.0, 1.0):
        data = Synthetic(batch_size=8, augment=CropFlip(2))
        if weight is None:
            torch.manual_seed(1)
            model = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
        else:
            model = student(run_file, data, teacher_weight=weight)
        trainer(2).fit(model, datamodule=data)
        states.append(model.state_dict())
    plain, zero, taught = states
    assert list(zero) == list(plain), "a teacher is no part of the network"
    assert all(torch.equal(zero[name], plain[name]) for name in plain)
    assert not torch.equal(taught["head.fc.weight"], plain["head.fc.weight"])


def test_the_teacher_stays_as_it_is(run_file: Path, trainer: Make) -> None:
    file = torch.load(run_file)["state_dict"]
    data = Synthetic(batch_size=8)
    model = student(run_file, data)
    trainer(2).fit(model, datamodule=data)
    kept = model.teacher.state()
    for name, value in kept["backbone"].items():
        assert torch.equal(value, file[f"backbone.{name.removeprefix('backbone.')}"]), name
    for name, value in kept["head"].items():
        assert torch.equal(value, file[f"head.{name}"]), name
    for part in (model.teacher.backbone, model.teacher.head):
        assert not any(module.training for module in part.modules())
        assert not any(parameter.requires_grad or parameter.grad is not None for parameter in part.parameters())
    own = sum(parameter.numel() for parameter in Method(ResNet20(width=2), data.counts).parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == own


@pytest.mark.slow
def test_a_student_of_nothing_but_a_teacher_comes_to_agree_with_it(run_file: Path, trainer: Make) -> None:
    data = Synthetic(batch_size=8, augment=Plain())
    model = student(run_file, data, label_weight=0, temperature=1)
    apart = []
    for epochs in (1, 24):
        trainer(epochs).fit(model, datamodule=data)
        images = data.prepare(data.splits["train"].images)
        with torch.no_grad():
            apart.append(divergence(model(images).logits, model.teacher(images), temperature=1).mean().item())
    assert apart[1] < 0.2 * apart[0], apart


class Watching:
    """A teacher that remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return torch.zeros(len(images), 5)


def test_the_teacher_sees_the_mixed_images(run_file: Path) -> None:
    model = student(run_file, Synthetic(), mix=Mixup).eval()
    model.teacher = Watching()
    images, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 5
    torch.manual_seed(3)
    mixed, target = model.mix(images, labels)
    torch.manual_seed(3)
    value = model.training_step(Batch(images, labels, labels), 0)
    assert torch.equal(model.teacher.seen[0], mixed)
    assert not torch.equal(mixed, images)
    output = model(mixed)
    apart = divergence(output.logits, torch.zeros(8, 5), temperature=2)
    torch.testing.assert_close(value, (target.blend(CrossEntropy(model.counts), output) + apart).mean())


def test_the_teacher_sees_the_first_of_several_views(run_file: Path, trainer: Make) -> None:
    data = Synthetic(augment=MultiView([Plain(), CropFlip(2)]))
    model = student(run_file, data, head=Projection)
    trainer(1).fit(model, datamodule=data)
    model.teacher = Watching()
    views, labels = torch.randn(4, 2, 3, 8, 8), torch.arange(4)
    model.training_step(Batch(views, labels, labels), 0)
    assert torch.equal(model.teacher.seen[0], views[:, 0])


def test_a_teacher_with_other_classes(run_file: Path, trainer: Make) -> None:
    data = Synthetic(classes=4)
    with pytest.raises(
        InputError, match=r"classifier has 5 classes, the data have 4\. This is the file of the teacher\.$"
    ):
        trainer(1).fit(student(run_file, data), datamodule=data)


def test_a_teacher_with_another_kind_of_classifier(run_file: Path, trainer: Make) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=r"does not fit a Cosine head .*`--model\.teacher_head`\. This is"):
        trainer(1).fit(student(run_file, data, teacher_head=Cosine), datamodule=data)


OTHERS = {
    "12 x 12 pixels": {"size": 12},
    r"8 x 8 pixels, mean \(0.5, 0.5, 0.5\)": {"mean": (0.5,) * 3},
    r"8 x 8 pixels, .* std \(0.5, 0.5, 0.5\)": {"std": (0.5,) * 3},
}


@pytest.mark.parametrize("theirs", OTHERS)
def test_a_teacher_of_other_images(theirs: str, run_file: Path, trainer: Make) -> None:
    data, content = Synthetic(), torch.load(run_file, weights_only=True)
    replace(data.preprocessing, **OTHERS[theirs]).write(content)
    torch.save(content, run_file)
    ours = "of the student, of 8 x 8 pixels, mean .*, bilinear: train both with the same options"
    with pytest.raises(InputError, match=f"^the teacher was trained on images of {theirs}.*, and gets those {ours}"):
        trainer(1).fit(student(run_file, data), datamodule=data)


def test_a_teacher_of_the_same_images_cut_and_resized_in_another_way(run_file: Path, trainer: Make) -> None:
    data, content = Synthetic(), torch.load(run_file, weights_only=True)
    replace(data.preprocessing, size=12, crop=8, interpolation="bicubic").write(content)
    torch.save(content, run_file)
    trainer(1).fit(student(run_file, data), datamodule=data)


def test_a_teacher_that_was_never_trained(trainer: Make) -> None:
    data = Synthetic()
    model = Distillation(ResNet20(width=2), data.counts, teacher=ResNet20(width=2), schedule=CosineSchedule())
    with pytest.raises(InputError, match=r"no classifier .* file of the teacher"):
        trainer(1).fit(model, datamodule=data)


def test_what_a_teacher_cannot_follow(run_file: Path) -> None:
    for mix, name in ((ManifoldMixup, "ManifoldMixup"), (partial(StopAt, mix=ManifoldMixup), "StopAt")):
        with pytest.raises(InputError, match=f"{name} blends features of the student"):
            student(run_file, Synthetic(), mix=mix)
    student(run_file, Synthetic(), mix=StopAt)


def test_a_projection_beside_the_classifier_is_not_in_the_way(run_file: Path, trainer: Make) -> None:
    method = Method(ResNet20(width=2), Synthetic().counts, head=Projection)
    torch.save({"state_dict": method.state_dict()}, run_file)
    data = Synthetic()
    model = student(run_file, data)
    trainer(1).fit(model, datamodule=data)
    assert torch.equal(model.teacher.head.fc.weight, method.head.classifier.fc.weight)


class Flat(Backbone):
    """Pixels as features, so that a sample does not depend on the others; as a teacher, with a classifier."""

    dim = 12

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def load(self) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(3)
        return {"fc.weight": torch.randn(5, 12, generator=generator), "fc.bias": torch.zeros(5)}


def step(images: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Take a step; return the value and the gradients of this process."""
    torch.manual_seed(0)
    model = Distillation(Flat(), [40, 12, 4, 2, 1], teacher=Flat(), loss=BalancedSoftmax, teacher_weight=0.7)
    model.teacher.load()
    value = model.training_step(Batch(images, labels, labels), 0)
    value.backward()
    return value.detach(), [parameter.grad for parameter in model.head.parameters() if parameter.grad is not None]


def work(rank: int, folder: str) -> None:
    """Take the step alone, then with another process; write both."""
    torch.set_default_dtype(torch.float64)
    images = torch.randn(12, 3, 2, 2, generator=torch.Generator().manual_seed(7))
    labels = torch.arange(12) % 5
    alone_and_shared(rank, folder, step, images, labels)


def test_two_processes_are_as_one(in_two_processes, tmp_path: Path) -> None:
    in_two_processes(work, str(tmp_path))
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt")
        (value, gradients), (expected, wanted) = result["together"], result["alone"]
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        assert len(wanted) == 2
        for gradient, exact in zip(gradients, wanted, strict=True):
            assert exact.abs().max() > 1e-4
            torch.testing.assert_close(gradient, exact, rtol=1e-10, atol=1e-13)
