"""The figure of what two heads trade."""

from __future__ import annotations

import pytest

from ltr import plots


def row(top1: float, hm: float, lowest: float) -> dict[str, float]:
    """Return the measures of a point."""
    return {"top1": top1, "hm": hm, "lowest": lowest}


def test_the_curve_the_models_and_the_point_are_where_they_were_measured() -> None:
    curve = [row(0.38, 0.03, 0.0), row(0.41, 0.2, 0.02), row(0.42, 0.3, 0.07)]
    points = {"before": row(0.37, 0.02, 0.0), "after": row(0.43, 0.31, 0.08)}
    figure = plots.trade_off(curve, points, ("both $heads$", curve[1]))
    for axes, key in zip(figure.axes, ("hm", "lowest"), strict=True):
        line, before, after, here = axes.lines
        assert list(line.get_xdata()) == pytest.approx([38, 41, 42])
        assert list(line.get_ydata()) == pytest.approx([100 * point[key] for point in curve])
        for marker, point in ((before, points["before"]), (after, points["after"]), (here, curve[1])):
            assert (*marker.get_xdata(), *marker.get_ydata()) == pytest.approx((100 * point["top1"], 100 * point[key]))
        assert axes.get_xlabel() == "top-1 (%)"
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["both heads, a dot per temperature", "before", "after", "both $heads$"]
