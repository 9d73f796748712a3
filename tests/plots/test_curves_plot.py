"""Measures in the course of a training as a figure."""

from __future__ import annotations

from ltr.plots import curves


def test_a_panel_per_measure_and_a_line_per_split() -> None:
    figure = curves(
        {
            "loss": {"train": ([0, 1, 2], [3.0, 2.0, 1.0])},
            "top-1 (%)": {"train": ([0, 1, 2], [10, 20, 30]), "test": ([2], [25])},
        }
    )
    loss, top1 = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "top-1 (%)"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"epoch"}
    assert [line.get_ydata().tolist() for line in top1.lines] == [[10, 20, 30], [25]]
    assert loss.lines[0].get_color() == top1.lines[0].get_color() != top1.lines[1].get_color()
    assert top1.lines[1].get_marker() == ".", "a single measurement is no line"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test"]


def test_a_single_epoch_is_a_whole_number() -> None:
    figure = curves({"loss": {"train": ([0], [2.3])}}, columns=1)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [0]
