"""A row of the table of runs."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import yaml

from ltr.app.allowed_paths import AllowedPaths
from ltr.run import lookup
from ltr.run.job import Job

FIGURES = {"top1": "top-1", "gm": "GM", "hm": "HM", "lowest": "lowest recall"}
COLUMNS = ("run", "state", *FIGURES.values(), "method", "data", "epochs", "when")


def row(paths: AllowedPaths, name: str) -> list[str]:
    """Return the row of a run."""
    folder, job = paths.run(name), paths.job(name)
    config, metrics = read(folder / "config.yaml"), measured(folder)
    config = config or metrics.get("config") or {}
    figures = [f"{100 * metrics[key]:.1f}" if metrics.get(key) is not None else "" for key in FIGURES]
    said = config.get("model") or {}
    parts = [said.get("class_path"), (said.get("init_args") or {}).get("loss")]
    return [
        name,
        state(folder, job, metrics, config),
        *figures,
        ", ".join(filter(None, map(last, parts))),
        data(metrics.get("data") or {}, config.get("data") or {}),
        str((config.get("trainer") or {}).get("max_epochs", "")),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.stat().st_mtime)),
    ]


def state(folder: Path, job: Job, metrics: dict[str, Any], config: dict[str, Any]) -> str:
    """Return what became of a run: running, failed, stopped at an epoch, trained or tested."""
    if job.running:
        return "running"
    if metrics:
        return "tested"
    epochs, done = (config.get("trainer") or {}).get("max_epochs"), trained_epochs(folder)
    if done and epochs and done < epochs:
        return f"stopped at {done}/{epochs}"
    if job.known and job.state != "finished":
        return job.state
    return "trained" if (folder / lookup.LAST).is_file() else "not trained"


def trained_epochs(folder: Path) -> int:
    """Return the number of epochs in the curves of a run."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return 0
    with path.open(newline="", encoding="utf-8") as lines:
        return sum(1 for _ in csv.DictReader(lines))


def measured(folder: Path) -> dict[str, Any]:
    """Return the measures of the test of a run, else of another evaluation; empty if there is none."""
    found = sorted(folder.glob("*/metrics.json"), key=lambda path: path.parent.name != "test")
    return read(found[0]) if found else {}


def read(path: Path) -> dict[str, Any]:
    """Return the content of a JSON or YAML file; empty if it is damaged or missing."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def data(measured: dict[str, Any], config: dict[str, Any]) -> str:
    """Return the data that a run was trained on, with the imbalance factor if it was chosen."""
    options = config.get("init_args") or {}
    name = measured.get("name") or last(config) or ""
    imbalance = measured.get("imbalance") or options.get("imbalance")
    chosen = isinstance(imbalance, int | float) and options.get("tail") != "none"
    return f"{name}, IF {imbalance:.4g}" if chosen else str(name)


def last(part: Any) -> str | None:
    """Return the name of the class of a part."""
    path = part.get("class_path") if isinstance(part, dict) else part
    return str(path).rpartition(".")[2] if path else None
