"""What the tests of pages share: runs made by hand, and pages taken apart."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CLASSES = ["<script>alert(1)</script>", "a & b", "$\\frac{$", "plain", '"quoted"']
COUNTS = [200, 120, 50, 12, 4]
VOID = ("meta", "img", "br", "link", "input", "source")


class Page(HTMLParser):
    """The elements of a page, its tables and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.whole, self.tags, self.open = text, [], []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} is closed where it is not open"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    @property
    def figures(self) -> int:
        """How many figures there are."""
        return sum("figure" in (attributes.get("class") or "").split() for _, attributes in self.tags)

    def table(self, corner: str, column: str) -> dict[str, dict[str, str]]:
        """Return the table with that first and that other title, by row and column."""
        head, *rows = next(table for table in self.tables if table[0][0] == corner and column in table[0])
        return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def make_run(folder: Path) -> Path:
    """Write curves and a config, as a training does."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "seed_everything: 3\ntrainer: {max_epochs: 2, callbacks: null}\n"
        "model: {class_path: ltr.methods.Method, init_args: {loss: {class_path: ltr.losses.CrossEntropy}}}\n"
        "data: {class_path: ltr.data.Synthetic, init_args: {root: '</pre><script>1</script>'}}\n"
    )
    rows = [{"epoch": 0, "train/loss": 2.5, "train/top1": 0.2}, {"epoch": 1, "train/loss": 2.0, "train/top1": 0.4}]
    for key in ("gm", "hm", "lowest"):
        rows[0][f"train/{key}"] = rows[1][f"train/{key}"] = 0.1
    rows[1] |= {"test/top1": 0.3, "test/gm": 0.2, "test/hm": 0.1, "test/lowest": 0.0}
    with (folder / "metrics.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[1]), restval="")
        table.writeheader()
        table.writerows(rows)
    return folder


def make_metrics(folder: Path, **others: Any) -> Path:
    """Write the metrics of an evaluation."""
    folder.mkdir(parents=True, exist_ok=True)
    recall = [0.9, 0.7, 0.5, None, 0.1]
    measures = {
        "top1": 0.51234, "gm": 0.4, "hm": 0.3, "lowest": 0.1, "zero_recall": 0, "many": 0.8, "medium": 0.5, "few": 0.1,
        "ece": 0.123, "nll": 1.23456, "strange_measure": 12345.0, "recall": recall, "counts": COUNTS, "floor": 1e-3,
        "classes": CLASSES, "split": "test", "adjustments": [], "seed": 3, "params": 1234, "seconds": 5.5,
        "data": {"name": "Synthetic", "imbalance": 50.0, "tail": "exp", "subset_seed": 0, "official": True,
                 "fingerprints": {"train": "ab" * 32, "test": "cd" * 32}},
        "config": {},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(measures | others))
    return folder


def make_predictions(folder: Path, **others: Tensor) -> dict[str, Any]:
    """Write predictions of 60 images of five classes, of which the fourth has none."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 1, 2, 4]).repeat_interleave(15)
    probabilities = (3 * torch.rand(60, 5, generator=generator)).softmax(1)
    content = {
        "probabilities": probabilities,
        "labels": labels,
        "indices": torch.arange(60),
        "features": torch.randn(60, 8, generator=generator).half(),
        "featured": torch.arange(60),
        "lengths": torch.rand(1, 5, generator=generator),
        "examples": torch.randint(0, 256, (4, 3, 8, 8), generator=generator).to(torch.uint8),
        "exampled": torch.tensor([45, 46, 30, 31]),
        "classes": CLASSES,
        "counts": COUNTS,
        **others,
    }
    torch.save(content, folder / "predictions.pt")
    return content
