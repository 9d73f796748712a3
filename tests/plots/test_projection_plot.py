"""Features in the plane as a figure."""

from __future__ import annotations

import numpy as np

from ltr.plots import projection


def test_every_class_has_its_points_and_a_style_of_its_own() -> None:
    labels = np.arange(10).repeat(3)
    points = np.stack([labels, np.arange(30)], 1)
    counts = list(range(10, 110, 10))
    names = [f"class {label}" for label in range(10)]
    figure = projection(points, labels, counts, classes=names, axes_names=("first", "second"))
    (axes,) = figure.axes
    assert len({(line.get_marker(), tuple(line.get_color())) for line in axes.lines}) == 10
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "class 9 (100)", "the legend begins with the most training images"
    assert axes.lines[0].get_xdata().tolist() == [9, 9, 9]
    assert axes.lines[0].get_ydata().tolist() == [27, 28, 29]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("first", "second")
