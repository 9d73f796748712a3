"""Several networks that begin as one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from ltr.backbones import MultiExpert, Pretrained, ResNet20, ResNet32
from ltr.errors import InputError
from ltr.heads import LWS, Cosine, ExpertHeads, Linear
from ltr.methods import Method

SMALL = partial(ResNet20, width=4, slim=0.75)
IMAGES = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def small(experts: int = 3) -> MultiExpert:
    """Return a small network of experts, its running statistics moved."""
    network = MultiExpert(SMALL, experts=experts)
    network(torch.randn(16, 3, 8, 8))
    return network.eval()


def test_features_lie_side_by_side() -> None:
    network = small()
    maps = network.layer1(network.relu(network.bn1(network.conv1(IMAGES))))
    parts = [branch.layer3(branch.layer2(maps)).mean((2, 3)) for branch in network.branches]
    assert (network.dim, network.experts, parts[0].shape) == (36, 3, (5, 12))
    torch.testing.assert_close(network(IMAGES), torch.cat(parts, 1))
    torch.testing.assert_close(network.common(IMAGES), maps)
    for number, part in enumerate(parts):
        torch.testing.assert_close(network.expert(number, maps), part)


def test_the_experts_are_drawn_apart_and_the_stem_is_one() -> None:
    network = MultiExpert(SMALL)
    state = network.state_dict()
    stem = {name.split(".")[0] for name in state if not name.startswith("branches.")}
    assert stem == {"conv1", "bn1", "layer1"}
    first = [name for name in state if name.startswith("branches.0.") and "conv" in name]
    assert first
    for name in first:
        others = [state[name.replace("branches.0.", f"branches.{number}.")] for number in (1, 2)]
        assert not any(torch.equal(state[name], other) for other in others), name
    network(IMAGES).sum().backward()
    assert network.conv1.weight.grad is not None


def test_the_numbers_of_ride() -> None:
    network = MultiExpert(partial(ResNet32, slim=0.75))
    own = sum(parameter.numel() for parameter in network.parameters())
    total, channels = 3 * 16 * 9 + 2 * 16, 16
    for outputs, copies in ((16, 1), (24, 3), (48, 3)):
        for block in range(5):
            inputs = channels if block == 0 else outputs
            total += copies * (inputs * outputs * 9 + outputs * outputs * 9 + 2 * 2 * outputs)
        channels = outputs
    assert (own, network.dim) == (total, 3 * 48)


def test_another_place_to_part_and_a_single_expert() -> None:
    network = MultiExpert(SMALL, experts=2, shared="layer2")
    assert network.stages == ("conv1", "bn1", "relu", "layer1", "layer2", "branches")
    torch.manual_seed(1)
    one = MultiExpert(SMALL, experts=1)
    torch.manual_seed(1)
    torch.testing.assert_close(one(IMAGES), SMALL()(IMAGES))


@pytest.mark.parametrize("shared", ["layer3", "layer4", "branches"])
def test_something_is_shared_and_something_is_not(shared: str) -> None:
    with pytest.raises(InputError, match=f"cannot share up to {shared}"):
        MultiExpert(SMALL, shared=shared)
    with pytest.raises(InputError, match="must be at least 1"):
        MultiExpert(SMALL, experts=0)


def test_heads_divide_what_the_backbone_laid_side_by_side() -> None:
    features = torch.randn(5, 36)
    head = ExpertHeads(36, 7, head=partial(Cosine, scale=11.0))
    output = head(features)
    assert output.scale == 11
    assert output.experts is not None
    for number, part in enumerate((features[:, :12], features[:, 12:24], features[:, 24:])):
        torch.testing.assert_close(output.experts[number], head.heads[number](part).logits)
    torch.testing.assert_close(output.logits, output.experts.mean(0))
    assert not torch.equal(head.heads[0].weight, head.heads[1].weight)
    assert ExpertHeads(36, 7, head=LWS).added == ("heads.0.scale", "heads.1.scale", "heads.2.scale")


def test_heads_and_backbone_have_equally_many_experts() -> None:
    with pytest.raises(InputError, match="the head has 2 experts, the backbone 3"):
        Method(small(), [9, 5, 1], head=partial(ExpertHeads, experts=2))
    with pytest.raises(InputError, match="36 numbers cannot be divided between 5 experts"):
        Method(small(), [9, 5, 1], head=partial(ExpertHeads, experts=5))
    assert Method(small(), [9, 5, 1], head=Linear)(IMAGES).experts is None, "one classifier on all features is allowed"


def test_a_trained_run_is_taken_up_whole(tmp_path: Path) -> None:
    run = Method(small(), [9, 5, 1], head=ExpertHeads)
    torch.save({"state_dict": run.state_dict()}, tmp_path / "run.ckpt")
    frozen = Pretrained(str(tmp_path / "run.ckpt"), MultiExpert(SMALL))
    assert (frozen.dim, frozen.experts) == (36, 3)
    classifier = frozen.load()
    assert set(classifier) == {f"heads.{number}.weight" for number in range(3)}
    assert not frozen.train().backbone.branches.training
    torch.testing.assert_close(frozen(IMAGES), run.eval().backbone(IMAGES))
    with pytest.raises(InputError, match="does not fit a MultiExpert"):
        Pretrained(str(tmp_path / "run.ckpt"), MultiExpert(SMALL, experts=2)).load()


def test_channels_last_changes_nothing() -> None:
    network = small()
    expected = network(IMAGES)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(IMAGES.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)
