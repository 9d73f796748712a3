"""Rare samples generated before the last stage, each term against a loop over samples and positions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from ltr import heads
from ltr.backbones import Bilateral, Pretrained, ResNet20
from ltr.contracts import Batch, Output
from ltr.data import CropFlip, MultiView, Synthetic
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.losses import LDAM, ClassBalanced, Combined, CrossEntropy, SupCon
from ltr.methods import RSG, Method
from ltr.methods.rare_samples import PooledConv, RareSamples
from ltr.mixes import Mixup
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
COUNTS = [40, 20, 9, 4, 2]  # with a share of 0.4 the first two classes are head classes
LABELS = {
    "more head": [0, 1, 0, 0, 3, 1, 2, 0, 1],
    "more tail": [2, 0, 4, 2, 3, 4, 1, 2],
    "as many": [0, 4, 1, 3],
    "one tail sample": [0, 1, 1, 4, 0],
}


def generator(generating: bool, *, strength: float = 1.0) -> RareSamples:
    """Return a small generator whose centres have moved."""
    made = RareSamples(torch.tensor(COUNTS), 3, centres=2, head_share=0.4, start=0.5, strength=strength)
    torch.nn.init.normal_(made.centres)
    made.set_epoch(int(generating), 2)
    return made


def maps_of(labels: list[int]) -> Tensor:
    return torch.randn(len(labels), 3, 4, 5, generator=torch.Generator().manual_seed(3)).relu().double()


def gate(made: RareSamples, maps: Tensor, label: int) -> Tensor:
    """Return (K,) the gates of one sample."""
    scores = [
        sum(made.gates[label, d, k] * maps[d].mean() for d in range(3)) + made.gate_bias[label, k] for k in range(2)
    ]
    return torch.stack(scores).softmax(0)


def tell(made: RareSamples, first: Tensor, second: Tensor) -> Tensor:
    """Return the logits of the contrastive net for one pair, position by position."""
    narrow, _, pooled, last = made.contrast
    maps = F.relu(F.conv2d(torch.cat([first, second])[None], narrow.weight, narrow.bias))
    maps = F.conv2d(maps, pooled.weight, pooled.bias, padding=1)
    return F.linear(maps.mean((2, 3)), last.weight, last.bias)[0]


@torch.no_grad()
@pytest.mark.parametrize("case", LABELS)
@pytest.mark.usefixtures("double")
def test_centre_and_contrast_sample_by_sample(case: str) -> None:
    labels, made = LABELS[case], generator(False)
    maps = maps_of(labels)
    found = made(maps, torch.tensor(labels))
    centre, contrast, half = 0.0, 0.0, len(labels) // 2
    for sample, label in zip(maps, labels, strict=True):
        weights = gate(made, sample, label)
        for k in range(2):
            for row in range(4):
                for column in range(5):
                    distance = (sample[:, row, column] - made.centres[label, k]).square().sum()
                    centre += float(weights[k] * distance) / len(labels)
    for one in range(half):
        same = int(labels[one] == labels[one + half])
        contrast -= float(tell(made, maps[one], maps[one + half]).log_softmax(0)[same]) / half
    assert found.centre.item() == pytest.approx(centre, rel=1e-10)
    assert found.contrast.item() == pytest.approx(contrast, rel=1e-10)
    assert found.pairs == half
    assert len(found.maps) == len(found.labels) == found.transfer.item() == 0


@torch.no_grad()
@pytest.mark.parametrize("strength", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("case", LABELS)
@pytest.mark.usefixtures("double")
def test_generation_sample_by_sample(case: str, strength: float) -> None:
    labels, made = LABELS[case], generator(True, strength=strength)
    maps = maps_of(labels)
    found = made(maps, torch.tensor(labels))
    head = [place for place, label in enumerate(labels) if label < 2]
    tail = [place for place, label in enumerate(labels) if label >= 2]
    few, many = min(len(head), len(tail)), max(len(head), len(tail))
    rounds = max(1, int(strength * many / few))
    generated, rare, transfer = [], [], 0.0
    for one in range(rounds * few):
        h, t = head[one % len(head)], tail[one % len(tail)]
        near = [made.centres[labels[at], gate(made, maps[at], labels[at]).argmax()] for at in (h, t)]
        v = maps[h] - near[0][:, None, None]
        u = F.conv2d(v[None], made.transform.weight, made.transform.bias, padding=1)[0]
        generated.append(maps[t] + u)
        rare.append(labels[t])
        term = -tell(made, maps[h], u).log_softmax(0)[0]
        for row in range(4):
            for column in range(5):
                here, there = u[:, row, column], v[:, row, column]
                target = maps[t][:, row, column] - near[1]
                term += (here.norm() - there.norm()).abs()
                term += (here @ target / (here.norm() * target.norm()) - 1).abs()
        transfer += float(term) / (rounds * few)
    torch.testing.assert_close(found.maps, torch.stack(generated))
    assert found.labels.tolist() == rare
    assert min(rare) >= 2, "what is generated is rare"
    assert found.transfer.item() == pytest.approx(transfer, rel=1e-9)
    assert found.contrast == found.pairs == 0


def test_the_direction_of_the_official_code_differs_by_a_constant() -> None:
    one, other = F.normalize(torch.randn(2, 50, 7).double(), dim=2)
    elementwise = (one * other - 1).abs().sum(1)
    torch.testing.assert_close(elementwise, ((one * other).sum(1) - 1).abs() + 7 - 1)


@pytest.mark.parametrize("labels", [[0, 1, 0], [3, 3], [2]])
def test_nothing_is_generated_without_both_groups(labels: list[int]) -> None:
    for generating in (False, True):
        found = generator(generating)(maps_of(labels).float(), torch.tensor(labels))
        assert len(found.maps) == 0
        assert all(torch.isfinite(term) for term in (found.centre, found.contrast, found.transfer))


def test_every_term_trains_its_own_part() -> None:
    labels = LABELS["more head"]
    for generating in (False, True):
        made, maps = generator(generating), maps_of(labels).float().requires_grad_()
        found = made(maps, torch.tensor(labels))
        parts = {"centre": found.centre, "contrast": found.contrast, "transfer": found.transfer, "maps": found.maps}
        learns = {}
        for name, term in parts.items():
            made.zero_grad()
            if term.requires_grad:
                term.sum().backward(retain_graph=True)
            learns[name] = {key.split(".")[0] for key, value in made.named_parameters() if value.grad is not None}
        below = {"centres", "gates", "gate_bias"}
        generation = {"transform"} if generating else set()
        assert learns == {
            "centre": below,
            "contrast": set() if generating else {"contrast"},
            "transfer": generation,
            "maps": generation,
        }
        assert maps.grad is None, "no term reaches the network below"


def test_an_averaged_convolution_need_not_be_computed() -> None:
    layer, maps = PooledConv(6).double(), torch.randn(4, 6, 5, 3).double()
    expected = F.conv2d(maps, layer.weight, layer.bias, padding=1).mean((2, 3))
    torch.testing.assert_close(layer(maps), expected)


IMAGES = torch.randn(9, 3, 8, 8, generator=torch.Generator().manual_seed(4))
SMALL: dict[str, Any] = {"centres": 2, "head_share": 0.4, "start": 0.5}


def method(**options: Any) -> RSG:
    return RSG(ResNet20(width=2), COUNTS, **SMALL | {"schedule": Cosine()} | options)


def test_the_objective_is_that_of_the_larger_batch_and_the_terms() -> None:
    labels = torch.tensor(LABELS["more head"])
    for generating in (False, True):
        model = method(centre_weight=0.3, transfer_weight=0.07).eval()
        model.generator.set_epoch(int(generating), 2)
        found = model.training_step(Batch(IMAGES, labels, labels), 0)
        maps = IMAGES
        for stage in ("conv1", "bn1", "relu", "layer1", "layer2"):
            maps = getattr(model.backbone, stage)(maps)
        rare = model.generator(maps, labels)
        assert len(rare.labels) == (6 if generating else 0)
        features = model.backbone.layer3(torch.cat([maps, rare.maps])).mean((2, 3))
        value = F.cross_entropy(model.head.fc(features), torch.cat([labels, rare.labels]))
        value = value + 0.3 * (rare.centre + rare.contrast) + 0.07 * rare.transfer
        torch.testing.assert_close(found, value)
        assert model.epoch_loss.sizes == [9]
        originals = F.cross_entropy(model.head.fc(features[:9]), labels).item()
        assert model.epoch_loss.mean() == pytest.approx(originals, rel=1e-5)
        assert int(model.recalls["train"].totals.sum()) == 9, "generated samples are not counted"


def test_a_run_is_trained_on_as_its_network_is() -> None:
    labels, plain = torch.tensor(LABELS["more head"]), method().eval()
    model = RSG(Pretrained("run.ckpt", plain.backbone, freeze="none"), COUNTS, **SMALL).eval()
    model.head, model.generator = plain.head, plain.generator
    model.generator.set_epoch(1, 2)
    expected, found = (one.training_step(Batch(IMAGES, labels, labels), 0) for one in (plain, model))
    assert torch.equal(found, expected)


def test_an_evaluation_is_that_of_the_plain_network() -> None:
    model = method().eval()
    plain = Method(ResNet20(width=2), COUNTS).eval()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if "generator" not in key})
    assert torch.equal(model(IMAGES).logits, plain(IMAGES).logits)


@pytest.mark.slow
def test_the_generation_starts_when_it_is_time(trainer: Make) -> None:
    generated: list[list[int]] = [[], [], [], []]
    states = []

    class Watch(Callback):
        def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
            states.append({key: value.clone() for key, value in module.generator.state_dict().items()})
            module.generator.register_forward_hook(
                lambda _, __, found, epoch=trainer.current_epoch: generated[epoch].append(len(found.labels))
            )

    data = Synthetic(batch_size=16)
    model = RSG(ResNet20(width=2), data.counts, schedule=Cosine(), **SMALL)
    trainer(4, callbacks=[Watch()]).fit(model, datamodule=data)
    states.append(model.generator.state_dict())
    assert sum(generated[0][:3]) == 0
    assert sum(generated[3][-3:]) > 0
    moved = [
        {key.split(".")[0] for key in one if not torch.equal(one[key], other[key])} for one, other in pairwise(states)
    ]
    below = {"centres", "gates", "gate_bias"}
    assert moved == [below | {"contrast"}, below | {"contrast"}, below | {"transform"}, below | {"transform"}]
    late = RSG(ResNet20(width=2), data.counts, head_share=0.4).generator.notes(4)
    assert late == ["the generation of rare samples at 0.8 of the run takes place in the last of 4 epochs"]


def test_another_training_trains_all_parts_again(trainer: Make) -> None:
    data = Synthetic(batch_size=16)
    model = RSG(ResNet20(width=2), data.counts, schedule=Cosine(), **SMALL)
    trainer(2).fit(model, datamodule=data)
    assert model.generator.generating
    before = [weight.clone() for weight in model.generator.contrast.parameters()]
    trainer(2).fit(model, datamodule=data)
    assert not any(map(torch.equal, before, model.generator.contrast.parameters()))


class Seen(CrossEntropy):
    """Cross-entropy that remembers what it was given."""

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        self.given = output, labels
        return super().forward(output, labels)


def test_losses_of_weights_and_embeddings_see_the_larger_batch() -> None:
    losses = [lambda counts: ClassBalanced(counts, loss=LDAM, beta=0.999), SupCon, Seen]
    model = method(
        head=partial(Projection, classifier=heads.Cosine), loss=lambda counts: Combined(counts, losses=losses)
    )
    model.generator.set_epoch(1, 2)
    labels = torch.tensor(LABELS["more head"])
    assert torch.isfinite(model.training_step(Batch(IMAGES, labels, labels), 0))
    output, seen = model.loss.parts[2].given
    assert seen.tolist() == [*labels.tolist(), *[3, 2] * 3]
    assert output.embeddings.shape == (15, 1, 128)


def test_the_generator_sits_where_it_is_told() -> None:
    assert method().generator.transform.in_channels == 4
    assert method(stage="layer2").generator.transform.in_channels == 2
    with pytest.raises(InputError, match=r"has no stage layer9 to generate before: choose one of bn1, .*layer3"):
        method(stage="layer9")
    with pytest.raises(InputError, match=r"ResNet20 has no stage layer9 .*: choose one of bn1, .*layer3"):
        RSG(Pretrained("run.ckpt", ResNet20(width=2)), COUNTS, stage="layer9")
    with pytest.raises(InputError, match="RSG works between the stages of a network, which Bilateral does not name"):
        RSG(Bilateral(ResNet20(width=2)), COUNTS)


def test_head_classes_are_those_with_most_images() -> None:
    made = RareSamples(torch.tensor([3, 50, 8, 50, 1]), 3, centres=2, head_share=0.4, start=0.5, strength=1.0)
    assert made.is_head.tolist() == [False, True, False, True, False]
    with pytest.raises(InputError, match="0 of 5 head classes: choose another"):
        method(head_share=0.05)


def test_what_has_no_class_is_refused(trainer: Make) -> None:
    with pytest.raises(InputError, match="leave out the mix"):
        method(mix=Mixup)
    data = Synthetic(augment=MultiView([CropFlip(), CropFlip()]))
    with pytest.raises(InputError, match="RSG generates from single images"):
        trainer(2).fit(RSG(ResNet20(width=2), data.counts, **SMALL), datamodule=data)
