"""SADE's test-time aggregation: learn the weights of the experts on the test images."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD

from ltr import seeds
from ltr.contracts import Output, Transform
from ltr.data import LongTailed, SADEView
from ltr.errors import InputError
from ltr.methods.base import Adjustment, BaseMethod
from ltr.ranges import Count, Fraction, Positive


class ExpertAggregation(Adjustment):
    """Weight the experts so that predictions are stable: logits sum_e w_e z_e, w = softmax(a).

    An expert is most confident, and most consistent between two views of an image, on the classes it is good at. So a
    is learned, from equal weights, by maximising the cosine between the predictions for two augmented views of each
    test image. The network does not change. Labels are not used, but all test images are, which a result reports. The
    weights depend only on the seed of the evaluation and on the images; all processes learn the same ones.

    It replaces the logits, so only `Views` may come before it.

    Args:
        epochs: passes over the test images, each in new views and a new order.
        lr: learning rate of SGD with Nesterov momentum 0.9 and weight decay 5e-4.
        batch_size: images per step.
        floor: training ends after a pass in which the weight of an expert falls below this.
        augment: makes a view; `SADEView` by default.

    Reference:
        Zhang et al., "Self-Supervised Aggregation of Diverse Experts for Test-Agnostic Long-Tailed Recognition",
        NeurIPS 2022, https://arxiv.org/abs/2107.09249; official code Vanint/SADE-AgnosticLT, test_training_cifar.py.
        By its issue 13, one version of that file used training images by mistake.
    """

    first: ClassVar[bool] = True

    def __init__(
        self,
        epochs: Count = 5,
        *,
        lr: Positive = 0.1,
        batch_size: Count = 128,
        floor: Fraction = 0.05,
        augment: Transform | None = None,
    ) -> None:
        self.epochs, self.lr, self.batch_size, self.floor = epochs, lr, batch_size, floor
        self.augment = augment or SADEView()
        self.weights: list[float] = []

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"weights": self.weights, "epochs": self.epochs, "images": "test, without labels"}

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with the weighted logits (B, C)."""
        experts = experts_of(output)
        weights = torch.tensor(self.weights, device=experts.device)
        return output._replace(logits=weighted(weights, experts))

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Learn the weights."""
        images, device = data.splits["test"].images, method.device
        # An evaluation runs in inference mode, whose tensors have no gradient.
        with torch.inference_mode(False), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            experts = len(experts_of(self.output_of(method, data, images[:1])))
            scores = torch.zeros(experts, device=device, requires_grad=True)
            optimizer = SGD([scores], lr=self.lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
            for epoch in range(self.epochs):
                generator = seeds.generator(method.seed, epoch)
                order = torch.randperm(len(images), generator=generator)
                torch.manual_seed(generator.initial_seed())  # the same views in every process
                for positions in torch.split(order, self.batch_size):
                    first, second = (self.output_of(method, data, images[positions], augment=True) for _ in range(2))
                    with torch.enable_grad():
                        loss = -stability(scores.softmax(0), experts_of(first), experts_of(second))
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                self.weights = scores.detach().softmax(0).tolist()
                if min(self.weights) < self.floor:
                    break

    @torch.no_grad()
    def output_of(self, method: BaseMethod, data: LongTailed, images: Tensor, *, augment: bool = False) -> Output:
        """Return the output for uint8 images, or for a view of them."""
        with method.trainer.precision_plugin.forward_context():
            output: Output = method(method.ready(self.augment(images.to(method.device)) if augment else images))
        return output


def experts_of(output: Output) -> Tensor:
    """Return the logits (E, B, C) of all experts, in at least float32.

    Raises:
        InputError: if there are none, or not every expert was evaluated for every image.
    """
    if output.experts is None or output.experts.isnan().any():
        raise InputError(
            "ExpertAggregation needs the logits of all experts: pass the checkpoint of a run with `ExpertHeads`."
        )
    return output.experts.float()


def weighted(weights: Tensor, experts: Tensor) -> Tensor:
    """Return (B, C) the weighted sum of experts' logits (E, B, C)."""
    return (weights[:, None, None] * experts).sum(0)  # not a product of matrices, which autocast would round


def stability(weights: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the mean cosine between the predictions for two views, from the experts' logits (E, B, C) for each."""
    return F.cosine_similarity(
        weighted(weights, first).softmax(1), weighted(weights, second).softmax(1), dim=1, eps=1e-6
    ).mean()
