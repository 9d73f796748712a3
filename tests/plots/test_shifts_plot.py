"""Top-1 against the class distribution."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ltr.plots import shifts


def row(distribution: str, parameter: float, treatment: str, top1: float) -> dict[str, Any]:
    """Return a row of the table."""
    return {"distribution": distribution, "parameter": parameter, "treatment": treatment, "top1": top1}


def test_a_line_per_treatment_from_backward_to_forward() -> None:
    places = {("forward", 10): 0.6, ("uniform", 1): 0.4, ("backward", 10): 0.2, ("dirichlet", 1): 0.0}
    rows = [
        row(*where, treatment, top1 + gain)
        for where, top1 in places.items()
        for treatment, gain in {"as it is": 0.0, "known prior": 0.1}.items()
    ]
    figure = shifts(rows)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    for treatment, expected in {"as it is": [20, 40, 60], "known prior": [30, 50, 70]}.items():
        assert list(lines[treatment].get_xdata()) == pytest.approx([-math.log(10), 0, math.log(10)])
        assert list(lines[treatment].get_ydata()) == pytest.approx(expected)
    assert sorted(label.get_text() for label in axes.get_xticklabels()) == ["1", "10", "10"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["as it is", "known prior"]
