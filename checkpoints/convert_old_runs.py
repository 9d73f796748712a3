"""Rewrite runs of commit 7bc5a81 in the present format. To be deleted when the last of them is finished.

python checkpoints/convert_old_runs.py RUN_FOLDER ...
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser

from ltr.data import LongTailed

# What was renamed since. Add a line for each further renaming.
OPTIONS = {"profile": "tail"}  # keys within `init_args` of the config and ends of options, old to new
CLASSES = {  # class paths in the config, old to new
    "ltr.data.Chain": "ltr.data.Compose",
    "ltr.data.Views": "ltr.data.MultiView",
    "ltr.mixes.Until": "ltr.mixes.StopAt",
    "ltr.samplers.Levelled": "ltr.samplers.Resampled",
}
CHECKPOINT = {"exposure": "training_record"}  # keys of a checkpoint, old to new
RECORD = {"whole": "complete"}  # keys of its training record, old to new
DROPPED = ("split", "backbone_split")  # keys of its state_dict


def convert(folder: Path) -> None:
    """Rewrite the checkpoint, the config and the arguments of a run; what is in the new format already stays."""
    for path in (folder / "config.yaml", *folder.glob("*/arguments.json")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            write(path, config_text(text) if path.suffix == ".yaml" else arguments_text(text), before=text)
    path = folder / "last.ckpt"
    content = torch.load(path, map_location="cpu", weights_only=True)
    for old, new in CHECKPOINT.items():
        if old in content:
            content[new] = content.pop(old)
    record = content.get("training_record", {})
    content["training_record"] = {RECORD.get(key, key): value for key, value in record.items()}
    state = content["state_dict"]
    for key in DROPPED:
        state.pop(key, None)
    state.setdefault("synthetic", torch.zeros_like(state["counts"]))
    config = content.get("config") or (folder / "config.yaml").read_text(encoding="utf-8")
    if "preprocessing" not in content:
        data = data_of(config)
        content["preprocessing"] = {key: getattr(data, key) for key in ("size", "crop", "mean", "std")}
        content["preprocessing"]["interpolation"] = "bilinear"
        content["classes"] = names_of(folder, data)
    content["config"] = config_text(config)
    temporary = path.with_suffix(".converted")
    torch.save(content, temporary)
    os.replace(temporary, path)


def data_of(config: str) -> LongTailed:
    """Build the data of a run, whose config has the old names."""
    parser = ArgumentParser()
    parser.add_subclass_arguments(LongTailed, "data", required=True)
    return parser.instantiate(parser.parse_object({"data": renamed(yaml.safe_load(config))["data"]})).data


def names_of(folder: Path, data: LongTailed) -> list[str]:
    """Return the names of the classes: those of a test of the run, else those in the files of its data."""
    for path in folder.glob("*/metrics.json"):
        if found := json.loads(path.read_text(encoding="utf-8")).get("classes"):
            return list(found)
    return list(data.read()[1])


def config_text(text: str) -> str:
    """Return a config with the new names."""
    before = yaml.safe_load(text)
    return text if renamed(before) == before else yaml.safe_dump(renamed(before), sort_keys=False)


def renamed(node: Any, *, options: bool = False) -> Any:
    """Return a part of a config with the new names.

    Args:
        node: the part.
        options: whether it holds the options of a class.
    """
    if isinstance(node, list):
        return [renamed(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {}
    for key, value in node.items():
        if key == "class_path":
            value = CLASSES.get(value, value)
        found[OPTIONS.get(key, key) if options else key] = renamed(value, options=key == "init_args")
    return found


def arguments_text(text: str) -> str:
    """Return the arguments of a run with the new names of their options."""
    before = json.loads(text)
    return text if options_of(before) == before else json.dumps(options_of(before), indent=2) + "\n"


def options_of(node: Any) -> Any:
    """Return arguments, however they are nested, with the new names of their options."""
    if isinstance(node, dict):
        return {key: options_of(value) for key, value in node.items()}
    if isinstance(node, list):
        return [options_of(item) for item in node]
    if not isinstance(node, str) or not node.startswith("--"):
        return node
    option, *value = node.split("=", 1)
    path, _, last = option.rpartition(".")
    return "=".join([f"{path}.{OPTIONS.get(last, last)}" if path else option, *value])


def write(path: Path, text: str, *, before: str) -> None:
    """Replace a file that changes."""
    if text != before:
        temporary = path.with_name(f"{path.name}.converted")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rewrite runs of commit 7bc5a81 in the present format.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders of the runs")
    for run in parser.parse_args().folders:
        convert(run)
        print(run)
