"""RIDE's expert assignment: learn how many experts an image needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD
from torch.utils.flop_counter import FlopCounterMode

from ltr import distributed, trainable
from ltr.backbones import MultiExpert
from ltr.contracts import Backbone, Batch, HeadFactory, Loss, Output, Schedule, Target
from ltr.errors import InputError, advice
from ltr.heads import Cosine, Router
from ltr.losses import CrossEntropy
from ltr.methods.cached import Cached
from ltr.ranges import Count, Positive
from ltr.run import weights
from ltr.schedules import Cosine as CosineSchedule


class Routing(Cached):
    """Train the gates of a `Router` over the frozen experts of a RIDE run: expert assignment.

    Gate i should open if the mean of the first i experts is wrong and that of more of them is right. The loss is the
    mean over the gates of a binary cross-entropy in which such a sample has the weight `weight`. If the first expert
    makes no mistakes on the training images, no gate ever opens; with augmented `views` it makes some.

    Training uses cached features of all experts. An evaluation on images runs an expert only for the images that its
    gate lets through, and reports with every measure:

    - `experts_used`: the mean number of evaluated experts per image;
    - `flops`: the mean number of floating-point operations per image, where a multiply-add counts as two;
    - `flops_saved`: the share of them that is saved, compared with all experts and no gates.

    Args:
        backbone: a `Pretrained` one around a `MultiExpert`.
        counts: training images per class; the command line takes them from the data.
        head: the head class of each expert's classifier in the file.
        top: the number of largest logits that a gate gets.
        hidden: size of a gate's projection of the feature.
        weight: of the samples that need more experts.
        optimizer: builds the optimizer from the trainable parameters.
        schedule: the factor of the learning rate per epoch; `Cosine` by default.
        **others: the arguments of `Cached` and `Method`, except the loss.

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ea_resnet_cifar.py.
    """

    fixed_options = ("loss", "mix")

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        head: HeadFactory = Cosine,
        top: Count = 30,
        hidden: Count = 16,
        weight: Positive = 100.0,
        optimizer: OptimizerCallable = lambda params: SGD(
            params, lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True
        ),
        schedule: Schedule | None = None,
        **others: Any,
    ) -> None:
        if backbone.experts < 2:
            raise InputError("Routing needs several experts: pass the run of a `MultiExpert` backbone.")
        super().__init__(
            backbone,
            counts,
            head=partial(Router, experts=backbone.experts, head=head, top=top, hidden=hidden),
            loss=CrossEntropy,
            optimizer=optimizer,
            schedule=schedule or CosineSchedule(),
            **others,
        )
        self.weight = weight
        self.experts_used: dict[str, Tensor] = {}
        self.costs: tuple[list[int], int] | None = None

    @property
    def router(self) -> Router:
        """The head."""
        return cast("Router", self.head)

    @property
    def network(self) -> MultiExpert:
        """The backbone of the experts, also if it is within a `Pretrained`."""
        return cast("MultiExpert", getattr(self.backbone, "backbone", self.backbone))

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Load the classifiers of the experts; the gates are new."""
        with advice("Pass the head class of each expert's classifier with `--model.head`.", on=weights.ClassifierError):
            weights.load_head(self.head, classifier, added=self.head.added)

    # ---- training

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) the mean over the gates of their binary cross-entropy."""
        _, means, gates = self.router.everything(output.features)
        helps = helpful(means, target.labels).to(gates.dtype)
        weight = gates.new_tensor(self.weight)
        return F.binary_cross_entropy_with_logits(gates, helps, pos_weight=weight, reduction="none").mean(0)

    # ---- evaluation

    def forward(self, images: Tensor) -> Output:
        """Map images (B, 3, H, W) to an `Output`; in evaluation, run an expert only where its gate lets through.

        Logits and features that were not computed are NaN.
        """
        return super().forward(images) if self.training else self.one_by_one(images)

    def one_by_one(self, images: Tensor) -> Output:
        """Run the experts one after the other."""
        maps = self.network.common(images)
        size, experts = len(images), self.router.experts
        features = torch.full((size, self.backbone.dim), torch.nan, dtype=maps.dtype, device=maps.device)
        columns = features.chunk(experts, 1)
        logits = total = images.new_zeros(0)
        remaining = torch.arange(size, device=maps.device)
        for number in range(experts):
            feature = self.network.expert(number, maps[remaining])
            answer = Loss.precise(self.router.heads[number](feature).logits)
            if number == 0:
                total = torch.zeros_like(answer)
                logits = torch.full((experts, *answer.shape), torch.nan, dtype=answer.dtype, device=answer.device)
            columns[number][remaining] = feature.to(features.dtype)
            logits[number, remaining] = answer
            total[remaining] += answer
            if number < experts - 1:
                remaining = remaining[self.router.ask(number, total[remaining] / (number + 1), feature) > 0]
            if not len(remaining):
                break
        return Output(total / used(logits)[:, None], features, experts=logits)

    def update_metrics(self, name: str, output: Output, labels: Tensor) -> None:
        """Update the measures, and count the evaluated experts."""
        super().update_metrics(name, output, labels)
        if output.experts is not None:
            counts = torch.bincount(used(output.experts), minlength=self.router.experts + 1)
            self.experts_used[name] = self.experts_used.get(name, 0) + counts

    def extras(self, name: str) -> dict[str, float]:
        """Return `experts_used`, `flops` and `flops_saved` of a split."""
        if name == "train":  # all experts are evaluated
            return {}
        none = torch.zeros(self.router.experts + 1, dtype=torch.int64, device=self.device)
        counts = distributed.total(self.experts_used.pop(name, none)).double().cpu()
        shares = counts / counts.sum()
        self.costs = self.costs or self.count_flops()
        routed, ungated = self.costs
        flops = float(shares @ torch.tensor(routed, dtype=torch.float64))
        return {
            "experts_used": float(shares @ torch.arange(len(shares)).double()),
            "flops": flops,
            "flops_saved": 1 - flops / ungated,
        }

    @torch.no_grad()
    def count_flops(self) -> tuple[list[int], int]:
        """Count the operations for an image of the test split.

        Returns:
            The costs of 0 to E experts with their gates, and the cost of all experts without gates.
        """
        image = self.ready(self.data.splits["test"].images[:1])
        with trainable.evaluating(self):
            maps = self.network.common(image)
            ungated, gates, routed = flops_of(self.network.common, image), 0, [0]
            for number, head in enumerate(self.router.heads):
                feature = self.network.expert(number, maps)
                ungated += flops_of(self.network.expert, number, maps) + flops_of(head, feature)
                if number < self.router.experts - 1:
                    gates += flops_of(self.router.ask, number, head(feature).logits, feature)
                routed.append(ungated + gates)
        return routed, ungated


def helpful(means: Tensor, labels: Tensor) -> Tensor:
    """Return (E - 1, B) whether the mean of the first experts is wrong and that of more of them is right.

    Args:
        means: (E, B, C) running means of the experts' logits.
        labels: (B,) class indices.
    """
    right = means.argmax(2) == labels
    later = right.flip(0).cumsum(0).flip(0) > 0  # at this expert or a later one
    return ~right[:-1] & later[1:]


def used(experts: Tensor) -> Tensor:
    """Return (B,) how many experts were evaluated, from their logits (E, B, C)."""
    return experts[:, :, 0].isnan().logical_not().sum(0)


def flops_of(function: Callable[..., Any], *arguments: Any) -> int:
    """Count the floating-point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return int(counter.get_total_flops())
