"""Stands for the command line in any process: writes what a run writes, and notes in a file what it was asked."""

from __future__ import annotations

import json
import os
import random
from itertools import pairwise
from pathlib import Path

import torch

from ltr.errors import InputError

MEASURES = ("top1", "gm", "hm", "lowest", "many", "medium", "few", "ece")


class Logged:
    """Answers with figures that depend on the run alone.

    Args:
        folder: where the log is.
        bad: names of trainings that fail.
        deadly: names of trainings that take their process down.
    """

    def __init__(self, folder: Path, *, bad: tuple[str, ...] = (), deadly: tuple[str, ...] = ()) -> None:
        self.log, self.bad, self.deadly = folder / "log", bad, deadly

    def __call__(self, verb: str, words: list[str], *, tell: bool) -> None:
        said = dict(pairwise(words))
        home = Path(said["--runs"]) / said["--name"] if verb == "fit" else Path(said["--ckpt_path"]).parent
        with self.log.open("a") as log:
            log.write(f"{verb} {home.name} {os.getpid()} {torch.get_num_threads()}\n")
        if home.name in self.deadly and verb == "fit":
            os.kill(os.getpid(), 9)
        if home.name in self.bad and verb == "fit":
            raise InputError("it broke.")
        if verb == "fit":
            home.mkdir(parents=True, exist_ok=True)
            (home / "last.ckpt").write_text("weights")
            return
        draw = random.Random(f"{home} {said['--evaluation']}")
        found = {key: round(draw.random(), 4) for key in MEASURES}
        data = {
            "name": "Fake",
            "imbalance": 10.0,
            "tail": "exp",
            "subset_seed": 0,
            "fingerprints": {"train": "ab" * 32},
        }
        rest = {"recall": [0.5, 0.25], "counts": [9, 5], "classes": ["a", "b"], "data": data, "params": 1234}
        made = {"epochs": 3, "passes": 3.0, "augmentation": "CropFlip", "views": 1, "experts": 1}
        made |= {"starts_from": [], "device": "cpu", "version": "1"}
        measures = {**found, "zero_recall": 0, "oracle_best": 0.9, **rest, "seconds": 7.0, "provenance": made}
        (home / said["--evaluation"]).mkdir(exist_ok=True)
        (home / said["--evaluation"] / "metrics.json").write_text(json.dumps(measures))

    def lines(self) -> list[list[str]]:
        """Return verb, run, process and threads of each call."""
        return [line.split() for line in self.log.read_text().splitlines()]
