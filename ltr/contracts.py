"""The vocabulary of `ltr`: what the parts exchange and the base class of each kind of part.

A part that needs something of the world at construction (counts, labels, dimensions) is injected as a *factory*; one
that does not is injected as an *instance*.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ltr import distributed, seeds, trainable
from ltr.counts import CountsLike, known
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.ranges import Checked, Count
from ltr.run.training_record import TrainingRecord


class Batch(NamedTuple):
    """A batch as the data yield it.

    Attributes:
        images: (B, 3, H, W), uint8 before and float after augmentation and normalisation, then (B, V, 3, H, W) where
            the augmentation makes several views; empty where features are given instead.
        labels: (B,) class indices.
        indices: (B,) positions in the split, as its `indices` order them.
        features: (B, D) outputs of a frozen backbone, or None.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    features: Tensor | None = None


class Output(NamedTuple):
    """The output of a network for a batch. Most losses need the logits only.

    Attributes:
        logits: (B, C) scores before the softmax.
        features: (B, D) input of the head.
        embeddings: (B, V, P) projected views, for contrastive losses; the rest is of the first view.
        experts: (E, B, C) logits of each expert; NaN for experts that were not evaluated.
        scale: the logit of a cosine of 1, by which margins on cosines are scaled: a number, or `norm` for the norm of
            the feature; None if the logits are not cosines.
    """

    logits: Tensor
    features: Tensor = torch.empty(0)
    embeddings: Tensor | None = None
    experts: Tensor | None = None
    scale: float | Literal["norm"] | None = None

    @property
    def probabilities(self) -> Tensor:
        """(B, C) the softmax of the logits, in float32."""
        return self.logits.float().softmax(1)

    def grouped(self, views: int) -> Output:
        """Group the views of every sample, which are consecutive in this output.

        Args:
            views: number V of views per sample.
        """
        embeddings, experts = self.embeddings, self.experts
        return self._replace(
            logits=self.logits[::views],
            features=self.features[::views],
            embeddings=embeddings if embeddings is None else embeddings.reshape(-1, views, embeddings.shape[-1]),
            experts=experts if experts is None else experts[:, ::views],
        )


class Answer(NamedTuple):
    """The result of an evaluation step, for the callbacks.

    Attributes:
        output: the adjusted output of the network.
        labels: (B,) class indices.
        indices: (B,) positions in the split.
    """

    output: Output
    labels: Tensor
    indices: Tensor


class Target(NamedTuple):
    """The labels of a batch, possibly blended from two labels per image.

    Attributes:
        labels: (B,) class indices.
        partners: (B,) the other labels of a blended batch.
        weights: (B,) share of `labels` in the blend, in [0, 1].
    """

    labels: Tensor
    partners: Tensor | None = None
    weights: Tensor | None = None

    @property
    def main(self) -> Tensor:
        """(B,) the label of the larger share, against which the prediction for a blended image is counted."""
        if self.partners is None or self.weights is None:
            return self.labels
        return torch.where(self.weights >= 0.5, self.labels, self.partners)

    def blend(self, loss: Loss, output: Output) -> Tensor:
        """Return (B,): the loss of `labels`, or the weighted sum of the losses of both labels."""
        value = loss(output, self.labels)
        if self.partners is None or self.weights is None:
            return value
        return self.weights * value + (1 - self.weights) * loss(output, self.partners)


Freeze = Literal["features", "all", "none"]
ADAPTERS = "adapters."  # how the names of the weights of an adapter begin


