"""Asking about images in a real browser: they go up, answers come down, and the sliders act on them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from ltr.backbones import ResNet20
from ltr.run import lookup

pytestmark = pytest.mark.browser

TUNED = "gml_resnet32_cifar100_lt100"


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Return two images, the name of one of which is markup, and a file that is none."""
    for name in ("one.png", "<img src=x onerror=alert(1)>.png"):
        noise = torch.randint(0, 256, (40, 30, 3), dtype=torch.uint8).numpy()
        Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / "text.png").write_text("no image")
    return [str(path) for path in sorted(tmp_path.glob("*.png"))]


@pytest.fixture
def tab(page: Page) -> Page:
    page.get_by_role("tab", name="Infer").click()
    return page


def choose(tab: Page, field: str, value: str) -> None:
    tab.locator(f"#infer-{field} input").click()
    tab.get_by_role("option", name=value, exact=True).click()


def ask(tab: Page, images: list[str]) -> None:
    tab.locator("#infer-images input[type=file]").set_input_files(images)
    expect(tab.locator("#infer-images .thumbnail-item")).to_have_count(len(images))
    tab.locator("#infer-classify").click()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_tuned_run_answers_with_both_heads(site: Any, tab: Page, images: list[str], width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    name = f"tuned_{width}"  # it was not there when the page was made
    shutil.copytree(lookup.folder("checkpoints") / TUNED, site.folder / "checkpoints" / name)
    choose(tab, "run", name)
    ask(tab, images)
    expect(tab.locator(".asked")).to_have_count(2)
    expect(tab.locator(".answers .note")).to_have_text(re.compile(r"^text\.png is damaged"))
    expect(tab.locator(".asked").first.locator("caption")).to_have_text(["Old head", "New head", "Ensemble"])
    expect(tab.locator(".answers tr")).to_have_count(2 * 3 * 10)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width  # only the columns scroll
    share = tab.locator(".asked table").first.locator("td").first
    before = share.inner_text()
    tab.locator("#infer-old input[type=number]").fill("9")
    expect(share).not_to_have_text(before)
    assert float(share.inner_text().rstrip("%")) < float(before.rstrip("%"))


def test_a_file_that_browsers_cannot_show_has_a_thumbnail_and_its_name(site: Any, tab: Page, tmp_path: Path) -> None:
    Image.fromarray(torch.randint(0, 256, (40, 30, 3), dtype=torch.uint8).numpy()).save(tmp_path / "sign.ppm")
    shutil.copytree(lookup.folder("checkpoints") / TUNED, site.folder / "checkpoints" / "tuned_ppm")
    choose(tab, "run", "tuned_ppm")
    tab.locator("#infer-images input[type=file]").set_input_files(str(tmp_path / "sign.ppm"))
    thumbnail = tab.locator("#infer-images .thumbnail-item img")
    expect(thumbnail).to_have_js_property("naturalWidth", 30)
    tab.locator("#infer-classify").click()
    expect(tab.locator(".asked .image p")).to_have_text("sign.ppm")


def test_a_foreign_file_is_asked_once_its_kind_is_named(tab: Page, images: list[str], tmp_path: Path) -> None:
    weights = tmp_path / "foreign.pth"
    torch.save(ResNet20().state_dict() | {"fc.weight": torch.randn(10, 64), "fc.bias": torch.randn(10)}, weights)
    tab.get_by_label("a file of weights").check()
    tab.locator("#infer-weights input[type=file]").set_input_files(weights)
    ask(tab, images[:1])
    expect(tab.get_by_text("foreign.pth does not name its network")).to_be_visible()
    choose(tab, "architecture", "ResNet20")
    choose(tab, "data", "Digits-LT")
    tab.locator("#infer-classify").click()
    expect(tab.locator("caption")).to_have_text(["Head"])
    expect(tab.locator(".answers tr")).to_have_count(10)
