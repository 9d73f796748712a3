"""The command: run the benchmarks, print tables, write the numbers as JSON."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from augmentations import augmentations
from image_files import image_files
from tables import markdown

from ltr import files
from ltr.machine import cores, processor
from ltr.version import __version__

HERE = Path(__file__).resolve().parent
CURVE_EPOCHS = 5
DESCRIPTION = """Measure speed and memory on this machine. Without a recipe: the training loop of `ltr fit` against a
bare loop and the usual stack of PIL images and worker processes, evaluation, start-up, and the augmentations. With
--recipes: what each of them costs next to cross-entropy. With --curves: whether `ltr fit` learns what the usual stack
learns, in short trainings with cross-entropy, seeds from 0. With --files: how fast image files of many sizes and
kinds, made for this, are found, read and trained on. Everything is timed in turns within one process, so ratios hold
on a busy machine too; leave it idle for absolute figures. Other arguments go to every training, such as --data.root
data or --trainer.limit_train_batches 20."""


def main(arguments: Sequence[str]) -> None:
    """Run the benchmarks; write the tables and the numbers.

    Args:
        arguments: recipes, options, and arguments for every training.

    Raises:
        SystemExit: for a wrong option, or after the others where a training failed.
    """
    parser = argparse.ArgumentParser("bench.py", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--recipes", nargs="+", default=[], help="configs to compare with cross-entropy")
    parser.add_argument("--curves", type=int, default=0, help="trainings whose curves are compared")
    parser.add_argument("--files", type=int, default=0, help="image files that are made and read")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is timed")
    parser.add_argument("--output", default="bench", help="folder of the results")
    options, common = parser.parse_known_args(arguments)
    if options.rounds < 1:
        parser.error("a benchmark needs at least one round: pass `--rounds 5`.")
    trainings = Trainings(options.rounds, common)
    result = {"command": shlex.join(["python", "tests/benchmarks/bench.py", *arguments]), **machine()}
    if options.recipes:
        result["recipes"] = [trainings.measure(recipe, ["bare"]) for recipe in options.recipes]
    elif options.files:
        announce(f"{options.files} files")
        with tempfile.TemporaryDirectory() as folder:
            result["files"] = image_files(options.files, Path(folder))
    elif options.curves:
        result["curves"] = [trainings.follow(seed) for seed in range(options.curves)]
    else:
        result["loop"] = trainings.measure("ce.yaml", ["bare", "usual"])
        result["help_seconds"] = help_seconds(options.rounds)
        announce("augmentations")
        result["augmentations"] = augmentations(rounds=options.rounds)
    text = markdown(result)
    print(text, end="")
    name = next((name for name in ("recipes", "curves", "files") if name in result), "bench")
    path = Path(options.output) / f"{name}.json"
    files.write_json(path, result)
    files.write_text(path.with_suffix(".md"), text)
    print(f"\n{path}")
    for row in [*result.get("recipes", []), *result.get("curves", []), result.get("loop", {})]:
        if "failure" in row:
            sys.exit(f"bench.py: error: {row['recipe']} could not be run: {row['failure']}")


def machine() -> dict[str, Any]:
    """Describe the machine that the figures are of."""
    return {
        "ltr": __version__,
        "torch": torch.__version__,
        "cpu": processor(),
        "cores": cores(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


class Trainings:
    """Short trainings in processes of their own, so that memory and start-up are those of a command.

    Args:
        rounds: counted epochs of each.
        common: arguments of every training.
    """

    def __init__(self, rounds: int, common: Sequence[str]) -> None:
        self.rounds, self.common = rounds, common

    def measure(self, recipe: str, against: list[str]) -> dict[str, Any]:
        """Run a recipe with other loops beside it; return what `Contest` reports, or why it failed."""
        announce(recipe)
        launched = time.time()
        words = ["--trainer.callbacks.rounds", str(self.rounds), "--trainer.callbacks.against", json.dumps(against)]
        found = self.report(recipe, "contest.Contest", *words)
        if "first_step" in found:
            found["first_step"] -= launched
        return found

    def follow(self, seed: int) -> dict[str, Any]:
        """Train cross-entropy beside the usual stack; return what `Curves` reports, or why it failed."""
        announce(f"seed {seed}")
        words = ["--seed_everything", str(seed), "--trainer.max_epochs", str(CURVE_EPOCHS)]
        words += ["--model.schedule", "Cosine", "--model.schedule.warmup", "0"]
        return {"seed": seed, **self.report("ce.yaml", "curves.Curves", *words)}

    def report(self, recipe: str, callback: str, *more: str) -> dict[str, Any]:
        """Run a recipe with a callback of this folder; return its report, or why the training failed."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            words = [sys.executable, "-m", "ltr", "fit", "--config", recipe, *self.common]
            words += ["--runs", folder, "--name", "bench", "--trainer.enable_progress_bar", "false"]
            words += ["--trainer.check_val_every_n_epoch", "1", f"--trainer.callbacks+={callback}"]
            words += ["--trainer.callbacks.report", str(report), *more]
            path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
            done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
            if done.returncode:
                reason = done.stderr.strip().rpartition("\n")[2].removeprefix("ltr: error: ")
                return {"recipe": recipe, "failure": reason}
            return {"recipe": recipe, **json.loads(report.read_text(encoding="utf-8"))}


def help_seconds(rounds: int) -> float:
    """Return the median time of `ltr --help`."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ltr", "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def announce(what: str) -> None:
    """Print what is being timed."""
    print(f"timing {what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
