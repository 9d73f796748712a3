"""The network of a method, the adjustments of its outputs, and its evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn

from ltr import distributed, seeds, trainable
from ltr.contracts import Answer, Backbone, Batch, HeadFactory, Output
from ltr.counts import Counts
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.heads import Linear
from ltr.methods.features import Extraction
from ltr.metrics import Recalls, Report
from ltr.preprocessing import Preprocessing
from ltr.ranges import Checked, WholeNumber
from ltr.run.training_record import TrainingRecord
from ltr.sentences import plural


class BaseMethod(Checked, LightningModule):
    """A network, and the one path of its evaluation: `preprocessing -> backbone -> head -> adjustments -> report`.

    Args:
        backbone: images to features.
        counts: training images per class.
        head: builds the classifier from (dim, classes).
        compile: whether the backbone is compiled with `torch.compile`.

    Attributes:
        counts: (C,) the same, stored in checkpoints.
        synthetic: (C,) number of synthetic images among them, stored in checkpoints.
        preprocessing: from uint8 images to its input, as in its training; None before the first training.
        classes: the names of the classes; empty before the first training.
        training_record: the images of its training and of those it started from; unknown before the first training.
        adjustments: the adjustments of its outputs, in order. A test, a validation or a prediction takes those among
            the callbacks of its trainer and prepares them; without a trainer, set the list and call `prepare` of each.
            An order in which one would lose the work of another is refused.
        seed: the seed of its draws. It is read when the method is built and when a training or an evaluation starts.
        reports: the last report of each split.
        measures: the numbers of this epoch by `split/measure`.
    """

    counts: Tensor
    synthetic: Tensor

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[WholeNumber],
        *,
        head: HeadFactory = Linear,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("counts", torch.tensor(counts))
        self.register_buffer("synthetic", torch.zeros_like(self.counts))
        self.reports: dict[str, Report] = {}
        self.measures: dict[str, float] = {}
        self.undefined: dict[str, Tensor] = {}
        self.recalls = Recalls(len(counts))
        self.backbone = backbone
        backbone.adapt(len(counts))
        self.head = head(backbone.dim, len(counts))
        if self.head.experts not in (1, backbone.experts):
            raise InputError(
                f"the head has {self.head.experts} experts, the backbone {backbone.experts}: pass the same "
                "`--model.backbone.experts` and `--model.head.experts`."
            )
        self.compile_backbone = compile
        self.preprocessing: Preprocessing | None = None
        self.classes: list[str] = []
        self.training_record = TrainingRecord()
        self._adjustments: tuple[Adjustment, ...] = ()
        self.seed = seeds.seed()
        self.fitting = False
        self.evaluated: LongTailed | None = None  # the data of an evaluation

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """The adjustments of its outputs, in order; others are assigned as a whole, so that their order is checked."""
        return self._adjustments

    @adjustments.setter
    def adjustments(self, adjustments: Sequence[Adjustment]) -> None:
        check_order(adjustments)
        self._adjustments = (*adjustments,)

    @property
    def data(self) -> LongTailed:
        """The data of the current training or evaluation."""
        data = getattr(self.trainer, "datamodule", None)
        assert isinstance(data, LongTailed), "give the trainer a data module: `trainer.fit(method, datamodule=data)`"
        return data

    @property
    def training_counts(self) -> Counts:
        """The training images per class; the shot groups of a report follow from the real ones."""
        return Counts.of(self.counts, self.synthetic)

    @property
    def fast_dev_run(self) -> bool:
        """Whether Lightning only tries a few batches and writes nothing."""
        return bool(getattr(self.trainer, "fast_dev_run", False))

    # ---- the network

    @classmethod
    def network_config(cls, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the backbone and the head of a trained network as configs, for a training that starts from it.

        Args:
            options: of this class, as a config has them.
        """
        return options.get("backbone"), options.get("head")

    def setup(self, stage: str) -> None:
        """Read the seed, take the adjustments and the preprocessing, and prepare the backbone."""
        self.seed, self.fitting = seeds.seed(), stage == "fit"
        callbacks = [] if self.fitting else getattr(self.trainer, "callbacks", [])
        self.adjustments = [callback for callback in callbacks if isinstance(callback, Adjustment)]
        data = getattr(self.trainer, "datamodule", None)
        self.evaluated = None if self.fitting else data
        if data is not None and (self.fitting or self.preprocessing is None):
            self.preprocessing, self.classes = data.preprocessing, list(data.classes)
        if self.backbone.freeze == "all":
            self.head.requires_grad_(False)
        self.prepare_network(self.backbone)

    def prepare_network(self, network: nn.Module) -> None:
        """Store a network channels last, and compile it if `compile` is set.

        Every batch size is compiled on its own: a program for all sizes, which torch makes when it meets the smaller
        last batch of an epoch, was slower than no compilation.
        """
        network.to(memory_format=torch.channels_last)
        if self.compile_backbone:
            network.compile(dynamic=False)

    def teardown(self, stage: str) -> None:
        """Remove the data and the adjustments of this trainer."""
        self.adjustments, self.evaluated = (), None

    def forward(self, images: Tensor) -> Output:
        """Map images (B, 3, H, W), or views of them (B, V, 3, H, W), to an `Output`."""
        output: Output = self.head(self.backbone(images.flatten(0, -4)))
        return output.grouped(images.shape[1]) if images.dim() == 5 else output

    def answer(self, batch: Batch) -> Output:
        """Run a batch of images, or the head alone on a batch of cached features."""
        output: Output = self.head(batch.features) if batch.features is not None else self(batch.images)
        return output

    @torch.no_grad()
    def embedding_size(self) -> int:
        """Return the size P of the embeddings of the head.

        Raises:
            InputError: if the head makes no embeddings.
        """
        with trainable.evaluating(self.head):
            embeddings = self.head(torch.zeros(1, self.head.dim)).embeddings
        if embeddings is None:
            raise InputError(
                f"{type(self).__name__} contrasts embeddings, which a {type(self.head).__name__} head does not make: "
                "pass `--model.head Projection`."
            )
        return int(embeddings.shape[-1])

    def extract_features(self, data: LongTailed, name: str, *, draw: Sequence[int] | None = None) -> Tensor:
        """Return the features (N, D) of a split in float32; those of a frozen network are kept on disk.

        Args:
            data: the data module.
            name: the split.
            draw: non-negative integers that decide the augmentation of the images; None for none.
        """
        return Extraction(self, data, name, draw).features()

    def ready(self, images: Tensor, adjustments: Sequence[Adjustment] = ()) -> Tensor:
        """Turn uint8 images (B, 3, H, W) on any device into the network's input, on its device and in its precision.

        Args:
            images: the images.
            adjustments: those of an evaluation, of which one may ask for V views.

        Returns:
            (B, 3, side, side), or (B * V, 3, side, side).
        """
        pixels = self.pixels(images.to(self.device), adjustments)
        assert self.preprocessing is not None
        return self.preprocessing.normalised(pixels).to(self.dtype)

    def pixels(self, images: Tensor, adjustments: Sequence[Adjustment] = ()) -> Tensor:
        """Return what `ready` normalises: the middle of uint8 images, or views of them."""
        look = self.preprocessing
        assert look is not None, "train the network or load its checkpoint first"
        for adjustment in adjustments:
            if (views := adjustment.views(look, images)) is not None:
                return views
        return look.to_side(look.cropped(images))

    def augmented(self, data: LongTailed, images: Tensor) -> Tensor:
        """Augment uint8 training images (B, 3, H, W) and turn them into the network's input, possibly in views."""
        return self.fitted(data.augment(images.to(self.device)))

    def fitted(self, images: Tensor) -> Tensor:
        """Turn augmented uint8 images, possibly in views, into the network's input."""
        assert self.preprocessing is not None, "train the network or load its checkpoint first"
        return self.preprocessing.normalised(self.preprocessing.to_side(images)).to(self.dtype)

    def prepared(self, batch: Batch) -> Batch:
        """Preprocess the images of a batch; return cached features unchanged."""
        if batch.features is not None:
            return batch
        return batch._replace(images=self.ready(batch.images, self.adjustments))

    def predict(self, images: Tensor) -> Output:
        """Preprocess images, run the network and adjust the output, as in every evaluation.

        Args:
            images: (B, 3, H, W) uint8, on any device.
        """
        return self.adjusted(self(self.ready(images, self.adjustments)))

    def adjusted(self, output: Output) -> Output:
        """Apply the adjustments in their order."""
        for adjustment in self.adjustments:
            output = adjustment.adjust(self, output)
        return output

    # ---- evaluation

    def on_test_start(self) -> None:
        """Prepare the adjustments, in their order, once the weights are loaded."""
        for adjustment in self.adjustments:
            adjustment.prepare(self, self.data)

    on_validation_start = on_predict_start = on_test_start

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Update the measures of a monitored split."""
        name = self.data.monitored[dataloader_idx]
        self.update_metrics(name, self.adjusted(self.answer(batch)), batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the measures of the monitored splits."""
        for name in self.data.monitored:
            self.report(name)

    def test_step(self, batch: Batch, batch_idx: int) -> Answer:  # type: ignore[override]
        """Update the measures of the test split."""
        answer = self.predict_step(batch, batch_idx)
        self.update_metrics("test", answer.output, batch.labels)
        return answer

    def on_test_epoch_end(self) -> None:
        """Keep the report of the test split."""
        self.report("test")

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Answer:
        """Return the adjusted output for a batch."""
        return Answer(self.adjusted(self.answer(batch)), batch.labels, batch.indices)

    def update_metrics(self, name: str, output: Output, labels: Tensor) -> None:
        """Update the measures of a split with a batch.

        Args:
            name: the split.
            output: the adjusted output of the network.
            labels: (B,) class indices.
        """
        self.recalls[name].update(output.probabilities, labels)
        self.undefined[name] = self.undefined.get(name, 0) + output.logits.isnan().any(1).sum()

    def extras(self, name: str) -> dict[str, float]:
        """Return further measures of a split, over all processes, and reset them."""
        return {}

    def report(self, name: str) -> None:
        """Compute and log the report of a split, and reset its measures.

        Raises:
            InputError: if the network gave NaN for an image.
        """
        if name in self.undefined:
            check_defined(distributed.total(self.undefined.pop(name)), f"the {name} split")
        self.reports[name] = Report.of(self.recalls[name], self.training_counts.real, extras=self.extras(name))
        self.recalls[name].reset()
        self.log_measures({f"{name}/{key}": value for key, value in self.reports[name].scalars().items()})

    def log_measures(self, measures: dict[str, float]) -> None:
        """Log measures, and keep them in full precision for the curves of the run."""
        self.measures |= measures
        self.log_dict(measures)


