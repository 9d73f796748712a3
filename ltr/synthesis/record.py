"""The file that marks a folder of synthetic images and says how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ltr import files
from ltr.errors import InputError

RECORD = "synthetic.json"


def read(home: Path, settings: Mapping[str, Any], prompts: Mapping[str, str]) -> dict[str, Any]:
    """Return the record of a folder that images are to be added to; an empty one where the folder is new.

    Args:
        home: the folder.
        settings: how the images will be made.
        prompts: what they will be made from, by class.

    Raises:
        InputError: where the folder holds other things, or images that were made in another way.
    """
    path, advice = home / RECORD, "or choose another folder with `--output`."
    if not path.is_file():
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise InputError(f"{home} is there and has no {RECORD}: choose a new folder with `--output`.")
        return {}
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made_with = {key: record[key] for key in settings}
        made_from = {name: record["prompts"].get(name) for name in prompts if count(home, name)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: delete {home}, {advice}") from error
    for key, before in made_with.items():
        if before != settings[key]:
            raise InputError(f"{home} was made with {key} {before}, not {settings[key]}: delete it, {advice}")
    for name, before in made_from.items():
        if before != prompts[name]:
            raise InputError(f"{home / name} was made from '{before}', not '{prompts[name]}': delete it, {advice}")
    return record


def write(home: Path, record: Mapping[str, Any]) -> None:
    """Write the record, with the number of images that every class has now."""
    files.write_json(home / RECORD, {**record, "images": {name: count(home, name) for name in record["prompts"]}})


def count(home: Path, name: str) -> int:
    """Return how many images of a class there are."""
    return len(list((home / name).glob("[0-9]*.png")))
