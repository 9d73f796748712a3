"""What a run is, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ltr.run.folder import Finished

PARTS = ("backbone", "head", "old_head", "loss", "mix", "optimizer", "schedule", "callbacks", "sampler", "augment")


def method(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parts of a method by the names of their classes."""
    model, data, trainer = (config.get(part) or {} for part in ("model", "data", "trainer"))
    said = {**model.get("init_args", {}), **data.get("init_args", {}), "callbacks": trainer.get("callbacks")}
    rows = [(part.replace("_", " "), words(said.get(part))) for part in PARTS]
    return [(name, text) for name, text in (("method", last(model.get("class_path"))), *rows) if text]


def words(part: Any) -> str:
    """Return the class of a part, in brackets those of the parts within it; empty where there is none."""
    if isinstance(part, list):
        return ", ".join(map(words, part))
    if not is_part(part):
        return ""
    if isinstance(part, str):
        return last(part)
    name = last(part["class_path"])
    inner = {key: value for key, value in (part.get("init_args") or {}).items() if value is not None}
    said = [words(value) if is_part(value) else f"{key} {value}" for key, value in inner.items() if value is not False]
    return f"{name}({', '.join(said)})" if said else name


def last(path: object) -> str:
    """Return the name of a class by its path, empty for None."""
    return str(path or "").rpartition(".")[2]


def is_part(value: Any) -> bool:
    """Tell whether a setting names a class."""
    return "class_path" in value if isinstance(value, dict) else bool(re.match(r"(ltr|torch)\.", str(value)))


def facts(run: Finished) -> list[tuple[str, str]]:
    """Return what else a result says of itself."""
    measures = run.main.metrics if run.main else {}
    data = measures.get("data", {})
    rows = [("data", description(data))] if data else []
    rows += [(f"{split} split", value) for split, value in data.get("fingerprints", {}).items()]
    epochs = run.config.get("trainer", {}).get("max_epochs")
    known = {
        "seed": measures.get("seed", run.config.get("seed_everything")),
        "parameters": f"{measures['params']:,}" if "params" in measures else None,
        "epochs": epochs,
        "seconds": f"{measures['seconds']:,}" if "seconds" in measures else None,
        "folder": run.folder,
    }
    return rows + [(name, str(value)) for name, value in known.items() if value is not None]


def description(data: Mapping[str, Any]) -> str:
    """Say what a result was measured on."""
    parts = [str(data.get("name", "")), f"imbalance {data.get('imbalance', 1):g} ({data.get('tail')})"]
    if data.get("subset_seed") is not None:
        parts.append(f"subset seed {data['subset_seed']}")
    if data.get("synthetic"):
        parts.append(f"{sum(data['synthetic']):,} synthetic training images")
    return ", ".join([*parts, "" if data.get("official", True) else "not the official split"]).removesuffix(", ")
