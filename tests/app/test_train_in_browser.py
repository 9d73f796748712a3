"""Training in a real browser, on the embedded digits."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("playwright", reason='needs the extra: pip install -e ".[test]"')
from playwright.sync_api import Page, expect

from tests.tiny import TINY

pytestmark = pytest.mark.browser
PATIENCE = 60_000  # ms
MEASURES = ("top1", "gm", "hm", "lowest")


def fill(page: Page, field: str, value: object) -> None:
    page.locator(f"#{field}").locator("input, textarea").first.fill(str(value))
    page.keyboard.press("Tab")


def begin(page: Page, name: str, epochs: int) -> None:
    """Start a training of a small network."""
    fill(page, "name", name)
    page.locator(".group button").filter(has_text="Backbone").first.click()
    fill(page, "field-model-backbone-width", 4)
    fill(page, "field-trainer-max_epochs", epochs)
    expect(page.locator("#command textarea")).to_have_value(re.compile(f"--trainer.max_epochs={epochs}"))
    page.locator("#start").click()
    expect(page.locator("#status")).to_contain_text(name)


def test_a_training_begins_once_and_runs_to_its_end(page: Page, site: Any) -> None:
    begin(page, "whole", 3)
    page.locator("#start").click()
    expect(
        page.get_by_text("The run whole exists already").or_(page.get_by_text("running already")).first
    ).to_be_visible()
    page.reload()  # which loses nothing
    expect(page.locator("#status")).to_contain_text("whole")
    expect(page.locator("#status .state")).to_have_text("tested")
    for title in ("top-1", "GM", "HM", "lowest"):
        expect(page.locator("#status")).to_contain_text(title)
    picture = page.locator("#curves img")
    expect(picture).to_have_attribute("alt", re.compile("top-1, GM, HM and lowest recall"))
    with (site.runs / "whole" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert all(rows[-1][f"{split}/{measure}"] for split in ("train", "test") for measure in MEASURES)


def test_the_progress_of_a_training_is_shown(page: Page) -> None:
    begin(page, "watched", 2000)  # more than end while the page looks
    expect(page.locator("#status")).to_contain_text("running")
    expect(page.locator("#status")).to_contain_text(re.compile(r"epoch \d+ of 2000"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status .state")).to_have_text(re.compile(r"stopped at \d+/2000"))


def test_a_training_is_stopped_and_goes_on(page: Page, site: Any) -> None:
    begin(page, "halved", 12)
    epochs = site.runs / "halved" / "metrics.csv"
    until(lambda: epochs.is_file() and (site.runs / "halved" / "last.ckpt").is_file())
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status .state")).to_have_text(re.compile(r"stopped at \d+/12"))
    before = epochs.read_text().splitlines()
    assert 2 <= len(before) <= 12
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#status .state")).to_have_text("tested", timeout=4 * PATIENCE)
    after = epochs.read_text().splitlines()
    assert len(after) == 13
    assert after[: len(before)] == before


def test_what_cannot_be_is_told_before_anything_starts(page: Page, site: Any) -> None:
    fill(page, "field-data-root", "/etc")
    fill(page, "name", "outside")
    expect(page.locator("#command textarea")).to_have_value(re.compile("/etc is outside of the folders of this page"))
    page.locator("#start").click()
    expect(page.get_by_text("/etc is outside of the folders of this page").last).to_be_visible()
    assert not (site.runs / "outside").exists()


def test_another_class_brings_its_fields(page: Page) -> None:
    page.locator(".group button").filter(has_text="Loss").first.click()
    field = page.locator("#field-model-loss input")
    field.fill("LDAM")
    field.press("Enter")
    expect(page.locator("#field-model-loss-margin")).to_be_attached()
    expect(page.locator("#command textarea")).to_have_value(re.compile("--model.loss LDAM"))


def test_a_run_is_looked_after(page: Page, site: Any, ltr: Callable[..., int]) -> None:
    assert ltr(f"fit {TINY} --runs {site.runs} --name kept") == 0
    assert ltr(f"test --ckpt_path {site.runs}/kept") == 0
    fill(page, "watched-run", "kept")
    expect(page.locator("#status .state")).to_have_text("tested")
    page.get_by_role("tab", name="Runs").click()
    page.get_by_role("button", name="Refresh").click()
    page.locator("#runs").get_by_text("kept", exact=True).locator("visible=true").first.click()
    expect(page.locator("#config")).to_contain_text("seed_everything")
    page.locator("#report").click()
    with page.context.expect_page() as opened:
        page.locator("#report-link a").click()
    expect(opened.value.locator("h1")).to_have_text("kept")
    opened.value.close()  # a page behind another is slow to react
    page.locator("#use").click()
    expect(page.get_by_text("The form has the settings of kept.")).to_be_visible()
    expect(page.locator("#name")).to_be_visible()
    fill(page, "name", "again")
    expect(page.locator("#command textarea")).to_have_value(re.compile("ltr fit --config checkpoints/kept/config.yaml"))
    page.get_by_role("tab", name="Runs").click()
    page.locator("#delete").click()
    expect(page.locator("#question")).to_contain_text("Delete kept")
    page.locator("#no").click()
    assert (site.runs / "kept").is_dir()
    page.locator("#delete").click()
    page.locator("#yes").click()
    until(lambda: not (site.runs / "kept").exists())
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#status")).to_contain_text("there is no run kept")


def until(true: Callable[[], bool]) -> None:
    """Wait for what happens in another process."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)
