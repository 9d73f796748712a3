"""The command: run the benchmarks, print them as tables, keep them as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ltr import __version__, files
from ltr.bench.augmentations import augmentations
from ltr.errors import InputError

DESCRIPTION = """Measure speed and memory on the present device. Without a recipe: the training loop of `ltr fit`
against a bare loop and the usual stack of PIL images and worker processes, evaluation, start-up, and the augmentations.
With recipes: what each of them costs next to plain cross-entropy. All is timed in turns within one process, so that the
ratios hold on a busy machine, too; leave it idle for the absolute figures. Arguments that are not listed here go to
every training, such as --data.root data or --trainer.limit_train_batches 20."""
USUAL_EPOCHS = 200

Row = Sequence[str]


def bench(arguments: Sequence[str]) -> None:
    """Run the benchmarks.

    Args:
        arguments: recipes, options, and arguments for every training.

    Raises:
        InputError: where a recipe could not be run, after the others.
    """
    parser = argparse.ArgumentParser("ltr bench", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--recipes", nargs="+", default=[], help="configs to compare with cross-entropy")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is timed")
    parser.add_argument("--output", default="bench", help="folder of the results")
    said, common = parser.parse_known_args(arguments)
    if said.rounds < 1:
        raise InputError("a benchmark needs at least one round: `--rounds 5`.")
    runs = Trainings(said.rounds, tuple(common))
    result = {"command": " ".join(["ltr bench", *arguments]), **machine()}
    if said.recipes:
        result["recipes"] = [runs.measure(recipe, ["bare"]) for recipe in said.recipes]
    else:
        result["loop"] = runs.measure("ce.yaml", ["bare", "usual"])
        result["help_seconds"] = help_seconds(said.rounds)
        tell("augmentations")
        result["augmentations"] = augmentations(rounds=said.rounds)
    text = markdown(result)
    print(text, end="")
    name = "recipes" if said.recipes else "bench"
    files.write_json(Path(said.output) / f"{name}.json", result)
    files.write_text(Path(said.output) / f"{name}.md", text)
    print(f"\n{Path(said.output) / f'{name}.json'}")
    failed = [row for row in result.get("recipes", [result.get("loop")]) if "failure" in row]
    if failed:
        raise InputError(f"{failed[0]['recipe']} could not be run: {failed[0]['failure']}")


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
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            words = [sys.executable, "-m", "ltr", "fit", "--config", recipe, *self.common]
            words += ["--runs", folder, "--name", "bench", "--trainer.enable_progress_bar", "false"]
            words += ["--trainer.check_val_every_n_epoch", "1", "--trainer.callbacks+=ltr.bench.Contest"]
            words += ["--trainer.callbacks.report", str(report), "--trainer.callbacks.rounds", str(self.rounds)]
            words += ["--trainer.callbacks.against", json.dumps(list(against))]
            launched = time.time()
            done = subprocess.run(words, capture_output=True, text=True)  # noqa: S603 - the user's own words
            if done.returncode:
                reason = done.stderr.strip().rpartition("\n")[2].removeprefix("ltr: error: ")
                return {"recipe": recipe, "failure": reason}
            found = json.loads(report.read_text(encoding="utf-8"))
        found["first_step"] -= launched
        return {"recipe": recipe, **found}


def machine() -> dict[str, Any]:
    """Describe what the figures are of."""
    return {
        "ltr": __version__,
        "torch": torch.__version__,
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def help_seconds(rounds: int) -> float:
    """Return the median time of `ltr --help`."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ltr", "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def ratio(found: dict[str, Any], loop: str) -> float:
    """Return the median over the rounds of the speed of `ltr fit` as a part of that of another loop."""
    pairs = zip(found["seconds"]["ltr"], found["seconds"][loop], strict=True)
    return float(statistics.median(other / own for own, other in pairs))


def markdown(result: dict[str, Any]) -> str:
    """Return the tables."""
    device = result["cpu"] if result["device"] == "cpu" else f"{result['device']} ({result['cpu']})"
    parts = [
        f"`{result['command']}`: {device}, {result['cores']} cores, torch {result['torch']}; medians, ratios "
        "of what was timed in turns.\n"
    ]
    if "loop" in result:
        parts += [*_loop(result["loop"], result["help_seconds"]), _augmentations(result["augmentations"])]
    else:
        parts.append(_recipes(result["recipes"]))
    return "\n".join(parts)


def _loop(found: dict[str, Any], help_took: float) -> list[str]:
    """Return the table of the loops and that of the rest of a training."""
    if "failure" in found:
        return [f"The training failed: {found['failure']}\n"]
    titles = {"ltr": "`ltr fit`", "bare": "bare loop", "usual": "usual stack (PIL, workers, float32)"}
    rows = []
    for name, took in found["seconds"].items():
        each = statistics.median(took)
        minutes = USUAL_EPOCHS * found["images"] * each / 60
        rows.append((titles[name], f"{1 / each:.0f}", f"{minutes:.1f} min", f"{ratio(found, name):.2f}"))
    loops = table(("loop", "images/s", f"{USUAL_EPOCHS} epochs", "speed of `ltr fit` / its speed"), rows)
    rest = [
        ("evaluation", f"{1 / statistics.median(found['evaluation']):.0f} images/s"),
        ("first training step after the command", f"{found['first_step']:.1f} s"),
        ("`ltr --help`", f"{help_took:.2f} s"),
        ("most memory", f"{found['memory'] / 2**30:.2f} GiB"),
    ]
    return [loops, table(("one training", ""), rest)]


def _augmentations(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of the augmentations."""
    head = ("augmentation, one core", "batched, images/s", "PIL, images/s", "ratio")
    return table(
        head, [(row["recipe"], f"{row['batched']:.0f}", f"{row['pil']:.0f}", f"{row['ratio']:.1f}") for row in rows]
    )


def _recipes(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of what recipes cost."""
    rows = []
    for row in found:
        if "failure" in row:
            rows.append((row["recipe"], "failed", "", "", ""))
            continue
        each = statistics.median(row["seconds"]["ltr"])
        step = 1000 * each * row["batch_size"]
        rows.append(
            (
                row["recipe"],
                str(row["batch_size"]),
                f"{step:.0f} ms",
                f"{1 / ratio(row, 'bare'):.2f}",
                f"{row['memory'] / 2**30:.2f} GiB",
            )
        )
    return table(("recipe", "batch", "time of a step", "time / cross-entropy's per image", "most memory"), rows)


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table, figures to the right."""
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def tell(what: str) -> None:
    """Say what is being timed."""
    print(f"timing {what} ...", file=sys.stderr, flush=True)
