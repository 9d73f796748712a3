"""Reliability diagrams: confidence against accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ltr.plots.style import COLOURS, grid


class Bins(NamedTuple):
    """Equal-width bins of confidence: bin k holds (k / bins, (k + 1) / bins], the first also 0.

    Attributes:
        hits: (bins,) recognised images.
        totals: (bins,) images.
        confidences: (bins,) sums of their confidences.
    """

    hits: NDArray[np.float64]
    totals: NDArray[np.float64]
    confidences: NDArray[np.float64]

    @classmethod
    def of(cls, confidences: ArrayLike, hits: ArrayLike, *, bins: int = 15) -> Bins:
        """Bin images.

        Args:
            confidences: (N,) in [0, 1].
            hits: (N,) whether each image was recognised.
            bins: number of bins.
        """
        sure = np.asarray(confidences, dtype=np.float64)
        where = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
        hits = np.asarray(hits, dtype=np.float64)
        return cls(*(np.bincount(where, each, bins).astype(np.float64) for each in (hits, np.ones_like(hits), sure)))

    @property
    def ece(self) -> float:
        """The expected calibration error, NaN without images."""
        images = self.totals.sum()
        return float(np.abs(self.hits - self.confidences).sum() / images) if images else float("nan")


def reliability(groups: Mapping[str, Bins]) -> Figure:
    """Plot accuracy against confidence, one panel per group of images.

    Below the diagonal the model is overconfident. A second panel has the share of images in each bin; an empty bin has
    no bar.

    Args:
        groups: title -> bins of its images.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599.
    """
    figure = Figure(figsize=(3.1 * len(groups) + 0.4, 4.2), layout="constrained")
    panels = figure.subplots(2, len(groups), sharex=True, sharey="row", height_ratios=(4, 1), squeeze=False)
    for (axes, strip), (title, bins) in zip(panels.T, groups.items(), strict=True):
        hits, totals, confidences = bins
        edges = np.linspace(0, 100, len(totals) + 1)
        some = totals > 0
        accuracy, confidence = (100 * part[some] / totals[some] for part in (hits, confidences))
        middles, width = (edges[:-1] + edges[1:])[some] / 2, 0.9 * edges[1]
        axes.bar(middles, accuracy, width=width, color=COLOURS[0], label="recognised")
        axes.plot(confidence, accuracy, ".", color="black", markersize=5, label="mean confidence")
        axes.vlines(
            confidence, accuracy, confidence, color=COLOURS[1], linewidth=2, label="gap, of which ECE is the mean"
        )
        axes.plot([0, 100], [0, 100], color="0.5", linewidth=0.8, linestyle="--", label="calibrated")
        axes.set(title=title, ylim=(0, 100), xlim=(0, 100))
        axes.title.set_fontsize(9)
        strip.bar(middles, 100 * totals[some] / max(totals.sum(), 1), width=width, color="0.6")
        strip.set(xlabel="confidence (%)")
        for panel in (axes, strip):
            grid(panel, axis="y")
    panels[0, 0].set_ylabel("images recognised (%)")
    panels[1, 0].set_ylabel("share (%)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=4, frameon=False)
    return figure
