"""Split conformal prediction: prediction sets that contain the true class with a chosen probability.

The score of a class lies in [0, 1] and is low if the network considers the class likely. A set contains the classes
whose score is at most a threshold. The threshold is a quantile of the scores of the true classes of *calibration*
images, which must be exchangeable with the test images and unseen in training.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from ltr import files
from ltr.callbacks.answers import AnswersCallback
from ltr.callbacks.fitting import unseen_answers
from ltr.callbacks.unseen import NotUnseenError
from ltr.data import LongTailed
from ltr.errors import advice
from ltr.methods import Method
from ltr.metrics import coverage_of, set_measures
from ltr.ranges import Fraction, InnerFraction
from ltr.run.evaluation import CONFORMAL

Score = Literal["lac", "aps"]

EVERYTHING = 1.0  # the highest possible score
ROUNDING = 1e-9  # tolerance for levels such as 0.9


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
        score: how classes are ranked, `lac` or `aps` (see `scores`).
        share: the images whose scores set the threshold of a class: 1 for those of the class, which covers each class;
            0 for all images, which covers them on average; values in between interpolate without a guarantee.

    Reference:
        See `scores` and `thresholds`.
    """

    fitted: ClassVar[tuple[str, ...]] = ("thresholds",)  # as `Adjustment.fitted`
    thresholds: Tensor

    def __init__(self, alpha: InnerFraction = 0.1, *, score: Score = "lac", share: Fraction = 1.0) -> None:
        super().__init__()
        self.alpha, self.share = alpha, share
        self.score: Score = score

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
        own = scores(logits.softmax(1), self.score).gather(1, labels[:, None]).squeeze(1)
        self.thresholds = thresholds(own, labels, self.alpha, classes=logits.shape[1], share=self.share)

    def sets(self, logits: Tensor) -> Tensor:
        """Return (N, C) whether the set of an image contains a class.

        Args:
            logits: (N, C), in float64.
        """
        return scores(logits.softmax(1), self.score) <= self.thresholds

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
            "always": int((self.thresholds >= EVERYTHING).sum()),
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


def scores(probabilities: Tensor, kind: Score) -> Tensor:
    """Return (N, C) the score of every class for every image.

    `lac` is 1 - p_c, which gives the smallest sets on average. `aps` is the sum of p_c and all larger probabilities, so
    hard images get larger sets. It leaves out the randomisation of the paper, so an image always has the same set.

    Args:
        probabilities: (N, C).
        kind: `lac` or `aps`.

    Reference:
        Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels", JASA 2019,
        https://arxiv.org/abs/1609.00451; Romano, Sesia and Candes, "Classification with Valid and Adaptive Coverage",
        NeurIPS 2020, https://arxiv.org/abs/2006.02544.
    """
    if kind == "lac":
        return 1 - probabilities
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    return torch.empty_like(ranked).scatter(1, order, ranked.cumsum(1)).clamp(max=EVERYTHING)


def threshold(scores: Tensor, alpha: float) -> float:
    """Return the k-th smallest score, k = ceil((n + 1)(1 - alpha)), or the highest possible score if n < k.

    A new exchangeable image has a score of at most this threshold with probability at least 1 - alpha and, without
    ties, less than 1 - alpha + 1 / (n + 1). This holds on average over calibration sets: for a given one, the
    probability is distributed as Beta(k, n + 1 - k). With fewer than 1 / alpha - 1 images, only the set of all classes
    is valid.

    Args:
        scores: (n,) scores of the true classes of calibration images.
        alpha: the allowed share of images whose set misses the true class.
    """
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - ROUNDING)
    return float(scores.sort().values[rank - 1]) if rank <= len(scores) else EVERYTHING


def thresholds(scores: Tensor, labels: Tensor, alpha: float, *, classes: int, share: float) -> Tensor:
    """Return (C,) the threshold of each class: from its own images, from all images, or an interpolation.

    With the threshold from its own images, each class has the requested coverage, whatever the class distribution
    (class-conditional or Mondrian conformal prediction); with too few images, every set contains the class. With the
    threshold from all images, coverage holds only on average, if the class distribution is that of the calibration set.
    The interpolation share * own + (1 - share) * all guarantees neither: rare classes gain at the cost of larger sets.

    Args:
        scores: (N,) scores of the true classes of calibration images.
        labels: (N,) their class indices.
        alpha: the allowed share of images whose set misses the true class.
        classes: C.
        share: 1 for class-conditional thresholds, 0 for one threshold.

    Reference:
        Vovk, "Conditional Validity of Inductive Conformal Predictors", ACML 2012, https://arxiv.org/abs/1209.2673; for
        the interpolation Ding, Fermanian and Salmon, "Conformal Prediction for Long-Tailed Classification", ICLR 2026,
        https://arxiv.org/abs/2507.06867 (INTERP-Q); official code tiffanyding/long-tail-conformal.
    """
    each = torch.tensor([threshold(scores[labels == label], alpha) for label in range(classes)], dtype=torch.float64)
    return share * each + (1 - share) * threshold(scores, alpha)
