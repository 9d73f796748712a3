"""The figures of a run, drawn from the files in its folder; None if these are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ltr import plots
from ltr.counts import shot_groups
from ltr.html import picture
from ltr.measures import mean, shown
from ltr.plots import Bins
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import Row

HEAD, OLD, NEW = "head", "old head", "new head"
SERIES = 5
# Class names may contain `$`, and equal figures must give equal files.
STYLE: Any = {"text.parse_math": False, "svg.fonttype": "path", "svg.hashsalt": "ltr"}

Recalls = Mapping[str, Sequence[float | None]]


def drawn(evaluation: EvaluationResult) -> dict[str, Figure]:
    """Return every figure of an evaluation that can be drawn, by name."""
    figures = {
        "recall": recall(recalls([evaluation]), evaluation),
        "recall_change": change(evaluation),
        "confusion": confusion(evaluation),
        "shot_groups": groups(recalls([evaluation]), evaluation),
        "reliability": reliability(evaluation),
        "lengths": lengths(evaluation),
        "projection": projection(evaluation),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def line(rows: Sequence[Row], key: str, unit: float = 1) -> tuple[list[float], list[float]]:
    """Return the epochs in which something was measured, and its values."""
    points = [(row["epoch"], unit * row[key]) for row in rows if key in row]
    return [epoch for epoch, _ in points], [value for _, value in points]


def training(rows: Sequence[Row], *, columns: int | None = None) -> Figure | None:
    """Draw loss and measures of every split that a training followed.

    Args:
        rows: the measures of each epoch.
        columns: as for `plots.curves`.
    """
    splits = [split for split in ("train", "val", "test") if any(f"{split}/top1" in row for row in rows)]
    if not splits:
        return None
    panels = {"loss": {"train": line(rows, "train/loss")}}
    for measure in shown("summary"):
        panels[measure.axis()] = {split: line(rows, f"{split}/{measure.key}", measure.scale) for split in splits}
    return plots.curves(panels, columns=columns)


def training_picture(rows: Sequence[Row]) -> str:
    """Return what `training` draws as an image within a page; empty if there is nothing to draw."""
    if (figure := training(rows, columns=2)) is None:
        return ""
    return picture(figure, "loss, top-1, GM, HM and lowest recall per epoch", narrow=training(rows, columns=1))


def tests(runs: Mapping[str, Sequence[Row]]) -> Figure | None:
    """Draw the measures on the test split in the course of several trainings."""
    followed = {name: rows for name, rows in runs.items() if any("test/top1" in row for row in rows)}
    if not followed:
        return None
    return plots.curves(
        {
            measure.axis(): {name: line(rows, f"test/{measure.key}", measure.scale) for name, rows in followed.items()}
            for measure in shown("summary")
        }
    )


def titled(evaluations: Sequence[EvaluationResult]) -> dict[str, EvaluationResult]:
    """Return the evaluations of a run by their titles: the main one of a tuning is that of the new head."""
    return {
        NEW if number == 0 and "old_recall" in one.metrics else one.name: one for number, one in enumerate(evaluations)
    }


def recalls(evaluations: Sequence[EvaluationResult]) -> dict[str, Sequence[float | None]]:
    """Return the recalls of the evaluations of a run, before them those of the head that a tuning replaced."""
    old = [one.metrics["old_recall"] for one in evaluations if "old_recall" in one.metrics][:1]
    new = {title: one.metrics["recall"] for title, one in titled(evaluations).items()}
    return ({OLD: old[0]} if old else {}) | new


def recall(rows: Recalls, of: EvaluationResult) -> Figure:
    """Draw the recall of every class, of five models at most."""
    return plots.per_class_recall(dict(list(rows.items())[:SERIES]), of.counts, classes=of.classes)


def change(evaluation: EvaluationResult) -> Figure | None:
    """Draw what a tuning changed for every class."""
    old = evaluation.metrics.get("old_recall")
    if old is None:
        return None
    new = evaluation.metrics["recall"]
    return plots.recall_change(old, new, evaluation.counts, classes=evaluation.classes, names=(OLD, NEW))


def difference(first: tuple[str, EvaluationResult], second: tuple[str, EvaluationResult]) -> Figure:
    """Draw what the second of two named models changes for every class."""
    (before, one), (after, other) = first, second
    return plots.recall_change(
        one.metrics["recall"], other.metrics["recall"], one.counts, classes=one.classes, names=(before, after)
    )


def groups(recalls: Recalls, of: EvaluationResult) -> Figure:
    """Draw the recalls of the shot groups, models side by side."""
    members = shot_groups(of.counts)
    rows = {
        name: {group: mean(recall[label] for label in members[group]) for group in members}
        for name, recall in recalls.items()
    }
    return plots.group_recall(rows, of.counts)


def answered(evaluation: EvaluationResult) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None:
    """Return labels, predictions and confidences (N,) of the images, None if they were not kept."""
    if not evaluation.predictions:
        return None
    best = evaluation.predictions["probabilities"].max(1)
    return evaluation.predictions["labels"].numpy(), best.indices.numpy(), best.values.double().numpy()


def confusion(evaluation: EvaluationResult) -> Figure | None:
    """Draw the confusion matrix."""
    if (answers := answered(evaluation)) is None:
        return None
    labels, predictions, _ = answers
    return plots.confusion(labels, predictions, classes=evaluation.classes, counts=evaluation.counts)


def calibration(evaluation: EvaluationResult) -> dict[str, Bins] | None:
    """Return the confidences of all images and of those of the classes of each shot group, None if not kept."""
    if (answers := answered(evaluation)) is None:
        return None
    labels, predictions, confidences = answers
    parts: dict[str, Any] = {"all": np.ones(len(labels), dtype=bool)}
    parts |= {group: np.isin(labels, members) for group, members in shot_groups(evaluation.counts).items()}
    hits = labels == predictions
    return {name: Bins.of(confidences[part], hits[part]) for name, part in parts.items() if part.any()}


def reliability(evaluation: EvaluationResult) -> Figure | None:
    """Draw how far confidence lies from accuracy, for each shot group of the true classes."""
    if (bins := calibration(evaluation)) is None:
        return None
    titles = {
        name: f"{name}: ECE {100 * part.ece:.1f} %, {part.totals.sum():,.0f} images" for name, part in bins.items()
    }
    return plots.reliability({titles[name]: part for name, part in bins.items()})


def lengths(evaluation: EvaluationResult) -> Figure | None:
    """Draw the lengths of the classifier's weights, of the old one too, a line for each expert."""
    heads = {}
    new = f"new {HEAD}" if "old_lengths" in evaluation.predictions else HEAD
    for key, name in (("old_lengths", OLD), ("lengths", new)):
        rows = evaluation.predictions.get(key, ())
        for number, row in enumerate(rows, 1):
            heads[f"{name}, expert {number}" if len(rows) > 1 else name] = row.tolist()
    return plots.lengths(heads, evaluation.counts, classes=evaluation.classes) if heads else None


def projection(evaluation: EvaluationResult) -> Figure | None:
    """Draw the features that were kept on their two first principal components."""
    if "features" not in evaluation.predictions:
        return None
    from sklearn.decomposition import PCA

    features = evaluation.predictions["features"].double().numpy()
    features = features[:, np.isfinite(features).all(0)]  # an expert that was not asked about an image has none
    if min(features.shape) < 2:
        return None
    pca = PCA(2, svd_solver="full")
    points, shares = pca.fit_transform(features), 100 * pca.explained_variance_ratio_
    names = (f"first principal component ({shares[0]:.0f} % of the variance)", f"second ({shares[1]:.0f} %)")
    labels = evaluation.predictions["labels"][rows_of(evaluation, "featured")]
    return plots.projection(points, labels, evaluation.counts, classes=evaluation.classes, axes_names=names)


def rows_of(evaluation: EvaluationResult, key: str) -> NDArray[np.int64]:
    """Return in which rows of the predictions the images are whose positions in the split are kept under a key."""
    order, positions = (evaluation.predictions[name].numpy() for name in ("indices", key))
    return np.asarray(np.searchsorted(order, positions), dtype=np.int64)
