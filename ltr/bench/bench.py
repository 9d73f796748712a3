"""The command: run the benchmarks, print them as tables, keep them as JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ltr import files
from ltr.bench.augmentations import augmentations
from ltr.bench.image_files import image_files
from ltr.bench.tables import markdown
from ltr.errors import InputError
from ltr.machine import machine

CURVE_EPOCHS = 5
DESCRIPTION = """Measure speed and memory on the present device. Without a recipe: the training loop of `ltr fit`
against a bare loop and the usual stack of PIL images and worker processes, evaluation, start-up, and the augmentations.
With recipes: what each of them costs next to plain cross-entropy. All is timed in turns within one process, so that the
ratios hold on a busy machine, too; leave it idle for the absolute figures. With curves: whether `ltr fit` learns what
the usual stack learns, in short trainings with cross-entropy, seeds from 0. With files: how fast so many image files of
all sizes and kinds, made on the spot, are found, read and trained on. Arguments that are not listed here go to
every training, such as --data.root data or --trainer.limit_train_batches 20."""


def bench(arguments: Sequence[str]) -> None:
    """Run the benchmarks.

    Args:
        arguments: recipes, options, and arguments for every training.

    Raises:
        InputError: where a recipe could not be run, after the others.
    """
    parser = argparse.ArgumentParser("ltr bench", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--recipes", nargs="+", default=[], help="configs to compare with cross-entropy")
    parser.add_argument("--curves", type=int, default=0, help="trainings whose curves are compared")
    parser.add_argument("--files", type=int, default=0, help="image files that are made and read")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is timed")
    parser.add_argument("--output", default="bench", help="folder of the results")
    said, common = parser.parse_known_args(arguments)
    if said.rounds < 1:
        raise InputError("a benchmark needs at least one round: `--rounds 5`.")
    runs = Trainings(said.rounds, tuple(common))
    result = {"command": " ".join(["ltr bench", *arguments]), **machine()}
    if said.recipes:
        result["recipes"] = [runs.measure(recipe, ["bare"]) for recipe in said.recipes]
    elif said.files:
        tell(f"{said.files} files")
        with tempfile.TemporaryDirectory() as folder:
            result["files"] = image_files(said.files, Path(folder))
    elif said.curves:
        result["curves"] = [runs.follow(seed) for seed in range(said.curves)]
    else:
        result["loop"] = runs.measure("ce.yaml", ["bare", "usual"])
        result["help_seconds"] = help_seconds(said.rounds)
        tell("augmentations")
        result["augmentations"] = augmentations(rounds=said.rounds)
    text = markdown(result)
    print(text, end="")
    name = next((name for name in ("recipes", "curves", "files") if name in result), "bench")
    files.write_json(Path(said.output) / f"{name}.json", result)
    files.write_text(Path(said.output) / f"{name}.md", text)
    print(f"\n{Path(said.output) / f'{name}.json'}")
    for row in [*result.get("recipes", []), *result.get("curves", []), result.get("loop", {})]:
        if "failure" in row:
            raise InputError(f"{row['recipe']} could not be run: {row['failure']}")


class Trainings:
    """Short trainings in processes of their own, so that memory and start-up are those of a command.

    Args:
        rounds: counted epochs of each.
        common: arguments of every training.
    """

    def __init__(self, rounds: int, common: Sequence[str]) -> None:
        self.rounds, self.common = rounds, common

    def measure(self, recipe: str, against: Sequence[str]) -> dict[str, Any]:
        """Run a recipe with other loops beside it; return what `Contest` reports, or why it failed."""
        tell(recipe)
        launched = time.time()
        found = self.report(
            recipe,
            "Contest",
            "--trainer.callbacks.rounds",
            str(self.rounds),
            "--trainer.callbacks.against",
            json.dumps(list(against)),
        )
        if "first_step" in found:
            found["first_step"] -= launched
        return found

    def follow(self, seed: int) -> dict[str, Any]:
        """Train cross-entropy beside the usual stack; return what `Curves` reports, or why it failed."""
        tell(f"seed {seed}")
        words = ["--seed_everything", str(seed), "--trainer.max_epochs", str(CURVE_EPOCHS)]
        words += ["--model.schedule", "Cosine", "--model.schedule.warmup", "0"]
        return {"seed": seed, **self.report("ce.yaml", "Curves", *words)}

    def report(self, recipe: str, callback: str, *more: str) -> dict[str, Any]:
        """Run a recipe with a callback of this folder; return its report, or why the training failed."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            words = [sys.executable, "-m", "ltr", "fit", "--config", recipe, *self.common]
            words += ["--runs", folder, "--name", "bench", "--trainer.enable_progress_bar", "false"]
            words += ["--trainer.check_val_every_n_epoch", "1", f"--trainer.callbacks+=ltr.bench.{callback}"]
            words += ["--trainer.callbacks.report", str(report), *more]
            done = subprocess.run(words, capture_output=True, text=True)  # noqa: S603 - the user's own words
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


def tell(what: str) -> None:
    """Say what is being timed."""
    print(f"timing {what} ...", file=sys.stderr, flush=True)
