"""The network whose last block is there twice."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ltr.backbones import Bilateral, ResNet20, ResNet32
from ltr.contracts import Backbone
from ltr.errors import InputError

IMAGES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_either_branch_is_a_plain_network() -> None:
    plain, double = ResNet20(width=2).eval(), Bilateral(ResNet20(width=2)).eval()
    for branch, part in (("cb_block", slice(0, 8)), ("rb_block", slice(8, 16))):
        renamed = {key.replace("layer3.2.", f"{branch}."): key for key in plain.state_dict()}
        plain.load_state_dict({key: double.state_dict()[name] for name, key in renamed.items()})
        torch.testing.assert_close(double(IMAGES)[:, part], plain(IMAGES))
        torch.testing.assert_close(double(IMAGES, [branch]), plain(IMAGES))
    assert double.dim == double(IMAGES).shape[1] == 16


def test_tensors_are_named_as_in_the_official_checkpoints() -> None:
    names = {".".join(key.split(".")[:2]) for key in Bilateral(ResNet32()).state_dict() if "layer3" in key}
    assert names == {f"layer3.{block}" for block in range(4)}, "four shared blocks in the last stage"
    assert {"conv1.weight", "cb_block.conv1.weight", "rb_block.bn2.bias"} <= set(Bilateral().state_dict())


def test_the_branches_start_apart_and_alike() -> None:
    double = Bilateral(ResNet20())
    for conventional, rebalancing in zip(double.cb_block.parameters(), double.rb_block.parameters(), strict=True):
        assert conventional is not rebalancing
        assert torch.equal(conventional.flatten().sort().values, rebalancing.flatten().sort().values)
    assert not torch.equal(double.cb_block.conv1.weight, double.rb_block.conv1.weight)


def test_a_network_without_blocks_is_refused() -> None:
    class Flat(Backbone):
        stages = ("layer",)
        dim = 3

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

    for backbone in (Flat(), Bilateral(ResNet20(width=2))):
        with pytest.raises(InputError, match=f"last stage of {type(backbone).__name__} is not a sequence of blocks"):
            Bilateral(backbone)
