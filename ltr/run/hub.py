"""Weights from the Hugging Face Hub."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from ltr.errors import InputError

PREFIX = "hf://"
WEIGHTS = "model.safetensors"
MISSING = 'the Hugging Face Hub needs the library `huggingface_hub`: pip install "ltr[hub]".'
PARTS = ("ltr.", "torch.optim.")


def download(name: str) -> Path:
    """Return where the weights of a repository lie, `hf://user/name` or `hf://user/name@revision`, fetched if need be.

    They are safetensors, which hold no code; nothing else of the repository is fetched.

    Raises:
        InputError: where there are none, or no connection.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise InputError(MISSING) from error
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        return Path(hf_hub_download(repository, WEIGHTS, revision=revision or None))
    except (HfHubHTTPError, OSError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{name} could not be fetched ({why}): the repository must have a {WEIGHTS}, as `ltr push` makes it, and "
            "one that is private needs `hf auth login`."
        ) from error


def repository(path: Path) -> str | None:
    """Return the name under which a fetched file's evaluations are kept, `user--name`; None for any other file."""
    *_, home, snapshots, _, _ = ("", "", "", "", *path.parts)
    return home.removeprefix("models--") if snapshots == "snapshots" and home.startswith("models--") else None


def harmless(config: str, origin: Path, packages: Collection[str] = ()) -> str:
    """Return what the config of a stranger's run says of the network and its data, as YAML.

    Args:
        config: the whole, as YAML.
        origin: where it is from, for the error.
        packages: whose classes it may name, too.

    Raises:
        InputError: where it names code that is no part of `ltr`, or is no config.
    """
    try:
        content = yaml.safe_load(config)
    except yaml.YAMLError as error:
        raise InputError(f"{origin} is refused: its config is no YAML.") from error
    if not isinstance(content, dict):
        raise InputError(f"{origin} is refused: its config does not say what its network is.")
    kept = {key: content[key] for key in ("seed_everything", "model", "data", "name") if key in content}
    allowed = (*PARTS, *(f"{name}." for name in packages))
    for word in words(kept):
        dotted = re.fullmatch(r"(\w+)(\.\w+)+", word)
        if (
            dotted
            and not word.startswith(allowed)
            and (dotted[1] in sys.modules or importlib.util.find_spec(dotted[1]))
        ):
            raise InputError(f"{origin} is refused: its config names {word}, which is no part of `ltr`.")
    return yaml.safe_dump(kept, sort_keys=False)


def words(content: Any) -> Iterator[str]:
    """Yield all texts in nested content."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, (dict, list)):
        for item in content.values() if isinstance(content, dict) else content:
            yield from words(item)
