"""Prediction sets with guaranteed coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from ltr import files
from ltr.callbacks import split_conformal
from ltr.callbacks.answers import AnswersCallback
from ltr.callbacks.fitting import unseen_answers
from ltr.callbacks.unseen import NotUnseenError
from ltr.data import LongTailed
from ltr.errors import advice
from ltr.methods import Method
from ltr.metrics import coverage_of, set_measures
from ltr.ranges import Fraction, InnerFraction
from ltr.run.evaluation import CONFORMAL


class Conformal(AnswersCallback):
    """Predict a set of classes for every image, which misses the true class with probability at most alpha.

    A test or a prediction writes `sets.pt`, the set of every image; a test also writes `conformal.json`, the coverage
    and the sizes of the sets. The thresholds are calibrated on the validation split, which the network must not have
    seen, after all adjustments. The probabilities and predictions of the test do not change.

    The guarantee for a class needs at least 1 / alpha - 1 validation images of it; a class with fewer is in every set,
    and `conformal.json` counts these classes as `always`. The guarantee on average over all images needs test images
    with the class distribution of the validation split.

    Args:
        alpha: the share of images whose sets may miss the true class.
        score: how classes are ranked, `lac` or `aps` (see `split_conformal`).
        share: the images whose scores set the threshold of a class: 1 for those of the class, which covers each class;
            0 for all images, which covers them on average; values in between interpolate without a guarantee.

    Reference:
        See `split_conformal`.
    """

    fitted: ClassVar[tuple[str, ...]] = ("thresholds",)  # as `Adjustment.fitted`
    thresholds: Tensor

    def __init__(
        self, alpha: InnerFraction = 0.1, *, score: split_conformal.Score = "lac", share: Fraction = 1.0
    ) -> None:
        super().__init__()
        self.alpha, self.share = alpha, share
        self.score: split_conformal.Score = score

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Calibrate, now that every adjustment is prepared."""
        self.calibrate_on(self.method, self.method.data)

    on_predict_epoch_start = on_test_epoch_start

    def calibrate_on(self, method: Method, data: LongTailed) -> None:
        """Find the thresholds on the validation images of some data, with all adjustments of the network."""
        with advice("Or leave out `Conformal`.", on=NotUnseenError):
            logits, labels = unseen_answers(method, data, method.adjustments)
        self.calibrate(logits, labels)

    def calibrate(self, logits: Tensor, labels: Tensor) -> None:
        """Find the thresholds.

        Args:
            logits: (N, C) of images that the network has not seen, in float64.
            labels: (N,) class indices.
        """
        scores = split_conformal.scores(logits.softmax(1), self.score).gather(1, labels[:, None]).squeeze(1)
        self.thresholds = split_conformal.thresholds(
            scores, labels, self.alpha, classes=logits.shape[1], share=self.share
        )

    def sets(self, logits: Tensor) -> Tensor:
        """Return (N, C) whether the set of an image contains a class.

        Args:
            logits: (N, C), in float64.
        """
        return split_conformal.scores(logits.softmax(1), self.score) <= self.thresholds

    def after_test(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Write the sets of the test images, and their coverage and size."""
        if not method.trainer.is_global_zero or method.fast_dev_run:
            return
        sets = self.write_sets(method, logits, labels, indices)
        data, classes = method.data, len(method.counts)
        content = {
            "alpha": self.alpha,
            "score": self.score,
            "share": self.share,
            **set_measures(sets, labels, method.training_counts.real),
            "always": int((self.thresholds >= split_conformal.EVERYTHING).sum()),
            "class_coverage": coverage_of(sets, labels).tolist(),
            "thresholds": self.thresholds.tolist(),
            "calibration_images": torch.bincount(data.splits["val"].labels.cpu(), minlength=classes).tolist(),
            "classes": data.classes,
        }
        folder = Path(method.trainer.default_root_dir)
        plain = {key: files.plain(value) for key, value in content.items()}
        files.write_json(folder / CONFORMAL, plain, checksum=True)

    def after_predict(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Write the sets of the predicted images."""
        if method.trainer.is_global_zero and not method.fast_dev_run:
            self.write_sets(method, logits, labels, indices)

    def write_sets(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        """Write the sets (N, C), and return them."""
        sets = self.sets(logits.double())
        content: dict[str, Any] = {"sets": sets, "labels": labels, "indices": indices, "classes": method.data.classes}
        files.save(Path(method.trainer.default_root_dir) / "sets.pt", content)
        return sets
