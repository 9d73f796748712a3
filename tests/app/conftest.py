"""A page that is served, and a browser that has it open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Serve the page in an empty folder."""
    words = [sys.executable, "-m", "ltr", "app", "--port", "0"]
    server = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield SimpleNamespace(url=server.stdout.readline().split()[0], folder=tmp_path)
    server.terminate()
    server.wait(20)
    server.stdout.close()


@pytest.fixture
def page(site: SimpleNamespace) -> Iterator[Any]:
    """Open it."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.goto(site.url)
        yield opened
        browser.close()
