"""The figure of what was made of several networks."""

from __future__ import annotations

import pytest

from ltr import plots

NETWORKS = {
    "CE": {"": {"top1": 38.0, "hm": 3.0}, "+ GML": {"top1": 42.5, "hm": 27.8}},
    "a $loss$": {"": {"top1": 50.0, "hm": 35.5}, "+ GML": {"top1": 48.2, "hm": 38.7}, "LA": {"top1": 45.8, "hm": 36.4}},
    "without the network": {"+ GML": {"top1": 44.0, "hm": 30.0}},
    "a fourth": {"": {"top1": 40.0, "hm": 10.0}, "LA": {"top1": 41.0, "hm": 20.0}},
}


def test_each_panel_has_its_network_and_a_line_to_each_change() -> None:
    figure = plots.changes(NETWORKS)
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == list(NETWORKS)
    for axes, variants in zip(panels, NETWORKS.values(), strict=True):
        grey, *lines = axes.lines
        assert len(grey.get_xdata()) == sum(map(len, NETWORKS.values()))
        points = {tuple(line.get_xydata()[0]) for line in lines if line.get_linestyle() == "None"}
        assert points == {(one["top1"], one["hm"]) for one in variants.values()}
        joined = {tuple(map(tuple, line.get_xydata())) for line in lines if line.get_linestyle() == "-"}
        if start := variants.get(""):
            ends = [one for name, one in variants.items() if name]
            assert joined == {((start["top1"], start["hm"]), (one["top1"], one["hm"])) for one in ends}
        else:
            assert not joined


def test_one_legend_names_every_change_once() -> None:
    (legend,) = plots.changes(NETWORKS).legends
    assert [text.get_text() for text in legend.get_texts()] == ["the network itself", "+ GML", "LA"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_all_panels_have_numbers_and_one_range(count: int) -> None:
    figure = plots.changes(dict(list(NETWORKS.items())[:count]))
    panels = [axes for axes in figure.axes if axes.axison]
    assert len({axes.get_xlim() for axes in panels}) == len({axes.get_ylim() for axes in panels}) == 1
    assert all(axes.xaxis.get_tick_params()["labelbottom"] for axes in panels)


def test_a_failed_network_does_not_stretch_the_axes_of_the_others() -> None:
    failed = {"": {"top1": 5.0, "hm": 0.0}, "+ GML": {"top1": 9.0, "hm": 0.5}}
    *panels, last = [axes for axes in plots.changes({**NETWORKS, "failed": failed}).axes if axes.axison]
    for axes, before in zip(panels, plots.changes(NETWORKS).axes, strict=False):
        assert axes.get_xlim() == before.get_xlim()
    low, high = last.get_xlim()
    assert low < 5 < 9 < high < 20
