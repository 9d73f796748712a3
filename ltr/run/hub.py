"""Weights from the Hugging Face Hub."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ltr.errors import InputError
from ltr.sentences import first_line

PREFIX = "hf://"
WEIGHTS = "model.safetensors"
PATIENCE = 10  # seconds for the first answer of the Hub
MISSING = 'the Hugging Face Hub needs the library `huggingface_hub`: pip install -e ".[hub]".'


def download(name: str) -> Path:
    """Return where the weights of a repository lie, `hf://user/name` or `hf://user/name@revision`, fetched if need be.

    They are safetensors, which hold no code; nothing else of the repository is fetched.

    Raises:
        InputError: if there are none, or no connection.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise InputError(MISSING) from error
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        check_reachable(repository)
        return Path(hf_hub_download(repository, WEIGHTS, revision=revision or None))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise InputError(
            f"{name} could not be fetched ({first_line(error)}): the repository must have a {WEIGHTS}, as `ltr push` "
            "makes it, and one that is private needs `hf auth login`."
        ) from error


def repository(path: Path) -> str | None:
    """Return the name under which a fetched file's evaluations are kept, `user--name`; None for any other file."""
    *_, home, snapshots, _, _ = ("", "", "", "", *path.parts)
    return home.removeprefix("models--") if snapshots == "snapshots" and home.startswith("models--") else None


def check_reachable(name: str) -> None:
    """Raise `ConnectionError` if the Hub does not answer and nothing of a repository is in its cache.

    The libraries would find that out, too, but try again for a minute.
    """
    from huggingface_hub import CacheNotFound, HfApi, get_session, scan_cache_dir

    address = HfApi().endpoint
    try:
        get_session().head(address, timeout=PATIENCE)
    except Exception as error:  # of one of two libraries, by the version of the Hub's
        with suppress(CacheNotFound):
            if any(kept.repo_id == name for kept in scan_cache_dir().repos):
                return
        raise ConnectionError(f"{address} does not answer") from error
