"""A request that names a file of the machine, in place of one that was uploaded, gets nothing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest


def call(site: Any, path: Path) -> str:
    """Ask about an image as a browser does, at a path that the client says."""
    image = {"image": {"path": str(path), "meta": {"_type": "gradio.FileData"}}, "caption": None}
    said = {"data": [[image], 1, 1, "a run", None, "", None, None, None]}
    address = f"{site.url}/gradio_api/call/classify"
    request = urllib.request.Request(address, json.dumps(said).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}") as answer:
        return str(answer.read().decode())


def test_only_what_was_uploaded_is_looked_at(site: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_text("secret")
    assert "event: error" in call(site, secret)
    assert not list(site.folder.rglob("secret.png"))
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{site.url}/gradio_api/file={secret}")
