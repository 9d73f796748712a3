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
        mlp: whether the projection has a hidden layer of D units; else it is linear.

    Reference:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, https://arxiv.org/abs/2004.11362; official code
        HobbitLong/SupContrast, networks/resnet_big.py, whose classifier is trained afterwards.
    """

    def __init__(self, dim: int, classes: int, *, size: int = 128, mlp: bool = True) -> None:
        super().__init__(dim, classes)
        hidden = [nn.Linear(dim, dim), nn.ReLU()] if mlp else []
        self.projection = nn.Sequential(*hidden, nn.Linear(dim, size))

    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to logits (B, C) and embeddings (B, 1, P)."""
        embeddings = F.normalize(self.projection(features), dim=-1)
        return super().forward(features)._replace(embeddings=embeddings.unsqueeze(1))
