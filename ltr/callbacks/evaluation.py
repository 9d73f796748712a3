"""Write the results of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from ltr import files
from ltr.callbacks.answers import AnswersCallback
from ltr.callbacks.figure_data import FigureData, examples
from ltr.callbacks.unseen import count_seen
from ltr.counts import per_class
from ltr.data import LongTailed
from ltr.methods import Method
from ltr.run import safetensors_files
from ltr.run.evaluation import METRICS, PREDICTIONS
from ltr.run.folder import RunFolder
from ltr.run.predictions import Predictions


class Evaluation(AnswersCallback):
    """Write `metrics.json`, `predictions.pt` and two figures for a test, `predictions.csv` for a prediction.

    Args:
        folder: the folder of the evaluation.
        config: the resolved config of the evaluation, for `metrics.json`.

    Attributes:
        images: number of tested images.
    """

    def __init__(self, folder: str | Path, config: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.folder, self.config = Path(folder), config or {}
        self.provenance: dict[str, Any] | None = None
        self.weights: str | None = None
        self.images = 0
        self.seen: dict[str, int | None] = {}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the provenance and the identity of the network."""
        self.provenance = checkpoint.get("provenance")
        self.weights = safetensors_files.digest(checkpoint["state_dict"])

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the images that the network was trained on."""
        self.seen["test"] = count_seen(self.method, self.method.data, "test")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the images that the network was trained on, in every split that is measured."""
        data = self.method.data
        self.seen = {name: count_seen(self.method, data, name) for name in data.monitored}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the images that the network was trained on, and choose the images for the figures."""
        self.on_predict_start(trainer, pl_module)
        self.figure_data = FigureData(self.method, self.method.data)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the answers of a batch, and the data of the figures."""
        super().on_test_batch_end(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)
        self.figure_data.add(outputs)

    def after_test(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Write the result of a test."""
        self.images = len(labels)
        answers = {
            "probabilities": logits.softmax(1),
            "labels": labels,
            "indices": indices,
            **self.figure_data.gathered(),
        }
        if not method.trainer.is_global_zero:
            return
        data, report = method.data, method.reports["test"]
        predictions = answers["probabilities"].argmax(1)
        answers |= examples(data, labels, predictions, indices=indices, recall=report.recall)
        write_predictions(self.folder / PREDICTIONS, answers, data, report.counts)
        self._draw(answers, data, report.recall, report.counts)
        files.write_json(
            self.folder / METRICS,
            {
                **report.to_json(),
                **old_recall(answers, len(data.classes)),
                "classes": data.classes,
                "split": "test",
                "images": self.images,
                "images_in_split": len(data.splits["test"].labels),
                "data": data.description,
                "seen_in_training": self.seen["test"],
                "adjustments": [{type(item).__name__: item.settings} for item in method.adjustments],
                "seed": self.config.get("seed_everything"),
                "params": sum(parameter.numel() for parameter in method.parameters()),
                "seconds": round(method.seconds, 1),
                "oracle_best": self._oracle_best(method),
                "weights": self.weights,
                "provenance": self.provenance,
                "config": self.config,
            },
            checksum=True,
        )

    def _oracle_best(self, method: Method) -> float | None:
        """Return the best top-1 on the test split that the curves of the run have; None after adjustments."""
        curves = () if method.adjustments else RunFolder(self.folder.parent).curves
        return max((row["test/top1"] for row in curves if "test/top1" in row), default=None)

    def _draw(self, answers: dict[str, Tensor], data: LongTailed, recall: list[float], counts: list[int]) -> None:
        """Draw the confusion matrix and the recall of every class."""
        from ltr import plots

        predictions = answers["probabilities"].argmax(1)
        confusion = plots.confusion(answers["labels"], predictions, classes=data.classes, counts=counts)
        plots.save(confusion, self.folder / "confusion.png")
        bars = plots.per_class_recall({"recall": recall}, counts, classes=data.classes)
        plots.save(bars, self.folder / "recall.png")

    def after_predict(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Write the predictions, for programs and for people."""
        if not method.trainer.is_global_zero:
            return
        data = method.data
        split = data.splits["test"]
        known = data.names("test", split._replace(images=data.files.get("test", split.images)))
        names = [known[position] for position in indices.tolist()]
        predictions = Predictions(names, data.classes, logits, labels)
        predictions.write(self.folder, indices=indices, counts=[*method.training_counts.real], data=data.description)


def old_recall(answers: dict[str, Tensor], classes: int) -> dict[str, list[float | None]]:
    """Return the recall per class of the head that a tuning replaced; None for classes that the split lacks."""
    if "old_predictions" not in answers:
        return {}
    labels = answers["labels"]
    hits = per_class(labels[answers["old_predictions"] == labels], classes).tolist()
    images = per_class(labels, classes).tolist()
    return {"old_recall": [hit / there if there else None for hit, there in zip(hits, images, strict=True)]}


def write_predictions(path: Path, answers: dict[str, Tensor], data: LongTailed, counts: list[int]) -> None:
    """Write probabilities (N, C), labels (N,) and positions (N,) with names and counts; readable with `weights_only`.

    Args:
        path: the file.
        answers: these tensors, and for a test what `FigureData.gathered` and `examples` return.
        data: what they were measured on.
        counts: (C,) training images per class, as in `metrics.json`.
    """
    content = {**answers, "classes": data.classes, "counts": counts, "data": data.description}
    files.save(path, content)
