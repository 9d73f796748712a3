"""Memory and open files over a long training and many predictions of the page: `python tests/benchmarks/endurance.py`.

Both are read from /proc, so this needs Linux; the page is driven in Chromium (`pip install -e ".[test]"`). A leak is
growth that goes on: the tables say what is in use after each tenth.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from ltr.markdown import markdown_table

TRAINING = (
    "fit --config ce.yaml --config data/digits.yaml --model.backbone ResNet20 --model.backbone.width 4 "
    "--trainer.check_val_every_n_epoch 10 --trainer.accelerator cpu --trainer.enable_progress_bar false --name long"
)
RUN = "gml_resnet32_cifar100_lt100"
CHROMIUM = "/usr/bin/chromium"
POLL = 0.2  # seconds


def in_use(pid: int) -> tuple[str, str, str]:
    """Return the memory of a process in MiB, its open files, and its threads."""
    text = Path(f"/proc/{pid}/status").read_text()
    memory, threads = (int(re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)[1]) for key in ("VmRSS", "Threads"))
    return f"{memory / 1024:.0f}", str(len(os.listdir(f"/proc/{pid}/fd"))), str(threads)


def tenths(whole: int, reached: Callable[[], int], process: subprocess.Popen[bytes]) -> Iterator[list[str]]:
    """Yield what a process uses after each tenth of its work."""
    for tenth in range(1, 11):
        while (done := reached()) < whole * tenth // 10 and process.poll() is None:
            time.sleep(POLL)
        if process.poll() is None:
            yield [str(done), *in_use(process.pid)]


@contextmanager
def started(words: list[str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `ltr` in a folder, and end it."""
    command = [sys.executable, "-m", "ltr", *words]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def training(epochs: int, home: Path) -> Iterator[list[str]]:
    """Train the digits, and yield what that uses."""
    curves = home / "checkpoints" / "long" / "metrics.csv"

    def reached() -> int:
        if not curves.exists():
            return 0
        with curves.open(newline="") as lines:
            return sum(1 for _ in csv.DictReader(lines))

    # Some epochs more, so that the process is there when the last one counted is over.
    with started([*TRAINING.split(), "--trainer.max_epochs", str(epochs + 20)], home) as process:
        yield from tenths(epochs, reached, process)


def page(predictions: int, home: Path) -> Iterator[list[str]]:
    """Ask the page about an image so many times, and yield what that uses."""
    with started(["app", "--port", "7999"], home) as process, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        for _ in range(300):
            if "http://" in (home / "log").read_text():
                break
            time.sleep(POLL)
        tab.goto("http://127.0.0.1:7999")
        tab.get_by_role("tab", name="Infer").click()
        tab.locator("#infer-run input").click()
        tab.get_by_role("option", name=RUN, exact=True).click()
        for done in range(1, predictions + 1):
            name = f"{done}.png"
            Image.fromarray(torch.randint(0, 256, (40, 30, 3), dtype=torch.uint8).numpy()).save(home / name)
            tab.locator("#infer-images input[type=file]").set_input_files(str(home / name))
            expect(tab.locator("#infer-images .thumbnail-item")).to_have_count(1)
            tab.locator("#infer-classify").click()
            expect(tab.locator(".asked .image p")).to_have_text(name, timeout=60_000)
            tab.get_by_label("Clear").first.click()
            if done % max(predictions // 10, 1) == 0:
                yield [str(done), *in_use(process.pid)]
        browser.close()


def main() -> None:
    """Print both tables."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--epochs", type=int, default=2000)
    options.add_argument("--predictions", type=int, default=500)
    chosen = options.parse_args()
    for title, count, work in (("epochs", chosen.epochs, training), ("predictions", chosen.predictions, page)):
        if count:
            with tempfile.TemporaryDirectory() as home:
                rows = list(work(count, Path(home)))
            print(markdown_table([title, "memory, MiB", "open files", "threads"], rows), flush=True)


if __name__ == "__main__":
    main()
