"""The networks of torchvision, against torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from ltr.backbones import (
    DepthFusion,
    MultiExpert,
    Pretrained,
    ResNet10,
    ResNet20,
    ResNet50,
    ResNet152,
    ResNeXt50,
    Torchvision,
)
from ltr.contracts import Backbone
from ltr.errors import InputError
from ltr.methods import BBN

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_it_is_the_network_of_torchvision_with_the_weights_of_a_file(name: str, tmp_path: Path) -> None:
    known = models.get_model(name, weights=None, num_classes=7).eval()
    torch.save(known.state_dict(), tmp_path / "weights.pth")
    network = Torchvision(name, str(tmp_path / "weights.pth")).eval()
    assert network.load() == {}
    last = next(part for part in reversed([*known.modules()]) if isinstance(part, nn.Linear))
    with torch.no_grad():
        features = network(IMAGES)
        torch.testing.assert_close(last(features), known(IMAGES))
    assert features.shape == (2, network.dim)
    assert network.fixed
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_pretrained_reads_the_files_of_torchvision(tmp_path: Path) -> None:
    known = models.resnet18(weights=None)
    torch.save(known.state_dict(), tmp_path / "resnet18.pth")
    network = Pretrained(str(tmp_path / "resnet18.pth"), Torchvision("resnet18"))
    assert network.load().keys() == {"fc.weight", "fc.bias"}
    assert torch.equal(network.backbone.conv1.weight, known.conv1.weight)


@pytest.mark.parametrize(("small", "size"), [(False, 2), (True, 8)])
def test_small_images_keep_their_size_longer(small: bool, size: int) -> None:
    network = ResNet10(small_images=small).eval()
    with torch.no_grad():
        maps = network.maps(IMAGES)
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


def test_the_preprocessing_is_that_of_the_weights() -> None:
    look = Torchvision("resnet50", True).preprocessing
    assert look is not None
    assert (look.size, look.crop, look.interpolation) == (232, 224, "bilinear")
    assert Torchvision("resnet50").preprocessing is None


def test_what_torchvision_does_not_have_is_named() -> None:
    with pytest.raises(InputError, match="no network resnet55 for classification; did you mean resnet"):
        Torchvision("resnet55")
    with pytest.raises(InputError, match="no weights IMAGENET1K_V7 for resnet18; did you mean IMAGENET1K_V1"):
        Torchvision("resnet18", "IMAGENET1K_V7")
    with pytest.raises(InputError, match="small_images is for a ResNet"):
        Torchvision("mobilenet_v3_small", small_images=True)


@pytest.mark.parametrize("network", [MultiExpert, DepthFusion, lambda backbone: BBN(backbone(), [3, 2])])
def test_networks_of_the_stages_of_another_refuse_weights_that_they_would_lose(network: Callable[..., object]) -> None:
    given: dict[str, Callable[[], Backbone]] = {
        r"Torchvision resnet18 starts from resnet18\.\w+ of torchvision": lambda: Torchvision("resnet18", True),
        "Torchvision resnet18 is frozen": lambda: Torchvision("resnet18", freeze="features"),
        "ResNet20 starts from run.ckpt": lambda: Pretrained("run.ckpt", ResNet20(), freeze="none"),
    }
    for state, backbone in given.items():
        refusal = f"trains the stages of a network from random weights, and {state}: pass"
        with torch.device("meta"), pytest.raises(InputError, match=refusal):
            network(backbone)


@pytest.mark.slow
def test_a_method_that_needs_stages_refuses_a_network_without() -> None:
    for experts in (MultiExpert, DepthFusion):
        with pytest.raises(InputError, match="stages of a network, which Torchvision shufflenet_v2_x0_5 does not name"):
            experts(lambda: Torchvision("shufflenet_v2_x0_5"))
    assert MultiExpert(ResNet10, experts=2).dim == 1024
