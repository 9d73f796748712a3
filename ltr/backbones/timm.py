"""The networks of timm."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ltr.backbones.adapters import AdapterFactory
from ltr.backbones.library import Library, check_options, imported, quiet
from ltr.contracts import Freeze
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.ranges import Count
from ltr.run import weights
from ltr.sentences import did_you_mean

HUB = "hf-hub:"
OWN = ("cache_dir", "checkpoint_path", "exportable", "features_only", "in_chans", "num_classes", "scriptable")

# The names that the tensors of an EfficientNet have in another port of it, and in timm.
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
EXCITATION = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
# The layers of a block that makes more channels first, and of one that does not.
EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
    **EXCITATION,
}
PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2", **EXCITATION}
BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")


class Timm(Library):
    """A network of timm: ViT, DINOv2 and v3, SigLIP, ConvNeXt, EfficientNet and a thousand others.

    Args:
        name: of the network, with or without the name of its weights: `vit_small_patch14_dinov2.lvd142m`.
        pretrained: `true` for the weights in the name, else the first ones that timm lists for the network; the path of
            a file; or a repository of the Hugging Face Hub, `hf-hub:user/name`. `false` starts from random weights.
        freeze: as in `Pretrained`; by default pretrained weights and those beside an adapter are frozen, with
            `features`, and others are not.
        adapter: what is trained in the blocks of a ViT in place of its weights: `AdaptFormer` or `LoRA`.
        size: height and width of its input; null for those of the weights. The position embeddings of a ViT are
            interpolated.
        options: further options of the network in timm, such as `{drop_path_rate: 0.1}`.

    Shape:
        images (B, 3, size, size) -> features (B, dim), the input of the classifier in timm.

    Reference:
        Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models; the paper of each network
        is named there.
    """

    library = "timm"

    def __init__(
        self,
        name: str,
        pretrained: bool | str = False,
        freeze: Freeze | None = None,
        *,
        adapter: AdapterFactory | None = None,
        size: Count | None = None,
        options: dict[str, bool | int | float | str] | None = None,
    ) -> None:
        super().__init__(name, pretrained, freeze, adapter=adapter)
        timm = imported("timm", "timm")
        if ":" in name or "/" in name:
            raise InputError(
                f"`{name}` is no network of timm: give the name of its architecture, and with `pretrained` the weights."
            )
        if not timm.is_model(name) or ("." in name and name not in timm.list_pretrained()):
            raise InputError(f"timm has no network {name}{did_you_mean(name, names(timm, name))}")
        check_options(options or {}, OWN)
        self.size, self.options = size, options or {}
        try:
            self.network = self.build(0)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise InputError(f"timm cannot build {name} with these options: {error}") from error
        self.dim = int(getattr(self.network, "head_hidden_size", None) or self.network.num_features)
        config = timm.data.resolve_model_data_config(self.network)
        side = size or config["input_size"][-1]
        self.preprocessing = Preprocessing(
            size=math.floor(side / config["crop_pct"]),
            crop=side,
            mean=config["mean"],
            std=config["std"],
            interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        )
        self.set_freeze(self.chosen_freeze)

    def build(self, classes: int | None, **options: Any) -> Any:
        """Return the network of timm.

        Args:
            classes: size of its classifier; 0 for none, None for that of the weights.
            **options: of `timm.create_model`.
        """
        import timm

        if classes is not None:
            options["num_classes"] = classes
        with quiet(self.library):
            network: Any = timm.create_model(self.name, **self.options, **options)
        if self.size and hasattr(network, "set_input_size"):
            network.set_input_size(img_size=self.size)
        return network

    @property
    def weights_name(self) -> str:
        """The name of the weights in timm."""
        if isinstance(self.pretrained, str):
            return self.pretrained
        tag = self.network.pretrained_cfg.get("tag")
        return f"{self.network.pretrained_cfg['architecture']}.{tag}" if tag else self.name

    @property
    def source(self) -> str:
        """Where the weights can be downloaded."""
        if not self.repository:
            return str(self.network.pretrained_cfg.get("url"))
        return f"https://huggingface.co/{self.repository}/resolve/main/model.safetensors"

    @property
    def repository(self) -> str:
        """The repository of the Hub that the weights are in; empty if they are elsewhere."""
        if isinstance(self.pretrained, str):
            return self.pretrained.removeprefix(HUB).partition("@")[0] if self.pretrained.startswith(HUB) else ""
        return str(self.network.pretrained_cfg.get("hf_hub_id") or "")

    def read(self) -> Mapping[str, Tensor]:
        """Return the tensors of the network with the chosen weights, by the names of this backbone."""
        known = self.network.pretrained_cfg
        if self.file:
            read = weights.tensors(weights.read(str(self.file)), str(self.file))
            state = timm_names(read, self.network.state_dict())
            last = known.get("classifier")
            last = last[0] if isinstance(last, tuple | list) else last
            self.labels = len(state.get(f"{last}.weight", ()))
            overlay = {"state_dict": state, "num_classes": self.labels}
            network = self.build(self.labels, pretrained=True, pretrained_cfg_overlay=overlay)
        elif isinstance(self.pretrained, str):
            if not self.pretrained.startswith(HUB):
                raise InputError(
                    f"{self.pretrained} is no file of weights: pass true, the path of a file, or `hf-hub:user/name`."
                )
            hub = {"hf_hub_id": self.pretrained.removeprefix(HUB), "url": ""}
            network = self.build(None, pretrained=True, pretrained_cfg_overlay=hub)
        elif not (known.get("hf_hub_id") or known.get("url")):
            raise InputError(f"timm has no weights for {self.name}: pass the path of a file with `pretrained`.")
        else:
            network = self.build(None, pretrained=True)
        network.reset_classifier(0)
        return {f"network.{key}": value for key, value in network.state_dict().items()}


def names(timm: Any, near: str) -> list[str]:
    """Return the names that somebody may have meant: with weights if the name has a dot."""
    known: list[str] = timm.list_pretrained() if "." in near else timm.list_models()
    return known


def timm_names(state: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors of an EfficientNet in the PyTorch port of 2019 by the names that they have in timm.

    That port, of whose naming there are files of EfficientNet-B0 to B7 and Lite, counts the blocks through, where timm
    counts them in each stage. Other files are returned unchanged, and so are names that it does not have.

    Args:
        state: the tensors by the names of the file.
        wanted: the names of the network in timm.

    Reference:
        lukemelas/EfficientNet-PyTorch, efficientnet_pytorch/model.py.
    """
    if "_conv_stem.weight" not in state:
        return dict(state)
    blocks = list(dict.fromkeys(found[0] for name in wanted if (found := re.match(r"blocks\.\d+\.\d+", name))))

    def renamed(name: str) -> str:
        inside = BLOCK.fullmatch(name)
        if inside is None:
            layer, _, value = name.partition(".")
            return f"{OUTSIDE[layer]}.{value}" if layer in OUTSIDE else name
        number, layer, value = inside.groups()
        layers = EXPANDED if f"_blocks.{number}._expand_conv.weight" in state else PLAIN
        known = layer in layers and int(number) < len(blocks)
        return f"{blocks[int(number)]}.{layers[layer]}.{value}" if known else name

    return {renamed(name): value for name, value in state.items()}
