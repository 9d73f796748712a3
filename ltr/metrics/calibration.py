"""Calibration errors: the distance of predicted probabilities from observed frequencies."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ltr.counts import shot_groups


def expected_calibration_error(hits: Tensor, confidences: Tensor, *, images: int) -> float:
    """Return the expected calibration error from sums per bin, NaN without images.

    ECE = sum_b (n_b / n) |hits_b / n_b - confidences_b / n_b|. The sizes n_b of the bins cancel.

    Args:
        hits: (bins,) recognised images.
        confidences: (bins,) sums of the confidences.
        images: n, over all bins.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, https://arxiv.org/abs/1706.04599.
    """
    return float((hits.double() - confidences.double()).abs().sum()) / images if images else float("nan")


def classwise_calibration_error(hits: Tensor, probabilities: Tensor, *, images: int) -> float:
    """Return the class-wise expected calibration error from sums per class and bin, NaN without images.

    For every class, all images are binned by their probability for it, and in each bin the share of images of the class
    is compared with the mean probability: (1 / C) sum_c sum_b |hits_cb - probabilities_cb| / n. Most of an image's C
    probabilities are near 0, so the error shrinks as 1 / C: compare it on one data set only.

    Args:
        hits: (C, bins) images of class c whose probability for c lies in bin b.
        probabilities: (C, bins) sums of the probabilities for c in bin b, over images of all classes.
        images: n, over all classes.

    Reference:
        Kull et al., "Beyond Temperature Scaling: Obtaining Well-Calibrated Multiclass Probabilities with Dirichlet
        Calibration", NeurIPS 2019, https://arxiv.org/abs/1910.12656; the static calibration error of Nixon et al.,
        "Measuring Calibration in Deep Learning", CVPR Workshops 2019, https://arxiv.org/abs/1904.01685.
    """
    return expected_calibration_error(hits, probabilities, images=images) / len(hits)


def shot_calibration(hits: Tensor, confidences: Tensor, totals: Tensor, *, counts: Sequence[int]) -> dict[str, float]:
    """Return the expected calibration error of each shot group.

    Args:
        hits: (C, bins) recognised images of each class, by confidence.
        confidences: (C, bins) sums of the confidences of the images of each class.
        totals: (C,) images of each class.
        counts: (C,) *training* images per class, whatever the split.
    """
    return {
        f"ece_{group}": expected_calibration_error(
            hits[members].sum(0), confidences[members].sum(0), images=int(totals[members].sum())
        )
        for group, members in shot_groups(counts).items()
    }
