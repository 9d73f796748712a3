"""A tuning in the browser, from the form to the files."""

from __future__ import annotations

import csv
from types import SimpleNamespace
from typing import Any

import pytest

from ltr.__main__ import main

MINUTE = 60_000
TRAINED = (
    "fit --config ce.yaml --config data/digits.yaml --model.backbone ResNet20 --model.backbone.width 4 "
    "--model.schedule Cosine --trainer.max_epochs 6 --name digits"
)


@pytest.mark.browser
def test_a_network_is_tuned_and_compared(site: SimpleNamespace, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.folder)
    main(TRAINED.split())
    page.reload()
    page.get_by_role("tab", name="Compare").click()
    tab = page.locator("#compare")
    tab.get_by_label("Base", exact=True).click()
    tab.get_by_role("option", name="digits", exact=True).click()
    name = tab.get_by_label("Name")
    page.wait_for_function("field => field.value == 'digits_gml'", arg=name.element_handle(), timeout=MINUTE)
    tab.get_by_label("Epochs").fill("40")
    tab.get_by_role("button", name="Tune and compare").click()
    tab.get_by_role("progressbar").wait_for(timeout=MINUTE)
    page.reload()  # the tuning goes on, and the page finds it again
    page.get_by_role("tab", name="Compare").click()
    tab.get_by_text("digits_gml is finished").wait_for(timeout=5 * MINUTE)
    tab.get_by_alt_text("recall of every class, by training images").wait_for(timeout=MINUTE)
    tab.get_by_alt_text("top-1 against harmonic mean and lowest recall").wait_for(timeout=MINUTE)
    rows = tab.locator("tbody tr").all_inner_texts()
    assert [row.split(":")[0].split(" (")[0] for row in rows] == ["before", "after", "control", "both heads"]
    tab.get_by_label("number input for Temperature of the old head").fill("3")
    tab.get_by_text("both heads (t_new 1, t_old 8)").wait_for(timeout=MINUTE)

    for title in ("Recalls (PNG)", "Trade-off (PNG)"):
        with page.expect_download() as download:
            tab.get_by_role("button", name=title).click()
        assert download.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        tab.get_by_role("button", name="Recalls (CSV)").click()
    with download.value.path().open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [row["class"] for row in table] == [str(digit) for digit in range(10)]
    assert all(0 <= float(row["recall: after: GML"]) <= 1 for row in table)
    with page.expect_download() as download:
        tab.get_by_role("button", name="Figures (CSV)").click()
    assert download.value.path().read_text().count("\n") == 5
