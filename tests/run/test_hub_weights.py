"""What comes from the Hub is data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ltr.errors import InputError
from ltr.run import hub, lookup

CACHED = Path("cache/models--me--mine/snapshots/0123/model.safetensors")


def test_a_fetched_file_has_the_name_of_its_repository() -> None:
    assert hub.repository(CACHED) == "me--mine"
    assert hub.repository(Path("/home/x/.cache") / CACHED) == "me--mine"
    for other in ("last.ckpt", "checkpoints/gml/last.ckpt", "snapshots/a/last.ckpt", "models/snapshots/a/last.ckpt"):
        assert hub.repository(Path(other)) is None, other


def test_a_name_is_fetched_with_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(repository: str, file: str, *, revision: str | None) -> str:
        asked.append((repository, file, revision))
        return str(CACHED)

    monkeypatch.setattr("ltr.run.hub.check_reachable", lambda _: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    assert lookup.checkpoint("hf://me/mine") == lookup.checkpoint("hf://me/mine@v1") == CACHED
    assert asked == [("me/mine", "model.safetensors", None), ("me/mine", "model.safetensors", "v1")]


def test_what_cannot_be_fetched_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise FileNotFoundError("no connection\nand a long story")

    monkeypatch.setattr("ltr.run.hub.check_reachable", lambda _: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(InputError, match=r"hf://me/mine could not be fetched \(no connection\): "):
        hub.download("hf://me/mine")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"hf://no-such-form/a/b/c could not be fetched"):
        hub.download("hf://no-such-form/a/b/c")


def test_a_hub_that_does_not_answer_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> str:
        raise AssertionError("it was tried again and again")

    class Deaf:
        def head(self, *_: object, **__: object) -> None:
            raise TimeoutError

    monkeypatch.setattr("huggingface_hub.hf_hub_download", never)
    monkeypatch.setattr("huggingface_hub.get_session", Deaf)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"hf://me/mine could not be fetched \(https?://\S+ does not answer\): "):
        hub.download("hf://me/mine")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r'pip install -e "\.\[hub\]"'):
        hub.download("hf://me/mine")
