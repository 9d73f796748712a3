"""The nearest class mean in place of a classifier."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.counts import per_class
from ltr.data import LongTailed
from ltr.methods.method import Adjustment, Method


class NCM(Adjustment):
    """Classify by the nearest mean of the training features: logits -||f - mean_c||^2.

    The means are computed once per evaluation, from the plain training images. The order of the classes is what counts;
    the probabilities are no statement of confidence. It starts from the features, so it comes before other adjustments.

    Args:
        features: what is averaged and compared: the features as they are (`plain`), scaled to length 1 (`normalised`),
            or scaled to length 1 after the mean of all training features is subtracted (`centred`).

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
        https://arxiv.org/abs/1910.09217; official code facebookresearch/classifier-balancing,
        models/KNNClassifier.py, whose `un`, `l2n` and `cl2n` these are.
    """

    centre: Tensor
    means: Tensor

    def __init__(self, features: Literal["plain", "normalised", "centred"] = "centred") -> None:
        self.features = features

    @property
    def settings(self) -> dict[str, Any]:
        """What a result must say of the adjustment."""
        return {"features": self.features}

    def prepare(self, method: Method, data: LongTailed) -> None:
        """Compute the means of the training split."""
        self.learn(method.extract_features(data, "train"), data.splits["train"].labels, len(data.counts))

    def learn(self, features: Tensor, labels: Tensor, classes: int) -> None:
        """Compute the class means of features (N, D) with labels (N,)."""
        self.centre = features.mean(0)
        features = self.placed(features)
        sums = features.new_zeros(classes, features.shape[1]).index_add(0, labels, features)
        self.means = sums / per_class(labels, classes)[:, None]

    def placed(self, features: Tensor) -> Tensor:
        """Return features (B, D) where they are compared."""
        if self.features == "centred":
            features = features - self.centre
        return features if self.features == "plain" else F.normalize(features)

    def adjust(self, method: Method, output: Output) -> Output:
        """Return the output with negative squared distances (B, C) for logits."""
        distances = torch.cdist(self.placed(output.features.float()), self.means)
        return output._replace(logits=-distances.square())