class Adjustment(Checked, Callback, ABC):
    """A change of the outputs of a network in validation, test and prediction, never in training.

    Several adjustments act in the order of the list of callbacks.

    Attributes:
        fitted: names of the attributes that `prepare` fits to images and `settings` reports: a number or (C,) each.
        several_views: whether the network sees each image in several views; see `views`.
        first: whether it works on the outputs of the network itself, so that only views may come before it.
    """

    fitted: ClassVar[tuple[str, ...]] = ()
    several_views: ClassVar[bool] = False
    first: ClassVar[bool] = False

    @abstractmethod
    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output with adjusted logits (B, C); a pure function once the adjustment is prepared."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""

    def views(self, look: Preprocessing, images: Tensor) -> Tensor | None:
        """Return the views (B * V, 3, side, side) of uint8 images in which the network sees them, those of one in turn.

        The adjustments before this one then act on every view. None if it works on the answers only.

        Args:
            look: the preprocessing of the network.
            images: (B, 3, H, W) uint8.
        """
        return None

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Compute what the adjustment needs, once the weights are loaded.

        Raises:
            InputError: if the adjustment has no meaning for the method or the data.
        """

    def before(self, method: BaseMethod) -> list[Adjustment]:
        """Return the adjustments that act before this one."""
        return [*method.adjustments[: method.adjustments.index(self)]]


def check_order(adjustments: Sequence[Adjustment]) -> None:
    """Raise `InputError` if an adjustment of the outputs of the network itself comes after one that changes them."""
    for position, adjustment in enumerate(adjustments):
        before = [type(other).__name__ for other in adjustments[:position] if not other.several_views]
        if adjustment.first and before:
            name, other = type(adjustment).__name__, before[0]
            both = any(each.first for each in adjustments[:position])
            raise InputError(
                f"{name} needs the outputs of the network, which {other} changes before it: "
                + ("leave one of them out." if both else f"list {name} before {other}, or leave one of them out.")
            )


def check_defined(images: Tensor | int, where: str) -> None:
    """Raise `InputError` if there are images for which a network gave NaN: any measure of them would mean nothing.

    Args:
        images: how many they are.
        where: what they are images of.
    """
    if images:
        raise InputError(
            f"the network gives NaN for {plural(int(images), 'image')} of {where}: its training diverged, its weights "
            "are damaged, or an adjustment has too large a value."
        )
