"""Training in a real browser, on the embedded digits."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
MEASURES = ("top1", "gm", "hm", "lowest")


def fill(page: Page, field: str, value: object) -> None:
    page.locator(f"#{field}").locator("input, textarea").first.fill(str(value))
    page.keyboard.press("Tab")


def begin(page: Page, name: str, epochs: int) -> None:
    """Start a training of a small network."""
    fill(page, "name", name)
    fill(page, "field-model-backbone-width", 4)
    fill(page, "field-trainer-max_epochs", epochs)
    expect(page.locator("#command")).to_contain_text(f"--trainer.max_epochs={epochs}")
    page.locator("#start").click()


def test_a_training_runs_to_its_end(page: Page, site: Any) -> None:
    page.get_by_role("button", name="Backbone").click()
    begin(page, "whole", 3)
    expect(page.locator("#status")).to_contain_text("running")
    page.reload()  # which loses nothing
    expect(page.locator("#status")).to_contain_text("whole")
    expect(page.locator("#status .state")).to_have_text("finished")
    for title in ("top-1", "GM", "HM", "lowest recall"):
        expect(page.locator("#status")).to_contain_text(title)
    picture = page.locator("#curves img")
    expect(picture).to_have_attribute("alt", re.compile("top-1, GM, HM and lowest recall"))
    with (site.runs / "whole" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert all(rows[-1][f"{split}/{measure}"] for split in ("train", "test") for measure in MEASURES)
