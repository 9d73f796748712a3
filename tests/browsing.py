"""A page that is served, and a browser that looks at it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000  # ms, for what waits on imports and trainings


class Site(NamedTuple):
    """A page that is served.

    Attributes:
        url: where.
        folder: the one it was started in.
    """

    url: str
    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "checkpoints"


def served(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the page in a folder; its first line is its address."""
    return subprocess.Popen(
        [sys.executable, "-m", "ltr", "app", "--port", "0", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("gradio", reason='needs the extra: pip install -e ".[app]"')
    folder = tmp_path_factory.mktemp("site")
    process = served(folder)
    assert process.stdout is not None
    with process.stdout:
        yield Site(process.stdout.readline().split()[0], folder)
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def window(browser: Any) -> Iterator[Any]:
    """A window of the browser, which loads the scripts of the page once for all tests."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(window: Any, site: Site) -> Iterator[Any]:
    """A tab of the window at the page, with everything there."""
    page = window.new_page()
    page.goto(site.url)
    page.wait_for_selector("#command")
    yield page
    page.close()
