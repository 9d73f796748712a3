"""How measures are written."""

from __future__ import annotations

from ltr.measures import measure_of

NOTE = (
    "In percent: recalls, their means, F1 and calibration errors; everything else is as in metrics.json. Zero-recall "
    "counts the classes of which no test image was recognised. The result of a run is its last epoch."
)


def title(key: str) -> str:
    """Return what a measure is called."""
    return measure_of(key).title


def written(key: str, value: float | None) -> str:
    """Return a measure as text, in percent where it is a fraction; `-` where there was nothing to measure."""
    if value is None:
        return "-"
    if measure_of(key).unit == "%":
        return f"{100 * value:.2f}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def percent(value: float | None) -> str:
    """Return a fraction in percent, `-` for None and NaN."""
    return "-" if value is None or value != value else f"{100 * value:.1f}"
