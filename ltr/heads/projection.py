"""A classifier with a projection beside it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import Head, HeadFactory, Output
from ltr.errors import InputError
from ltr.heads.linear import Linear


class Projection(Head):
    """Classify as another head does, and project features to embeddings of length 1 for contrastive losses.

    In a file the classifier's weights have the names that they have without a projection, so that whatever reads a
    `Linear` or a `Cosine` reads this one too.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        classifier: builds the head whose logits these are from (dim, classes).
        size: size P of an embedding.
        hidden: hidden layers of the projection; 0 makes it linear.
        units: of a hidden layer, D where none are given.
        norm: whether batch norm follows each of them.

    Reference:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, https://arxiv.org/abs/2004.11362; official code
        HobbitLong/SupContrast, networks/resnet_big.py, whose classifier is trained afterwards.
    """

    def __init__(
        self,
        dim: int,
        classes: int,
        *,
        classifier: HeadFactory = Linear,
        size: int = 128,
        hidden: int = 1,
        units: int | None = None,
        norm: bool = False,
    ) -> None:
        super().__init__(dim, classes)
        self.wrapped = classifier(dim, classes)
        if self.wrapped.classifier is not self.wrapped:
            raise InputError("a Projection goes around a classifier, not around another Projection.")
        self.added = self.wrapped.added
        layers: list[nn.Module] = []
        inputs = dim
        for _ in range(hidden):
            outputs = units or dim
            layers += [nn.Linear(inputs, outputs), *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
            inputs = outputs
        self.projection = nn.Sequential(*layers, nn.Linear(inputs, size))
        self.register_state_dict_post_hook(_unwrap)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_wrap)  # type: ignore[no-untyped-call]

    @property
    def classifier(self) -> Head:
        """The head whose logits these are."""
        return self.wrapped

    def lengths(self) -> Tensor | None:
        """Return (E, C) the lengths of the classifier's weights."""
        return self.wrapped.lengths()

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C) and embeddings (B, 1, P)."""
        embeddings = F.normalize(self.projection(features), dim=-1)
        output: Output = self.wrapped(features)
        return output._replace(embeddings=embeddings.unsqueeze(1))


def _unwrap(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Name the weights of the wrapped head, in a state that was just made, as if nothing were around it."""
    inner = f"{prefix}wrapped."
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key.removeprefix(inner)] = state.pop(key)


def _wrap(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Name the weights of the wrapped head, in a state that is to be loaded, as the modules are nested."""
    for key in [key for key in state if key.startswith(prefix) and not key.startswith(f"{prefix}projection.")]:
        state[f"{prefix}wrapped.{key.removeprefix(prefix)}"] = state.pop(key)
