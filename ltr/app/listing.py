"""A line on a run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from ltr.app.job import Job
from ltr.app.place import Place
from ltr.measures import shown

COLUMNS = ("run", "state", *(measure.title for measure in shown("summary")), "method", "data", "epochs", "when")


def row(place: Place, name: str) -> list[str]:
    """Return what the list of the runs says of one."""
    folder, job = place.run(name), Job.of(place, name)
    config, metrics = read(folder / "config.yaml"), measured(folder)
    config = config or metrics.get("config") or {}
    values = [(measure, metrics.get(measure.key)) for measure in shown("summary")]
    figures = ["" if value is None else f"{measure.scale * value:.1f}" for measure, value in values]
    said = config.get("model") or {}
    parts = [said.get("class_path"), (said.get("init_args") or {}).get("loss")]
    return [
        name,
        job.state if job.known else ("trained" if metrics else "not tested"),
        *figures,
        ", ".join(filter(None, map(last, parts))),
        data(metrics.get("data") or {}, config.get("data") or {}),
        str((config.get("trainer") or {}).get("max_epochs", "")),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.stat().st_mtime)),
    ]


def measured(folder: Path) -> dict[str, Any]:
    """Return the measures of the usual evaluation of a run, else of another one; nothing where there is none."""
    found = sorted(folder.glob("*/metrics.json"), key=lambda path: path.parent.name != "test")
    return read(found[0]) if found else {}


def read(path: Path) -> dict[str, Any]:
    """Return what a JSON or YAML file holds; nothing where it is damaged or not there."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def data(measured: dict[str, Any], config: dict[str, Any]) -> str:
    """Return on what a run was trained."""
    name = measured.get("name") or last(config) or ""
    imbalance = measured.get("imbalance") or (config.get("init_args") or {}).get("imbalance")
    return f"{name}, IF {imbalance:g}" if isinstance(imbalance, int | float) else str(name)


def last(part: Any) -> str | None:
    """Return the name of the class of a part."""
    path = part.get("class_path") if isinstance(part, dict) else part
    return str(path).rpartition(".")[2] if path else None
