"""Several views of every image, from the data to the loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.backbones import Pretrained, ResNet20
from ltr.contracts import Output, Transform
from ltr.data import Compose, CropFlip, MultiView, Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.losses import SupCon
from ltr.methods import Method, Tuning
from ltr.mixes import Mixup
from ltr.optimizers import SAM
from ltr.schedules import Cosine

IMAGES = torch.randint(256, (6, 3, 8, 8), dtype=torch.uint8)


class Inverted(Transform):
    """A view that can be told from the plain one."""

    def forward(self, images: Tensor) -> Tensor:
        return 255 - images


def test_views_lie_side_by_side() -> None:
    views = MultiView([Plain(), Inverted(), Plain()])
    made = views(IMAGES)
    assert views.views == 3
    assert made.shape == (6, 3, 3, 8, 8)
    assert torch.equal(made[:, 1], 255 - IMAGES)
    assert torch.equal(made[:, 2], IMAGES)


def test_a_chain_ends_with_views_or_has_none() -> None:
    chain = Compose([Inverted(), MultiView([Plain(), Plain()])])
    assert chain.views == 2
    assert torch.equal(chain(IMAGES)[:, 0], 255 - IMAGES)
    with pytest.raises(InputError, match="let MultiView come last"):
        Compose([MultiView([Plain(), Plain()]), Inverted()])


@pytest.mark.parametrize("wrong", [[Plain()], [MultiView([Plain(), Plain()]), Plain()]])
def test_views_of_one_or_of_views_are_refused(wrong: list[Transform]) -> None:
    with pytest.raises(InputError, match="at least two transforms, each of which makes one view"):
        MultiView(wrong)


def test_views_are_normalised_as_single_images_are() -> None:
    data = Synthetic(augment=MultiView([Plain(), Inverted()]))
    data.setup()
    both = data.prepare(IMAGES, augment=True)
    torch.testing.assert_close(both[:, 0], data.prepare(IMAGES))
    torch.testing.assert_close(both[:, 1], data.prepare(255 - IMAGES))


def test_the_classifier_sees_the_first_view_and_the_embeddings_all_of_them() -> None:
    method = Method(ResNet20(width=2), [20, 5, 2], head=Projection).eval()
    views = torch.randn(4, 3, 3, 8, 8)
    found = method(views)
    alone = [method(views[:, view]) for view in range(3)]
    torch.testing.assert_close(found.logits, alone[0].logits)
    torch.testing.assert_close(found.features, alone[0].features)
    assert found.embeddings.shape == (4, 3, 128)
    for view in range(3):
        torch.testing.assert_close(found.embeddings[:, view], alone[view].embeddings[:, 0])


def test_the_experts_of_an_output_are_grouped_too() -> None:
    experts = torch.randn(2, 6, 3)
    grouped = Output(experts.mean(0), torch.randn(6, 4), experts=experts).grouped(2)
    assert torch.equal(grouped.experts, experts[:, [0, 2, 4]])
    assert torch.equal(grouped.logits, experts.mean(0)[[0, 2, 4]])
    assert grouped.embeddings is None


def test_two_views_are_a_batch_of_twice_as_many_embeddings() -> None:
    """The loss of views (B, V) is that of B * V single ones with the labels said twice: Khosla et al., section 3.1."""
    embeddings, labels = F.normalize(torch.randn(4, 2, 5), dim=2), torch.tensor([0, 1, 1, 0])
    loss = SupCon(torch.tensor([20, 5]))
    nothing = torch.zeros(4, 2)
    found = loss(Output(nothing, nothing, embeddings), labels)[0]
    flat = embeddings.flatten(0, 1).unsqueeze(1)
    again = loss(Output(nothing.repeat(2, 1), nothing.repeat(2, 1), flat), labels.repeat_interleave(2))[0]
    torch.testing.assert_close(found, again)


def fit(trainer: Any, method: Method, data: Synthetic) -> None:
    trainer(1).fit(method, datamodule=data)


def test_a_network_is_trained_on_views_and_measured_on_single_images(trainer) -> None:
    data = Synthetic(batch_size=16, augment=MultiView([CropFlip(), CropFlip()]))
    method = Method(ResNet20(width=2), data.counts, head=Projection, loss=SupCon, schedule=Cosine(warmup=0))
    before = {name: value.clone() for name, value in method.head.projection.state_dict().items()}
    fit(trainer, method, data)
    assert not torch.equal(before["0.weight"], method.head.projection[0].weight)
    assert {"train", "test"} <= set(method.reports)


@pytest.mark.parametrize("augment", [CropFlip(), MultiView([CropFlip(), CropFlip()])], ids=["one view", "two views"])
def test_weight_decay_does_not_touch_the_classifier_that_supcon_leaves_alone(trainer, augment: Transform) -> None:
    data = Synthetic(batch_size=16, augment=augment)
    method = Method(ResNet20(width=2), data.counts, head=Projection, loss=SupCon, schedule=Cosine(warmup=0))
    drawn = {name: value.clone() for name, value in method.head.classifier.state_dict().items()}
    before = method.head.projection[0].weight.clone()
    fit(trainer, method, data)
    assert not torch.equal(method.head.projection[0].weight, before)
    for name, value in method.head.classifier.state_dict().items():
        assert torch.equal(value, drawn[name]), name


def test_sam_looks_at_views_twice(trainer) -> None:
    data = Synthetic(batch_size=16, augment=MultiView([CropFlip(), CropFlip()]))
    parts = {"head": Projection, "loss": SupCon, "optimizer": SAM, "schedule": Cosine(warmup=0)}
    method = Method(ResNet20(width=2), data.counts, **parts)
    fit(trainer, method, data)
    assert method.measures["train/loss"] > 0


def test_a_mix_of_views_is_refused(trainer) -> None:
    data = Synthetic(batch_size=16, augment=MultiView([Plain(), Plain()]))
    method = Method(ResNet20(width=2), data.counts, mix=Mixup)
    with pytest.raises(InputError, match="Mixup blends single images: leave out the mix, or the views"):
        fit(trainer, method, data)


def test_views_cannot_be_cached(trainer, run_file) -> None:
    data = Synthetic(batch_size=16, augment=MultiView([Plain(), Plain()]))
    backbone = Pretrained(str(run_file), ResNet20(width=2))
    method = Tuning(backbone, data.counts, views=2, reset=True)
    with pytest.raises(InputError, match="cached features are of one view each"):
        fit(trainer, method, data)
