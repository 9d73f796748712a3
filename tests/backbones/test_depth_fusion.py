"""Experts over maps of different depths, against the official module, by hand, and as a run and as a teacher."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ltr.backbones import DepthFusion, ResNet20, ResNet32, ResNet50
from ltr.backbones.depth_fusion import aligned
from ltr.errors import InputError
from ltr.heads import Cosine

CASES = json.loads((Path(__file__).parents[1] / "references" / "shike.json").read_text())["cases"]
FUSIONS = [case for case in CASES if case["name"].startswith("fusion")]
SMALL = partial(ResNet20, width=4)
IMAGES = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
RUN = (
    "--data Synthetic --data.imbalance 4 --trainer.enable_progress_bar false --trainer.accelerator cpu "
    "--trainer.precision 32-true --trainer.max_epochs 2"
)
NETWORK = "--model.backbone.backbone ResNet20 --model.backbone.backbone.width 2"
SHORT = pytest.mark.filterwarnings("ignore:this run is short", "ignore:Found .* module.* in eval mode")


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", FUSIONS, ids=[case["name"] for case in FUSIONS])
def test_the_fusion_agrees_with_the_official_module(case: dict[str, Any]) -> None:
    shallow, deep = torch.tensor(case["shallow_features"]), torch.tensor(case["deep_features"])
    weight, expected = torch.tensor(case["weight"]), case["expected"]
    alignment = aligned(shallow.shape, deep.shape).eval()
    convolutions = [module for module in alignment if isinstance(module, nn.Conv2d)]
    norms = [module for module in alignment if isinstance(module, nn.BatchNorm2d)]
    for convolution, norm, values in zip(convolutions, norms, case["convolutions"], strict=True):
        convolution.weight.data = torch.tensor(values["weight"])
        state = {"weight": "weight", "bias": "bias", "running_mean": "mean", "running_var": "var"}
        norm.load_state_dict({name: torch.tensor(values[f"bn_{key}"]) for name, key in state.items()}, strict=False)
    head = Cosine(deep.shape[1], len(weight), scale=case["params"]["cosine_scale"])
    head.weight.data = weight
    maps = alignment(shallow)
    pooled = (maps * deep).mean((2, 3))
    found = {"aligned_features": maps, "pooled": pooled, "logits": head(pooled).logits}
    for name, value in found.items():
        torch.testing.assert_close(value, torch.tensor(expected[name]), rtol=1e-8, atol=1e-8)


def test_each_expert_multiplies_by_its_depth() -> None:
    network = DepthFusion(SMALL)
    network(torch.randn(16, 3, 8, 8))
    network.eval()
    first = network.layer1(network.relu(network.bn1(network.conv1(IMAGES))))
    fusion = network.fusion
    second = fusion.shared.layer2(first)
    expected = [
        (fusion.alignments[number](taken) * fusion.branches[number](second)).mean((2, 3))
        for number, taken in enumerate((first, second, first))
    ]
    assert (network.dim, network.experts, network.stages[-2:]) == (48, 3, ("layer1", "fusion"))
    torch.testing.assert_close(network(IMAGES), torch.cat(expected, 1))


@pytest.mark.parametrize(("experts", "total"), [(2, 887_312), (3, 1_257_808), (4, 1_662_032)])
def test_the_numbers_of_the_official_network(experts: int, total: int) -> None:
    """The totals include a classifier of 100 classes per expert; those of 2 and 4 a second one."""
    network = DepthFusion(partial(ResNet32, shortcut="B"), experts=experts)
    classifiers = experts * 6_400 * (1 if experts == 3 else 2)
    assert sum(parameter.numel() for parameter in network.parameters()) + classifiers == total


def test_a_blank_image_leaves_no_trace() -> None:
    network = DepthFusion(SMALL)
    assert network.training
    assert all(value.eq(0).all() for name, value in network.named_buffers() if "running_mean" in name)


def test_other_networks_and_odd_sizes() -> None:
    network = DepthFusion(ResNet50, experts=2, depths=["layer2", "layer3"]).eval()
    assert (network.dim, network(torch.randn(1, 3, 64, 64)).shape) == (4096, (1, 4096))
    assert DepthFusion(partial(SMALL, slim=0.75)).eval()(torch.randn(2, 3, 27, 30)).shape == (2, 36)


@pytest.mark.parametrize("depths", [[], ["layer3"], ["layer1", "layer9"]])
def test_depths_are_stages_before_the_last(depths: list[str]) -> None:
    with pytest.raises(InputError, match="`depths` are stages of ResNet20 before the last one: choose from conv1, bn1"):
        DepthFusion(SMALL, depths=depths)


@pytest.mark.slow
@SHORT
def test_both_stages_a_tuning_and_a_student(ltr) -> None:
    assert ltr(f"fit --config shike.yaml {RUN} {NETWORK} --name shike") == 0
    assert ltr(f"fit --config shike_classifiers.yaml {RUN} --name second") == 0
    first, second = (
        torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in ("shike", "second")
    )
    for name, value in first.items():
        if name.startswith("backbone."):
            same = torch.equal(second[name.replace("backbone.", "backbone.backbone.", 1)], value)
            assert same is not any(part in name for part in ("running", "tracked")), f"only batch norm moves: {name}"
        elif name.startswith("head."):
            assert torch.equal(second[f"old_{name}"], value)
    assert ltr(f"fit --config ride_gml.yaml {RUN} --model.backbone.checkpoint second --name gml") == 0
    assert ltr("test --ckpt_path gml --config ensemble.yaml") == 0
    student = "--model.backbone ResNet20 --model.backbone.width 2"
    assert ltr(f"fit --config distillation.yaml {RUN} {student} --model.teacher.checkpoint second --name student") == 0
    assert ltr("test --ckpt_path student") == 0


@pytest.mark.slow
@SHORT
def test_a_resumed_run_equals_an_undisturbed_one(ltr) -> None:
    words = f"fit --config shike.yaml {RUN} {NETWORK} --model.schedule ltr.schedules.Exponential --trainer.max_epochs"
    assert ltr(f"{words} 3 --name a") == 0
    assert ltr(f"{words} 2 --name b") == 0
    assert ltr(f"{words} 3 --name b --ckpt_path last") == 0
    a, b = (torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in "ab")
    assert all(torch.equal(value, b[key]) for key, value in a.items())
