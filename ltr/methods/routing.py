"""Learn how many experts an image needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD
from torch.utils.flop_counter import FlopCounterMode

from ltr import distributed
from ltr.backbones import MultiExpert
from ltr.contracts import Backbone, Batch, HeadFactory, Loss, Output, Schedule, Target
from ltr.errors import InputError, advice
from ltr.heads import Cosine, Router
from ltr.methods.cached import Cached
from ltr.run import weights
from ltr.schedules import Cosine as CosineSchedule


class Routing(Cached):
    """Train the gates of a `Router` over the frozen experts of a RIDE run: expert assignment.

    Gate i should open if the mean of the first i experts is wrong and that of some more of them is right. Each is a
    binary cross-entropy in which such a sample weighs `weight` times as much, and the loss is their mean. Where the
    first expert makes no mistake on the training images there is nothing to learn, and no gate ever opens: augmented
    `views` leave it some.

    Training works on cached features, for which every expert has been asked once. An evaluation on images asks an
    expert only about the samples that its gate lets through, and reports with every measure:

    - `experts_used`: how many experts were asked about an image, in the mean;
    - `flops`: floating-point operations per image, in the mean, a multiplication and an addition counted as two;
    - `flops_saved`: the part of them that is saved against asking all experts without gates.

    Args:
        backbone: a `Pretrained` one around a `MultiExpert`.
        counts: training images per class; the command line takes them from the data.
        head: the kind of classifier that each expert has in the file.
        top: how many of the largest logits a gate sees.
        hidden: size of a gate's view of the feature.
        weight: of the samples that need more experts.
        optimizer: builds the optimizer from the trainable parameters.
        schedule: the factor of the learning rate per epoch; `Cosine` where none is named.
        cache: whether features are computed once; else every step runs the backbone on augmented images.
        views: augmented versions of the training split to cache, of which each step draws one per image; 0 caches the
            plain images.
        steps_per_execution: how many steps are taken in a row, with nothing done between them: faster, since Lightning
            takes about as long around a step on features as the step itself, and the result is the same.
        compile: whether the backbone is compiled with `torch.compile`.

    Reference:
        Wang et al., "Long-tailed Recognition by Routing Diverse Distribution-Aware Experts", ICLR 2021,
        https://arxiv.org/abs/2010.01809; official code frank-xwang/RIDE-LongTailRecognition,
        model/ldam_drw_resnets/ea_resnet_cifar.py.
    """

    def __init__(
        self,
        backbone: Backbone,
        counts: list[int],
        *,
        head: HeadFactory = Cosine,
        top: int = 30,
        hidden: int = 16,
        weight: float = 100.0,
        optimizer: OptimizerCallable = lambda params: SGD(
            params, lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True
        ),
        schedule: Schedule | None = None,
        cache: bool = True,
        views: int = 0,
        steps_per_execution: int = 1,
        compile: bool = False,
    ) -> None:
        if backbone.experts < 2:
            raise InputError("there is nothing to route with a single expert: take a `MultiExpert` backbone of a run.")
        super().__init__(
            backbone,
            counts,
            head=partial(Router, experts=backbone.experts, head=head, top=top, hidden=hidden),
            optimizer=optimizer,
            schedule=schedule or CosineSchedule(),
            cache=cache,
            views=views,
            steps_per_execution=steps_per_execution,
            compile=compile,
        )
        self.weight = weight
        self.asked: dict[str, Tensor] = {}
        self.costs: tuple[list[int], int] | None = None

    @property
    def router(self) -> Router:
        """The head."""
        return cast("Router", self.head)

    @property
    def network(self) -> MultiExpert:
        """The experts themselves, within a `Pretrained` or not."""
        return cast("MultiExpert", getattr(self.backbone, "backbone", self.backbone))

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Take over the classifiers of the experts; the gates are new."""
        with advice("Name the kind of each expert's classifier with `--model.head`.", on=weights.ClassifierError):
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
        """Map images (B, 3, H, W) to an `Output`; in evaluation, ask each expert only about what its gate lets through.

        What was not computed, features included, is not a number.
        """
        return super().forward(images) if self.training else self.one_by_one(images)

    def one_by_one(self, images: Tensor) -> Output:
        """Ask the experts one after the other."""
        maps = self.network.common(images)
        size, experts = len(images), self.router.experts
        features = torch.full((size, self.backbone.dim), torch.nan, dtype=maps.dtype, device=maps.device)
        columns = features.chunk(experts, 1)
        logits = total = images.new_zeros(0)
        here = torch.arange(size, device=maps.device)
        for number in range(experts):
            feature = self.network.expert(number, maps[here])
            answer = Loss.precise(self.router.heads[number](feature).logits)
            if number == 0:
                total = torch.zeros_like(answer)
                logits = torch.full((experts, *answer.shape), torch.nan, dtype=answer.dtype, device=answer.device)
            columns[number][here] = feature.to(features.dtype)
            logits[number, here] = answer
            total[here] += answer
            if number < experts - 1:
                here = here[self.router.ask(number, total[here] / (number + 1), feature) > 0]
            if not len(here):
                break
        return Output(total / used(logits)[:, None], features, experts=logits)

    def update_metrics(self, name: str, output: Output, labels: Tensor) -> None:
        """Count the answers on a split, and the experts that were asked for them."""
        super().update_metrics(name, output, labels)
        if output.experts is not None:
            counts = torch.bincount(used(output.experts), minlength=self.router.experts + 1)
            self.asked[name] = self.asked.get(name, 0) + counts

    def extras(self, name: str) -> dict[str, float]:
        """Return how many experts a split needed, and what that saved."""
        if name == "train":  # where all experts are asked
            return {}
        none = torch.zeros(self.router.experts + 1, dtype=torch.int64, device=self.device)
        counts = distributed.total(self.asked.pop(name, none)).double().cpu()
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
            What 0 to E experts cost with the gates that were asked, and what all cost without gates.
        """
        image = self.ready(self.data.splits["test"].images[:1])
        training = self.training
        self.eval()
        maps = self.network.common(image)
        ungated, gates, routed = flops_of(self.network.common, image), 0, [0]
        for number, head in enumerate(self.router.heads):
            feature = self.network.expert(number, maps)
            ungated += flops_of(self.network.expert, number, maps) + flops_of(head, feature)
            if number < self.router.experts - 1:
                gates += flops_of(self.router.ask, number, head(feature).logits, feature)
            routed.append(ungated + gates)
        self.train(training)
        return routed, ungated


def helpful(means: Tensor, labels: Tensor) -> Tensor:
    """Return (E - 1, B) where the mean of the first experts is wrong and that of some more of them is right.

    Args:
        means: (E, B, C) running means of the experts' logits.
        labels: (B,) class indices.
    """
    right = means.argmax(2) == labels
    later = right.flip(0).cumsum(0).flip(0) > 0  # at this expert or a later one
    return ~right[:-1] & later[1:]


def used(experts: Tensor) -> Tensor:
    """Return (B,) how many experts were asked, from their logits (E, B, C)."""
    return experts[:, :, 0].isnan().logical_not().sum(0)


def flops_of(function: Callable[..., Any], *arguments: Any) -> int:
    """Count the floating-point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return int(counter.get_total_flops())
