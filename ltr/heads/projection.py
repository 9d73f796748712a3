"""A classifier with an additional projection for contrastive losses."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import Head, HeadFactory, Output
from ltr.errors import InputError
from ltr.heads.linear import Linear
from ltr.ranges import Count, WholeNumber


class Projection(Head):
    """Wrap a classifier, and project features to embeddings of unit length for contrastive losses.

    In a checkpoint the classifier's weights have the same names as without a projection, so code that reads a `Linear`
    or a `Cosine` head reads this one too.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        classifier: builds the wrapped head from (dim, classes).
        size: size P of an embedding.
        hidden: number of hidden layers of the projection; 0 makes it linear.
        units: size of a hidden layer; D by default.
        norm: add batch norm after each hidden layer.

    Reference:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, https://arxiv.org/abs/2004.11362; official code
        HobbitLong/SupContrast, networks/resnet_big.py, where the classifier is trained afterwards.
    """

    def __init__(
        self,
        dim: Count,
        classes: Count,
        *,
        classifier: HeadFactory = Linear,
        size: Count = 128,
        hidden: WholeNumber = 1,
        units: Count | None = None,
        norm: bool = False,
    ) -> None:
        super().__init__(dim, classes)
        self.wrapped = classifier(dim, classes)
        if self.wrapped.classifier is not self.wrapped:
            raise InputError("a Projection wraps a classifier, not another Projection.")
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
        """The wrapped head."""
        return self.wrapped

    def lengths(self) -> Tensor | None:
        """Return (E, C) the weight norms of the classifier."""
        return self.wrapped.lengths()

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C) and embeddings (B, 1, P)."""
        embeddings = F.normalize(self.projection(features), dim=-1)
        output: Output = self.wrapped(features)
        return output._replace(embeddings=embeddings.unsqueeze(1))


def _unwrap(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Rename the weights of the wrapped head in a new state dict, so that they have no prefix `wrapped.`."""
    inner = f"{prefix}wrapped."
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key.removeprefix(inner)] = state.pop(key)


def _wrap(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Restore the prefix `wrapped.` in a state dict before it is loaded."""
    for key in [key for key in state if key.startswith(prefix) and not key.startswith(f"{prefix}projection.")]:
        state[f"{prefix}wrapped.{key.removeprefix(prefix)}"] = state.pop(key)
