"""Each mix against a slow loop, the public code, or a count of pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ltr.backbones import Pretrained, ResNet20
from ltr.contracts import Backbone, Batch, Mix, Output, Target
from ltr.errors import InputError
from ltr.losses import CrossEntropy
from ltr.methods import Method
from ltr.mixes import CutMix, ManifoldMixup, Mixup, Remix, StopAt

CASES = json.loads((Path(__file__).parents[1] / "references" / "remix.json").read_text())["cases"]
COUNTS = torch.tensor([30, 10, 9, 2])
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def moments(alpha: float) -> tuple[float, float]:
    """Return mean and mean square of lambda over many batches."""
    mix = Mixup(COUNTS, alpha=alpha)
    draws = torch.tensor([mix.draw() for _ in range(4000)])
    return float(draws.mean()), float(draws.square().mean())


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_lambda_is_of_the_beta_distribution(alpha: float) -> None:
    mean, square = moments(alpha)
    assert abs(mean - 0.5) < 0.03
    assert abs(square - (0.25 + 1 / (4 * (2 * alpha + 1)))) < 0.03


def test_mixup_one_image_at_a_time() -> None:
    mixed, target = Mixup(COUNTS)(IMAGES, LABELS)
    assert target.partners is not None
    assert target.weights is not None
    share = float(target.weights[0])
    torch.manual_seed(0)
    order = torch.randperm(6)
    for image, result, label, partner in zip(IMAGES, mixed, target.partners, order, strict=True):
        torch.testing.assert_close(result, share * image + (1 - share) * IMAGES[partner])
        assert label == LABELS[partner]
    assert (target.weights == share).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_remix_as_the_public_code(case: dict[str, Any]) -> None:
    expected = case["expected"]
    mix = Remix(torch.tensor(case["counts"]), kappa=case["params"]["kappa"], tau=case["params"]["tau"])
    labels, others = torch.tensor(case["labels"]), torch.tensor(case["labels_b"])
    weights = mix.weigh(labels, others, case["params"]["mix_lambda"]).double()
    assert weights.tolist() == expected["label_lambda"]
    logits = torch.tensor(case["logits"], dtype=torch.float64, requires_grad=True)
    loss = Target(labels, others, weights).blend(CrossEntropy(mix.counts), Output(logits, logits)).mean()
    loss.backward()
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-9)
    torch.testing.assert_close(logits.grad, torch.tensor(expected["grad_logits"]).double(), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("pair", "share", "weight"),
    [
        ((0, 1), 0.4, 0.0),  # N_i / N_j = 3
        ((1, 0), 0.6, 1.0),  # N_i / N_j = 1/3
        ((0, 1), 0.6, 0.6),
        ((1, 0), 0.4, 0.4),
        ((0, 1), 0.5, 0.5),
        ((1, 2), 0.4, 0.4),
        ((0, 0), 0.1, 0.1),
    ],
)
def test_remix_on_pairs_made_by_hand(pair: tuple[int, int], share: float, weight: float) -> None:
    found = Remix(COUNTS).weigh(torch.tensor(pair[:1]), torch.tensor(pair[1:]), share)
    assert found.item() == pytest.approx(weight)


def test_remix_blends_images_as_mixup_does() -> None:
    mixed = []
    for kind in (Mixup, Remix):
        torch.manual_seed(1)
        mixed.append(kind(COUNTS)(IMAGES, LABELS)[0])
    assert torch.equal(*mixed)


@pytest.mark.parametrize("size", [(8, 8), (32, 20)])
def test_the_area_of_a_patch_is_the_weight_of_its_label(size: tuple[int, int]) -> None:
    images = torch.arange(6.0)[:, None, None, None].expand(6, 3, *size)
    kept = []
    for _ in range(200):
        mixed, target = CutMix(COUNTS, probability=1.0)(images, torch.arange(6))
        assert target.weights is not None
        assert target.partners is not None
        own = (mixed == images).double().mean((1, 2, 3))
        moved = target.partners != torch.arange(6)
        torch.testing.assert_close(own[moved], target.weights[moved].double(), rtol=0, atol=1e-6)
        assert ((mixed == images) | (mixed == target.partners[:, None, None, None])).all()
        patch = (mixed != images)[moved]
        if patch.any():  # a rectangle: as many rows times columns as pixels
            rows, columns = patch[0, 0].any(1).sum(), patch[0, 0].any(0).sum()
            assert rows * columns == patch[0, 0].sum()
        kept.append(float(target.weights[0]))
    assert 0.5 < sum(kept) / len(kept) < 0.85, "half of the picture in the mean, and what is cut off and rounded down"


def test_cutmix_leaves_some_batches() -> None:
    blended = [CutMix(COUNTS)(IMAGES, LABELS)[1].partners is not None for _ in range(400)]
    assert abs(sum(blended) - 200) < 40
    mixed, target = CutMix(COUNTS, probability=0.0)(IMAGES, LABELS)
    assert mixed is IMAGES
    assert target.weights is None


@pytest.mark.parametrize("stage", ["relu", "layer1", "layer2", "layer3", "pool"])
@pytest.mark.parametrize("wrap", [lambda network: network, partial(Pretrained, "run.ckpt")], ids=["new", "from a run"])
def test_manifold_mixup_blends_at_the_stage_and_in_training_only(
    wrap: Callable[[Backbone], Backbone], stage: str
) -> None:
    backbone, labels = ResNet20(width=2), torch.arange(6)
    model = Method(wrap(backbone), [3] * 6, mix=lambda counts: ManifoldMixup(counts, stage=stage)).eval()
    plain = model(IMAGES).logits
    mixed, target = model.mix(IMAGES, labels)
    assert torch.equal(mixed, IMAGES)
    assert target.weights is not None
    share, order = target.weights[0], target.partners
    found = model(mixed).logits

    def blended(maps: Tensor) -> Tensor:
        return torch.stack([share * maps[one] + (1 - share) * maps[other] for one, other in enumerate(order)])

    maps = IMAGES
    with torch.no_grad():
        for name in backbone.stages:
            maps = getattr(backbone, name)(maps)
            maps = blended(maps) if name == stage else maps
        features = backbone.pool(maps)
        expected = model.head(blended(features) if stage == "pool" else features).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, plain)
    assert torch.equal(model(IMAGES).logits, plain), "the next pass is a plain one"


def test_an_evaluation_after_an_interrupted_training_is_not_mixed() -> None:
    model = Method(ResNet20(width=2), [3] * 6, mix=ManifoldMixup).eval()
    plain = model(IMAGES).logits
    model.mix(IMAGES, torch.arange(6))  # and no pass of the training
    with torch.no_grad():
        assert torch.equal(model(IMAGES).logits, plain)


def test_manifold_mixup_names_the_stages_there_are() -> None:
    with pytest.raises(InputError, match=r"ResNet20 has no stage layer4: choose one of conv1, .*layer3, pool"):
        Method(ResNet20(width=2), [3, 2], mix=lambda counts: ManifoldMixup(counts, stage="layer4"))


def test_a_mix_until() -> None:
    mix = StopAt(COUNTS, mix=lambda counts: ManifoldMixup(counts, stage="layer2"), end=0.9)
    backbone = ResNet20(width=2).eval()
    mix.attach(backbone)
    plain = backbone(IMAGES)
    for epoch, on in ((0, True), (179, True), (180, False), (199, False)):
        mix.set_epoch(epoch, 200)
        images, target = mix(IMAGES, LABELS)
        assert (target.partners is not None) == on
        assert torch.equal(backbone(images), plain) != on
    assert mix.notes(200) == []
    assert mix.notes(5) == ["the end of the mix at 0.9 of the run takes place in the last of 5 epochs"]


def test_the_running_measures_count_the_larger_share() -> None:
    target = Target(LABELS, LABELS.flip(0), torch.tensor([1.0, 0.6, 0.5, 0.4, 0.1, 0.0]))
    assert target.main.tolist() == [0, 1, 2, 2, 1, 0]
    assert torch.equal(Target(LABELS).main, LABELS)


class Leaning(Mix):
    """Say of every image that it is mostly of class 2."""

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        return images, Target(labels, torch.full_like(labels, 2), torch.full(labels.shape, 0.2))


def test_a_step_counts_the_label_of_the_larger_share() -> None:
    model = Method(ResNet20(width=2), COUNTS.tolist(), mix=Leaning).eval()
    with torch.no_grad():
        model.head.fc.bias[2] = 1e3
    model.training_step(Batch(IMAGES, LABELS, LABELS), 0)
    assert model.recalls["train"].hits.tolist() == model.recalls["train"].totals.tolist() == [0, 0, 6, 0]
