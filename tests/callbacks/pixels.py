"""A network that is right about many images and wrong about some, without training."""

from __future__ import annotations

import torch
from quiet import quiet_trainer
from torch import Tensor

from ltr.contracts import Backbone
from ltr.data import Synthetic
from ltr.methods import Method
from ltr.schedules import Cosine

VARIANCE = 0.5


class Pixels(Backbone):
    """The mean of the first two pixels of an image, which shows its class through noise."""

    dim = 3

    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, 0, :2].mean(2)


def network(data: Synthetic) -> Method:
    """Return the Gaussian classifier of the training split under its prior, which has been trained on that split."""
    method = Method(Pixels(), data.counts, schedule=Cosine())
    quiet_trainer(max_epochs=1, limit_val_batches=0).fit(method, datamodule=data)
    split = data.splits["train"]
    features = Pixels()(data.prepare(split.images))
    means = torch.stack([features[split.labels == label].mean(0) for label in range(len(data.counts))])
    prior = torch.tensor(data.counts) / sum(data.counts)
    with torch.no_grad():
        method.head.fc.weight.copy_(means / VARIANCE)
        method.head.fc.bias.copy_(prior.log() - means.square().sum(1) / (2 * VARIANCE))
    return method
