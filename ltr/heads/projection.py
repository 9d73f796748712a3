"""A linear classifier with a projection beside it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.heads.linear import Linear


class Projection(Linear):
    """Classify linearly, and project features to embeddings of length 1 for contrastive losses.

    Args:
        dim: size D of a feature.
        classes: number of classes C.
        size: size P of an embedding.
        hidden: hidden layers of D units in the projection; 0 makes it linear.
        norm: whether batch norm follows each of them.

    Reference:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, https://arxiv.org/abs/2004.11362; official code
        HobbitLong/SupContrast, networks/resnet_big.py, whose classifier is trained afterwards.
    """

    def __init__(self, dim: int, classes: int, *, size: int = 128, hidden: int = 1, norm: bool = False) -> None:
        super().__init__(dim, classes)
        layers: list[nn.Module] = []
        for _ in range(hidden):
            layers += [nn.Linear(dim, dim), *([nn.BatchNorm1d(dim)] if norm else []), nn.ReLU()]
        self.projection = nn.Sequential(*layers, nn.Linear(dim, size))

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C) and embeddings (B, 1, P)."""
        embeddings = F.normalize(self.projection(features), dim=-1)
        return super().forward(features)._replace(embeddings=embeddings.unsqueeze(1))
