"""The networks of torchvision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ltr.backbones.adapters import AdapterFactory
from ltr.backbones.library import Library
from ltr.contracts import Freeze
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.run import weights
from ltr.sentences import did_you_mean

STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
RESNET10 = "resnet10"  # which torchvision does not have
AUXILIARY = ("googlenet", "inception_v3")  # they return several outputs in training
DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")  # older names in the files of DenseNet


class Torchvision(Library):
    """A classification network of torchvision: ResNet, ResNeXt, ConvNeXt, EfficientNet, ViT and others.

    A ResNet has named stages, for the methods that need them; its tensors have the names of torchvision, so that
    `Pretrained` reads its files.

    Args:
        name: of the network: `resnet18`, `resnext50_32x4d`, `convnext_tiny`; `resnet10` is the small network of
            ImageNet-LT, with one block per stage.
        pretrained: `true` for the best weights of torchvision, their name (`IMAGENET1K_V1`), or the path of a file.
            `false` starts from random weights.
        freeze: as in `Pretrained`; by default pretrained weights and those beside an adapter are frozen, with
            `features`, and others are not.
        adapter: what is trained in the blocks of a ViT in place of its weights: `AdaptFormer` or `LoRA`.
        small_images: give a ResNet a stem of one 3 x 3 convolution of stride 1, for images of about 32 pixels; else the
            stem reduces height and width to a quarter.

    Shape:
        images (B, 3, H, W) -> features (B, dim), the input of the last linear layer.

    Reference:
        https://docs.pytorch.org/vision/stable/models.html, which names the paper of each network; He et al., "Deep
        Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385.
    """

    library = "torchvision"

    def __init__(
        self,
        name: str,
        pretrained: bool | str = False,
        freeze: Freeze | None = None,
        *,
        adapter: AdapterFactory | None = None,
        small_images: bool = False,
    ) -> None:
        super().__init__(name, pretrained, freeze, adapter=adapter)
        from torchvision.models import ResNet

        known = [*classifiers(), RESNET10]
        if name not in known:
            raise InputError(f"torchvision has no network {name} for classification{did_you_mean(name, known)}")
        network = self.build()
        self.classifier_name, self.dim = remove_classifier(network)
        if isinstance(network, ResNet):
            self.stages = STAGES
            for stage in STAGES:
                self.add_module(stage, getattr(network, stage))
        else:
            self.network = network
        if small_images:
            self.enlarge_stem(pretrained)
        if pretrained:
            self.preprocessing = self.weights_preprocessing()
        self.set_freeze(self.chosen_freeze)

    @property
    def title(self) -> str:
        """Its class, and the name of the network unless the class says it."""
        return super().title if type(self) is Torchvision else type(self).__name__

    def build(self) -> Any:
        """Return the network of torchvision with random weights."""
        from torchvision.models import get_model, resnet

        if self.name == RESNET10:
            return resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1])
        return get_model(self.name, weights=None)

    def enlarge_stem(self, pretrained: bool | str) -> None:
        """Replace the stem of a ResNet by one for small images."""
        if not self.stages or pretrained:
            raise InputError(f"small_images is for a ResNet with random weights, not for {self.title} with others.")
        self.conv1, self.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")

    def published(self) -> Any:
        """Return the weights of torchvision that were chosen, the best ones where a file was.

        Raises:
            InputError: if there are none of that name.
        """
        from torchvision.models import get_model_weights

        if self.name == RESNET10:
            return None
        known = get_model_weights(self.name)
        if self.pretrained is True or self.file:
            return known.DEFAULT
        if self.pretrained not in known.__members__:
            raise InputError(
                f"torchvision has no weights {self.pretrained} for {self.name}"
                f"{did_you_mean(str(self.pretrained), known.__members__)}"
            )
        return known[str(self.pretrained)]

    def weights_preprocessing(self) -> Preprocessing | None:
        """Return the preprocessing of the weights; None if torchvision has none for the network."""
        published = self.published()
        if published is None:
            return None
        transforms = published.transforms()
        return Preprocessing(
            size=max(transforms.resize_size[0], transforms.crop_size[0]),
            crop=transforms.crop_size[0],
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            interpolation="bicubic" if transforms.interpolation.value == "bicubic" else "bilinear",
        )

    @property
    def weights_name(self) -> str:
        """The name of the weights in torchvision."""
        return f"{self.name}.{getattr(self.published(), 'name', '')}"

    @property
    def source(self) -> str:
        """Where the weights can be downloaded."""
        return str(self.published().url)

    def read(self) -> Mapping[str, Tensor]:
        """Return the tensors of the network with the chosen weights, by the names of this backbone; it may download."""
        if self.file:
            state = weights.tensors(weights.read(str(self.file)), str(self.file))
        elif published := self.published():
            state = published.get_state_dict(check_hash=True, weights_only=True)
        else:
            raise InputError(f"torchvision has no weights for {self.name}: pass the path of a file with `pretrained`.")
        prefix, classifier = "" if self.stages else "network.", f"{self.classifier_name}."
        self.labels = len(state.get(f"{classifier}weight", ()))
        return {
            prefix + DENSE.sub(r"\1\2", key): value for key, value in state.items() if not key.startswith(classifier)
        }


class ResNet10(Torchvision):
    """10 layers, 4.9 M parameters, one block per stage: the small network of ImageNet-LT."""

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__(RESNET10, small_images=small_images)


class ResNet50(Torchvision):
    """50 layers, 23.5 M parameters."""

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__("resnet50", small_images=small_images)


class ResNet152(Torchvision):
    """152 layers, 58.1 M parameters: the network of Places-LT."""

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__("resnet152", small_images=small_images)


class ResNeXt50(Torchvision):
    """50 layers of 32 groups 4 wide (32x4d), 23.0 M parameters.

    Reference:
        Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017,
        https://arxiv.org/abs/1611.05431.
    """

    def __init__(self, *, small_images: bool = False) -> None:
        super().__init__("resnext50_32x4d", small_images=small_images)


def classifiers() -> list[str]:
    """Return the names of the classification networks with one output and a linear classifier."""
    from torchvision import models

    every = models.list_models(module=models)
    return [name for name in every if name not in AUXILIARY and not name.startswith("squeezenet")]


def remove_classifier(network: nn.Module) -> tuple[str, int]:
    """Replace the last linear layer of a network by the identity; return its name and the size of its input."""
    name, layer = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear)][-1]
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return name, layer.in_features
