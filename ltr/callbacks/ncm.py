"""The nearest-class-mean classifier."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.heads.directions import class_means
from ltr.methods.base import Adjustment, BaseMethod


class NCM(Adjustment):
    """Classify by the nearest mean of the training features: logits -||f - mean_c||^2.

    The means are computed once per evaluation, from the training images without augmentation. Only the order of the
    classes has a meaning; the probabilities do not measure confidence. It replaces the logits, so only `Views` may come
    before it.

    Args:
        features: the form in which features are averaged and compared: unchanged (`plain`), scaled to length 1
            (`normalised`), or scaled to length 1 after subtracting the mean of all training features (`centred`).

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; official code facebookresearch/classifier-balancing,
        models/KNNClassifier.py, with `un`, `l2n` and `cl2n`.
    """

    first: ClassVar[bool] = True
    centre: Tensor
    means: Tensor

    def __init__(self, features: Literal["plain", "normalised", "centred"] = "centred") -> None:
        self.features = features

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"features": self.features}

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Compute the means of the training split."""
        self.learn(method.extract_features(data, "train"), data.splits["train"].labels, len(data.counts))

    def learn(self, features: Tensor, labels: Tensor, classes: int) -> None:
        """Compute the class means of features (N, D) with labels (N,)."""
        self.centre = features.mean(0)
        features = self.transformed(features)
        self.means = class_means(features, labels, classes)

    def transformed(self, features: Tensor) -> Tensor:
        """Return features (B, D) in the form in which they are compared."""
        if self.features == "centred":
            features = features - self.centre
        return features if self.features == "plain" else F.normalize(features)

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with negative squared distances (B, C) for logits."""
        features = self.transformed(output.features.float())
        # Not `torch.cdist`, which computes small and large batches in two ways and so cannot be exported for any batch.
        squares = features.square().sum(1, keepdim=True) + self.means.square().sum(1)
        with torch.autocast(features.device.type, enabled=False):
            products = features @ self.means.T
        return output._replace(logits=2 * products - squares)