class Backbone(Checked, nn.Module):
    """Images to features. A subclass names its children in `stages`, in order, and sets `dim`.

    What is frozen stays in evaluation mode, so its running statistics do not change; a part of which all weights are
    trained is in training mode.

    Attributes:
        freeze: which weights are not trained; see `set_freeze`.
        partial: whether only some weights are trained, or none.
        shift_bn: whether the statistics of batch norm are updated although the weights are frozen.
        experts: number of networks whose features are concatenated, each of size dim / experts.
        classes: the names of the classes of the network in its file, if they are known.
        preprocessing: how images become its input, if its weights ask for it; else the data say it.
        preprocessing_in_training: how images became its input when the weights of its file were trained, after `load`,
            if it is known.
        training_record: the images that its weights were trained on: none for a new network, those of the file after
            `load`.

    Shape:
        images (B, 3, H, W) -> features (B, dim).
    """

    stages: tuple[str, ...] = ()
    dim: int
    experts: int = 1
    freeze: Freeze = "none"
    partial: bool = False
    shift_bn: bool = False
    training_record: TrainingRecord = TrainingRecord(complete=True)
    classes: Sequence[str] = ()
    preprocessing: Preprocessing | None = None
    preprocessing_in_training: Preprocessing | None = None

    @property
    def title(self) -> str:
        """Its name in sentences and results."""
        return type(self).__name__

    @property
    def inner(self) -> Backbone:
        """The network that computes its features: itself, or the one that it wraps and does not change."""
        return self

    @property
    def pretraining(self) -> str:
        """The published weights that it starts from, for results; empty if there are none."""
        return ""

    @property
    def software(self) -> str:
        """The library of its layers with its version, if that is not `ltr`."""
        return ""

    @property
    def fixed(self) -> bool:
        """Whether a training leaves its features unchanged."""
        return not self.shift_bn and not any(weight.requires_grad for weight in self.parameters())

    @property
    def adapter_weights(self) -> list[str]:
        """The names of the weights of its adapters, not of those of a network within it."""
        return [name for name in trainable.names(self) if name.startswith(ADAPTERS)]

    def adapt(self, classes: int) -> None:
        """Insert its adapters, if it has some, once: their size may depend on the number of classes."""
        for part in self.children():
            if isinstance(part, Backbone):
                part.adapt(classes)

    def set_freeze(self, freeze: Freeze) -> None:
        """Freeze the weights, or let them be trained.

        Args:
            freeze: `features` trains its adapters only, if it has some, `all` trains nothing, `none` trains everything.
        """
        before, self.freeze = self.freeze, freeze
        if freeze != "none":
            self.train_only(self.adapter_weights if freeze == "features" else ())
        elif before != "none":  # else some parts may be fixed by design
            self.partial = False
            self.requires_grad_(True).train()

    def train_only(self, names: Collection[str]) -> None:
        """Let the weights of some names be trained, and freeze all others."""
        self.partial = True
        trainable.train_only(self, names)
        self.train()  # now, because Lightning keeps the modes of a new network

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, except for frozen parts."""
        super().train(mode and not self.partial)
        if mode and self.partial:
            trainable.start_parts(self)
        return self

    def check_stages(self, what: str, least: int = 1) -> None:
        """Raise `InputError` if it has too few named stages for a method.

        Args:
            what: the method that needs them.
            least: how many.
        """
        if len(self.stages) < least:
            raise InputError(
                f"{what} works between the stages of a network, which {self.title} does not name: pass a ResNet, such "
                "as `ResNet32`, or `Torchvision` with `resnet50`."
            )

    def check_new(self, what: str) -> None:
        """Raise `InputError` if it starts from weights or is frozen, for a network that takes its stages without them.

        Args:
            what: the network that takes its stages.
        """
        if self.pretraining or self.freeze != "none":
            state = f"starts from {self.pretraining}" if self.pretraining else "is frozen"
            raise InputError(
                f"{what} trains the stages of a network from random weights, and {self.title} {state}: pass a network "
                "without `pretrained`, `checkpoint` and `freeze`."
            )

    def load(self) -> dict[str, Tensor]:
        """Read the weights to start from, if any; return those of the classifier in the same file."""
        return {}

    def maps(self, images: Tensor) -> Tensor:
        """Run the stages in order: images (B, 3, H, W) to feature maps (B, dim, h, w)."""
        for stage in self.stages:
            images = getattr(self, stage)(images)
        return images

    def pool(self, maps: Tensor) -> Tensor:
        """Average feature maps (B, D, h, w) over their positions to (B, D)."""
        return F.adaptive_avg_pool2d(maps, 1).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Run the stages, then pool."""
        return self.pool(self.maps(images))


class Head(Checked, nn.Module, ABC):
    """Features to `Output`; owns every learnable weight of the classifier.

    Args:
        dim: size D of a feature.
        classes: number of classes C.

    Attributes:
        added: names of the weights that the head adds to a trained classifier; a file may lack them.
        experts: number of parts into which it divides a feature, one for each network of the backbone.
    """

    added: tuple[str, ...] = ()
    experts: int = 1

    def __init__(self, dim: Count, classes: Count) -> None:
        super().__init__()
        self.dim, self.classes = dim, classes

    @property
    def classifier(self) -> Head:
        """The head that computes the logits: this one, or the one that it wraps."""
        return self

    def lengths(self) -> Tensor | None:
        """Return (E, C) the norms of each class's weights in each of E classifiers; None if they have no meaning."""
        return None

    def start_from(self, rows: Tensor) -> None:
        """Start from a direction (C, D) for each class.

        Raises:
            InputError: if the head has no such weights.
        """
        raise InputError(f"a {type(self).__name__} head has no weights to start from given directions: pass Cosine.")

    @abstractmethod
    def forward(self, features: Tensor) -> Output:
        """Map features (B, D) to an `Output` with logits (B, C)."""


class EpochAware:
    """A part that depends on the epoch. Its milestones are fractions of the training."""

    def set_epoch(self, epoch: int, epochs: int) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""

    def notes(self, epochs: int) -> list[str]:
        """Return what `epochs` epochs are too few for, a sentence each."""
        return []


# What a loss may need besides the logits, and where it comes from.
NEEDS = {
    "features": "features: pass `Output(logits, features)`",
    "embeddings": "embeddings, which the head does not make: pass `--model.head Projection`",
    "experts": "several experts: pass `--model.backbone MultiExpert --model.head ExpertHeads`",
    "scale": "scaled cosines as logits: pass `--model.head Cosine`, or in Python `Output(logits, scale=...)`",
    "norm": "cosines times the norm of the feature as logits: pass `--model.head Cosine --model.head.scale null`",
}


