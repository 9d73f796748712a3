"""The CIFAR ResNets, against a plain re-computation, the formula of their size and the public weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.backbones import Pretrained, ResNet20, ResNet32, ResNet44, ResNet56, ResNetCIFAR
from ltr.backbones.resnet_cifar import Shortcut
from ltr.errors import InputError
from ltr.heads import Linear

REFERENCE = json.loads((Path(__file__).parents[1] / "references" / "resnet32_ce_pt.json").read_text())
NETWORKS = {20: ResNet20, 32: ResNet32, 44: ResNet44, 56: ResNet56}
PUBLIC = "LTR_PUBLIC_CHECKPOINT"


def randomised(network: ResNetCIFAR) -> ResNetCIFAR:
    """Give every tensor of a network, running statistics included, values of its own."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "var" in name else noise - 0.4)
    return network


def formula(blocks: int, classes: int) -> int:
    """Count the parameters of 3 * `blocks` basic blocks with 16, 32 and 64 channels, and of a linear head."""
    total = 3 * 16 * 9 + 2 * 16
    channels = 16
    for outputs in (16, 32, 64):
        for _ in range(blocks):
            total += channels * outputs * 9 + outputs * outputs * 9 + 2 * 2 * outputs
            channels = outputs
    return total + 64 * classes + classes


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_sizes(depth: int, millions: float) -> None:
    network = NETWORKS[depth]()
    own = sum(parameter.numel() for parameter in network.parameters())
    for classes in (10, 100):
        head = sum(parameter.numel() for parameter in Linear(network.dim, classes).parameters())
        assert own + head == formula((depth - 2) // 6, classes)
    assert formula((depth - 2) // 6, 10) / 1e6 == pytest.approx(millions, abs=0.006)


def test_the_numbers_of_resnet32() -> None:
    assert formula(5, 10) == 464_154
    assert formula(5, 100) == REFERENCE["checkpoint"]["num_parameters"]


def test_the_official_names() -> None:
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", *(f"bn1.{part}" for part in norm)}
    for layer in (1, 2, 3):
        for block in range(5):
            for place in (1, 2):
                expected.add(f"layer{layer}.{block}.conv{place}.weight")
                expected |= {f"layer{layer}.{block}.bn{place}.{part}" for part in norm}
    assert set(ResNet32().state_dict()) == expected
    assert len(expected) + len(("linear.weight", "linear.bias")) == REFERENCE["checkpoint"]["keys"]


def test_the_shortcut_pixel_by_pixel() -> None:
    maps = torch.randn(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(2, 8, 3, 2)
    for image in range(2):
        for channel in range(3):
            for row in range(3):
                for column in range(2):
                    expected[image, channel + 2, row, column] = maps[image, channel, 2 * row, 2 * column]
    assert torch.equal(Shortcut(5)(maps), expected), "two new channels before the old ones and three behind"


@pytest.mark.parametrize("training", [False, True])
def test_the_whole_network_step_by_step(training: bool) -> None:
    network = randomised(ResNet20(width=4)).double().train(training)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def normalised(maps: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        if training:
            mean, var = maps.mean((0, 2, 3)), maps.var((0, 2, 3), correction=0)
        mean, var, weight, bias = (
            part[:, None, None] for part in (mean, var, state[f"{name}.weight"], state[f"{name}.bias"])
        )
        return (maps - mean) / (var + 1e-5).sqrt() * weight + bias

    maps = normalised(F.conv2d(images, state["conv1.weight"], padding=1), "bn1").clamp(min=0)
    for layer in (1, 2, 3):
        for block in range(3):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            inner = F.conv2d(maps, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            inner = normalised(inner, f"{name}.bn1").clamp(min=0)
            inner = normalised(F.conv2d(inner, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if stride == 2:
                nothing = torch.zeros_like(maps[:, : maps.shape[1] // 2, ::2, ::2])
                maps = torch.cat([nothing, maps[:, :, ::2, ::2], nothing], 1)
            maps = (inner + maps).clamp(min=0)
    torch.testing.assert_close(network(images), maps.mean((2, 3)))


@pytest.mark.parametrize("size", [8, 16, 32])
def test_any_size_of_image(size: int) -> None:
    network = ResNet20(width=2)
    assert network(torch.randn(2, 3, size, size)).shape == (2, network.dim) == (2, 8)


@pytest.mark.parametrize("depth", [18, 31, 34])
def test_a_depth_that_is_none(depth: int) -> None:
    with pytest.raises(InputError, match=f"6n \\+ 2 layers, not {depth}"):
        ResNetCIFAR(depth)


@pytest.mark.skipif(PUBLIC not in os.environ, reason=f"{PUBLIC} names no file")
def test_the_public_weights() -> None:
    network = Pretrained(os.environ[PUBLIC])
    head = Linear(64, 100)
    head.load_state_dict(network.load())
    case = REFERENCE["cases"][0]
    i, c, h, w = torch.meshgrid(*(torch.arange(size) for size in case["input"]["shape"]), indexing="ij")
    images = (7 * i + 5 * c + 3 * h + 2 * w) % 17 / 8 - 1
    assert images.sum().item() == pytest.approx(case["input"]["sum"])
    with torch.no_grad():
        features = network(images)
        logits = head(features).logits
    torch.testing.assert_close(features, torch.tensor(case["expected"]["features"]), rtol=0, atol=1e-4)
    torch.testing.assert_close(logits, torch.tensor(case["expected"]["logits"]), rtol=0, atol=1e-4)


OLDER_PROCESSOR = """
import torch
from ltr.backbones.resnet_cifar import Projected
for threads in (1, 2) * 10:  # memory that is written past its end shows only now and then
    torch.set_num_threads(threads)
    shortcut = Projected(4, 8, 2).to(memory_format=torch.channels_last)
    images = torch.rand(16, 4, 8, 8).to(memory_format=torch.channels_last)
    shortcut(images).square().sum().backward()
    same = Projected(4, 8, 2).double()
    same.load_state_dict({name: value.double() for name, value in shortcut.state_dict().items()})
    same(images.contiguous().double()).square().sum().backward()
    torch.testing.assert_close(shortcut[0].weight.grad.double(), same[0].weight.grad, rtol=1e-3, atol=1e-2)
"""


@pytest.mark.slow
def test_a_projected_shortcut_has_the_right_gradient_without_avx512() -> None:
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", OLDER_PROCESSOR], env=environment, check=True)
