"""The ResNets of the large sets, against torchvision."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from ltr.backbones import ResNet10, ResNet50, ResNet152, ResNeXt50
from ltr.contracts import Backbone

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("kind", "reference"), [(ResNet50, models.resnet50), (ResNeXt50, models.resnext50_32x4d)], ids=["50", "X50"]
)
def test_it_is_the_network_of_torchvision(kind: type[Backbone], reference) -> None:
    network, known = kind().eval(), reference(weights=None).eval()
    state = {key: value for key, value in known.state_dict().items() if not key.startswith("fc.")}
    network.load_state_dict(state)
    known.fc = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(network(IMAGES), known(IMAGES))
    assert network.dim == 2048


@pytest.mark.parametrize(("small", "size"), [(False, 2), (True, 8)])
def test_small_images_keep_their_size_longer(small: bool, size: int) -> None:
    network = ResNet10(small_images=small).eval()
    maps = IMAGES
    with torch.no_grad():
        for stage in network.stages:
            maps = getattr(network, stage)(maps)
    assert maps.shape == (2, 512, size, size)
    assert network.dim == 512


def test_152_layers_have_the_tensors_of_torchvision() -> None:
    with torch.device("meta"):
        network, known = ResNet152(), models.resnet152(weights=None)
    known.fc = nn.Identity()
    found, wanted = ({name: value.shape for name, value in net.state_dict().items()} for net in (network, known))
    assert found == wanted


@pytest.mark.parametrize(
    ("kind", "millions"), [(ResNet10, 4.9), (ResNet50, 23.5), (ResNeXt50, 23.0), (ResNet152, 58.1)]
)
def test_it_is_as_large_as_it_says(kind: type[Backbone], millions: float) -> None:
    with torch.device("meta"):
        network = kind()
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(millions * 1e6, rel=0.005)
    assert f"{millions} M parameters" in (kind.__doc__ or "")