class Loss(Checked, EpochAware, nn.Module, ABC):
    """(`Output`, labels) to one value per sample; no parameters and nothing in the state dict.

    In your own training loop, call it with the logits (B, C) in place of an `Output`.

    Args:
        counts: (C,) training images per class.

    Attributes:
        batch_level: True if the value of a sample depends on the other samples of the batch.
        mixable: False if blended labels have no meaning for the loss.
        needs: what it reads besides the logits, as keys of `NEEDS`.
    """

    batch_level: bool = False
    mixable: bool = True
    needs: tuple[str, ...] = ()

    def __init__(self, counts: CountsLike) -> None:
        super().__init__()
        known(counts)

    def __call__(self, output: Output | Tensor, labels: Tensor, *context: Any) -> Tensor:
        """Return (B,) values.

        Raises:
            InputError: if the output lacks what the loss needs.
        """
        output = output if isinstance(output, Output) else Output(torch.as_tensor(output))
        given = {
            "features": output.features.dim() > 1,
            "embeddings": output.embeddings is not None,
            "experts": output.experts is not None,
            "scale": isinstance(output.scale, (int, float)),
            "norm": output.scale == "norm",
        }
        for need in self.needs:
            if not given[need]:
                raise InputError(f"{type(self).__name__} needs {NEEDS[need]}.")
        values: Tensor = super().__call__(output, torch.as_tensor(labels), *context)
        return values

    def name_classes(self, classes: Sequence[str]) -> None:
        """Receive the names of the classes, before the training; for a loss whose options name some."""

    @abstractmethod
    def forward(self, output: Output, labels: Tensor) -> Tensor:
        """Return (B,) values in at least float32, finite for any finite logits."""

    @staticmethod
    def precise(logits: Tensor) -> Tensor:
        """Return the logits in float32, or in float64 if they are in float64."""
        return logits if logits.dtype == torch.float64 else logits.float()


class Sampler(Checked, EpochAware, torch.utils.data.Sampler[int], ABC):
    """Labels to the indices of an epoch; shards itself over the processes of a distributed run.

    The order depends on seed and epoch only, so a resumed run draws it again.

    Args:
        labels: (N,) class indices of the training split.

    Attributes:
        seed: of the run; the data module sets it.
        size: number of indices per epoch over all processes, the same in every epoch; N by default.
        streams: number of interleaved streams, always in the same order; a shard never splits a turn of all streams.
    """

    streams: int = 1
    seed: int = 0

    def __init__(self, labels: Tensor) -> None:
        self.labels, self.size = labels, len(labels)
        self.epoch, self.epochs = 0, 1

    def set_epoch(self, epoch: int, epochs: int | None = None) -> None:
        """Start epoch `epoch` (from 0) of `epochs`."""
        self.epoch, self.epochs = epoch, epochs or self.epochs

    @abstractmethod
    def draw(self, generator: torch.Generator) -> Tensor:
        """Return the `size` indices of one epoch, over all processes, as an int64 tensor."""

    def __iter__(self) -> Iterator[int]:
        turns = self.draw(seeds.generator(self.seed, self.epoch)).reshape(-1, self.streams)
        return iter(turns[distributed.rank() :: distributed.world()].flatten().tolist())

    def __len__(self) -> int:
        """Return the number of indices in the smallest shard."""
        return self.size // self.streams // distributed.world() * self.streams


class Mix(Checked, EpochAware, nn.Module, ABC):
    """A training batch to a blended one: (images, labels) -> (images, `Target`); nothing in the state dict.

    Args:
        counts: (C,) training images per class.

    Attributes:
        hidden: True if features within the backbone are blended instead of the images.
    """

    hidden: bool = False

    def __init__(self, counts: CountsLike) -> None:
        super().__init__()
        known(counts)

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        """Blend images (B, 3, H, W); return them with their labels."""

    def attach(self, backbone: Backbone) -> None:
        """Receive the backbone once, before the training; for a mix that blends within it."""


class Transform(Checked, nn.Module, ABC):
    """Augment a whole batch of uint8 images at once.

    Attributes:
        views: number V of versions of every image.
        mirrors: whether some images are flipped horizontally.
    """

    views: int = 1
    mirrors: bool = False

    @property
    def title(self) -> str:
        """Its name in results."""
        return type(self).__name__

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, H, W) to uint8 images (B, 3, H', W'), or (B, V, 3, H', W') for several views."""


class Schedule(Checked, EpochAware, ABC):
    """The factor of the base learning rate: a pure function of the epoch and their number."""

    @abstractmethod
    def __call__(self, epoch: int, epochs: int) -> float:
        """Return the factor for epoch `epoch` (from 0) of `epochs`."""


BackboneFactory = Callable[[], Backbone]
HeadFactory = Callable[[int, int], Head]
LossFactory = Callable[[Tensor], Loss]
MixFactory = Callable[[Tensor], Mix]
SamplerFactory = Callable[[Tensor], Sampler]
