"""The image networks of OpenCLIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr.backbones.adapters import AdapterFactory
from ltr.backbones.library import Library, imported, quiet
from ltr.contracts import Freeze
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.sentences import did_you_mean, first_line

TEXTS = 256  # at once
LOOK = ("mean", "std", "interpolation")


class OpenCLIP(Library):
    """The image network of a CLIP or SigLIP model of OpenCLIP; the text network serves `texts_and_projection` only.

    Args:
        name: of the model: `ViT-B-16`, `ViT-L-14`, `ViT-B-16-SigLIP2`.
        pretrained: the weights in OpenCLIP, such as `openai` or `laion2b_s34b_b88k`; `true` for the first ones that it
            lists; or the path of a file. `false` starts from random weights.
        freeze: as in `Pretrained`; by default pretrained weights and those beside an adapter are frozen, with
            `features`, and others are not.
        adapter: what is trained in the blocks of a ViT in place of its weights: `AdaptFormer` or `LoRA`.
        projection: whether the feature is in the space that images and texts share; if not, it is the input of the
            projection to that space, which serves classifiers better.

    Shape:
        images (B, 3, size, size) -> features (B, dim).

    Reference:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
        https://arxiv.org/abs/2103.00020; Cherti et al., "Reproducible Scaling Laws for Contrastive Language-Image
        Learning", CVPR 2023, https://arxiv.org/abs/2212.07143; mlfoundations/open_clip.
    """

    library = "open_clip"

    def __init__(
        self,
        name: str,
        pretrained: bool | str = False,
        freeze: Freeze | None = None,
        *,
        adapter: AdapterFactory | None = None,
        projection: bool = False,
    ) -> None:
        super().__init__(name, pretrained, freeze, adapter=adapter)
        open_clip = imported("open_clip", "clip")
        if name not in open_clip.list_models():
            raise InputError(f"OpenCLIP has no model {name}{did_you_mean(name, open_clip.list_models())}")
        self.tags: list[str] = open_clip.list_pretrained_tags_by_model(name)
        if isinstance(pretrained, str) and not self.file and pretrained not in self.tags:
            raise InputError(
                f"OpenCLIP has no weights {pretrained} for {name}, and there is no such file"
                f"{did_you_mean(pretrained, self.tags)}"
            )
        if pretrained is True and not self.tags:
            raise InputError(f"OpenCLIP has no weights for {name}: pass the path of a file with `pretrained`.")
        self.projection = projection
        # The activation and the preprocessing of a model depend on its weights.
        self.published = open_clip.get_pretrained_cfg(name, self.tag) if pretrained and not self.file else {}
        try:
            model = self.build(None)
        except (ImportError, OSError, RuntimeError) as error:  # some text networks come from a server
            raise InputError(f"OpenCLIP cannot build {name}: {first_line(error)}.") from error
        self.network, self.dim = self.image_network(model)
        config = open_clip.get_model_preprocess_cfg(model)
        side = config["size"][0] if isinstance(config["size"], tuple | list) else config["size"]
        self.preprocessing = Preprocessing(
            size=side,
            crop=None,
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        )
        self.set_freeze(self.chosen_freeze)

    def build(self, pretrained: str | None) -> Any:
        """Return the whole model of OpenCLIP.

        Args:
            pretrained: name or file of the weights; None for random ones.
        """
        import open_clip

        with quiet(self.library):
            return open_clip.create_model(
                self.name,
                pretrained=pretrained,
                pretrained_text=False,
                weights_only=True,
                force_quick_gelu=bool(self.published.get("quick_gelu")),
                force_preprocess_cfg={key: self.published[key] for key in LOOK if self.published.get(key)},
            )

    def trained(self) -> Any:
        """Return the whole model with the chosen weights; it may download them."""
        return self.build(str(self.file) if self.file else self.tag)

    def image_network(self, model: Any) -> tuple[nn.Module, int]:
        """Return the image network of a model, and the size of its feature."""
        network, size = model.visual, projected_size(self.name)
        if self.projection:
            return network, size
        if isinstance(getattr(network, "proj", None), Tensor):
            size, network.proj = network.proj.shape[0], None
        elif isinstance(layer := getattr(getattr(network, "head", None), "proj", None), nn.Linear):
            size, network.head.proj = layer.in_features, nn.Identity()
        elif hasattr(network, "attnpool"):
            raise InputError(f"the pooling of {self.name} is its projection: pass `--model.backbone.projection true`.")
        return network, size

    @property
    def tag(self) -> str:
        """The name of the weights within OpenCLIP."""
        return self.pretrained if isinstance(self.pretrained, str) else self.tags[0]

    @property
    def weights_name(self) -> str:
        """The names of the model and its weights in OpenCLIP."""
        return f"{self.name}.{self.tag}"

    @property
    def source(self) -> str:
        """Where the weights can be downloaded."""
        return f"https://huggingface.co/{self.repository}" if self.repository else str(self.published.get("url"))

    @property
    def repository(self) -> str:
        """The repository of the Hub that the weights are in; empty if they are elsewhere."""
        return str(self.published.get("hf_hub") or "").rpartition("/")[0]  # a file may stand behind it

    def read(self) -> Mapping[str, Tensor]:
        """Return the tensors of the network with the chosen weights, by the names of this backbone; it may download."""
        network, _ = self.image_network(self.trained())
        return {f"network.{key}": value for key, value in network.state_dict().items()}

    @torch.no_grad()
    def texts_and_projection(self, texts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Return what relates texts to images.

        The whole model is read once more, because the checkpoint of a training has the image network only.

        Returns:
            (N, P) the features of the texts in the space that they share with images, each of length 1, and (D, P) from
            a feature of this backbone to that space; None if it is in it.

        Raises:
            InputError: if there are no weights, or they cannot be had.
        """
        import open_clip

        if not self.pretrained:
            raise InputError(f"{self.title} has random weights, so its text features mean nothing: pass `pretrained`.")
        model = self.reading(self.trained).eval()
        tokens = self.reading(lambda: open_clip.get_tokenizer(self.name)(list(texts)))
        features = [F.normalize(model.encode_text(part).float(), dim=1) for part in torch.split(tokens, TEXTS)]
        return torch.cat(features), None if self.projection else image_projection(model.visual)


def projected_size(name: str) -> int:
    """Return the size of the space that images and texts of a model share."""
    import open_clip

    return int(open_clip.get_model_config(name)["embed_dim"])


def image_projection(network: Any) -> Tensor | None:
    """Return (D, P) the projection of an image network to the space of texts; None if it has none."""
    if isinstance(getattr(network, "proj", None), Tensor):
        projection: Tensor = network.proj
        return projection
    layer = getattr(getattr(network, "head", None), "proj", None)
    return layer.weight.T if isinstance(layer, nn.Linear) else None
