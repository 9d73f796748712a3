"""The front of heads."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ltr.plots import front


def row(loss: str, top1: float, hm: float, t_old: float | None = None, **said: Any) -> dict[str, Any]:
    """Return a row of a grid."""
    return {"loss": loss, "lr": 0.1, "t_old": t_old, "top1": top1, "hm": hm, "lowest": hm / 2, **said}


def names(figure: Figure) -> list[str]:
    """Return the legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_loss_has_one_entry_and_the_line_joins_what_is_not_beaten() -> None:
    rows = [row("old head", 0.38, 0.03), row("GML", 0.42, 0.28), row("GML", 0.41, 0.2), row("LA", 0.40, 0.3)]
    figure = front([*rows, row("LA", 0.39, 0.25, 2.0)])
    assert sorted(names(figure)) == sorted(["not beaten", "GML", "LA", "old head", "hollow: with the old head"])
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("top-1 (%)", "harmonic mean (%)")
    assert right.get_ylabel() == "lowest recall (%)"
    edge = next(line for line in left.lines if line.get_label() == "not beaten")
    assert [round(value, 6) for value in edge.get_xdata()] == [40, 42]  # type: ignore[union-attr]


def test_without_ensembles_nothing_is_hollow() -> None:
    assert "hollow: with the old head" not in names(front([row("GML", 0.4, 0.2, top1_std=0.01, hm_std=0.02)]))
