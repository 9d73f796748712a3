"""Files are written whole or not at all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from ltr import files
from ltr.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "metrics.json"
    files.write_json(path, {"a": 1})

    def half(temporary: Path) -> None:
        temporary.write_text("{", encoding="utf-8")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.replace(path, half)
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


def test_json_has_a_line_per_key_and_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    content = {"recall": [0.5, None], "name": "Zürich", "config": {"a": [1, 2]}}
    files.write_json(path, content)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert len(text.splitlines()) == 2 + len(content)
    for number in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="recall has NaN or an infinite number"):
            files.write_json(path, {"recall": [0.5, number]})
    assert json.loads(path.read_text(encoding="utf-8")) == content


def test_a_spreadsheet_runs_no_text_from_data(tmp_path: Path) -> None:
    """A cell that begins with one of these characters is a formula to spreadsheets (OWASP, CSV injection)."""
    rows = [
        {"class": "=cmd|' /C calc'!A0", "x": "-1.5", "y": -2},
        {"class": "@SUM(1)", "x": "+1e-3", "y": None},
        {"class": "-cat", "x": "-inf", "y": "\tcat"},
        {"class": "cat=dog", "x": "nan", "y": "+49"},
    ]
    files.write_csv(tmp_path / "table.csv", rows)
    with (tmp_path / "table.csv").open(newline="") as lines:
        read = list(csv.DictReader(lines))
    assert [row["class"] for row in read] == ["'=cmd|' /C calc'!A0", "'@SUM(1)", "'-cat", "cat=dog"]
    assert [row["x"] for row in read] == ["-1.5", "+1e-3", "-inf", "nan"], "numbers stay numbers"
    assert [row["y"] for row in read] == ["-2", "", "'\tcat", "+49"]


def test_files_written_together_appear_together_also_if_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, names = Path.replace, ["a.txt", "b.txt", "c.txt"]

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == "b.txt" and not target.exists() and len(list(tmp_path.iterdir())) == 3:
            monkeypatch.undo()
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), files.together():  # noqa: PT012, the end of the block raises
        for name in names:
            files.write_text(tmp_path / name, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_files_written_together_appear_together_or_not_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "predictions.pt", tmp_path / "metrics.json"
    files.save(first, {"a": torch.ones(1)})
    files.write_json(second, {"a": 1})
    old = first.read_bytes()

    def write(number: float) -> None:
        with files.together():
            with files.together():
                files.save(first, {"a": torch.zeros(1)})
            assert first.read_bytes() == old
            files.write_json(second, {"a": number})

    with pytest.raises(InputError):
        write(float("nan"))
    assert (first.read_bytes(), json.loads(second.read_text())) == (old, {"a": 1})
    assert sorted(tmp_path.iterdir()) == [second, first]
    write(2)
    assert torch.equal(torch.load(first)["a"], torch.zeros(1))
    assert json.loads(second.read_text()) == {"a": 2}
    assert sorted(tmp_path.iterdir()) == [second, first]


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed\nframe #0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"sets\.pt could not be written \(the disk is full, or fails\): make room"):
        files.save(tmp_path / "sets.pt", {})
    assert not [*tmp_path.iterdir()]


CONTENT = {"top1": 0.5, "recall": [1.0, 0.25, None], "classes": ["a", "\u00e9"], "config": {"seed": 0}}


def test_a_json_file_with_a_checksum_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    files.write_json(path, CONTENT, checksum=True)
    assert files.read_json(path) == CONTENT
    files.write_json(path, CONTENT)
    assert files.read_json(path) == CONTENT, "one of an earlier version has none"


def test_every_changed_bit_and_every_lost_end_of_a_json_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    files.write_json(path, CONTENT, checksum=True)
    sound = path.read_bytes()
    for bit in range(8 * len(sound)):
        changed = bytearray(sound)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"metrics\.json is damaged"):
            files.read_json(path)
    for length in range(len(sound) - 1):
        path.write_bytes(sound[:length])
        with pytest.raises(InputError, match=r"metrics\.json is damaged"):
            files.read_json(path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 10_000, "3"])
def test_what_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"metrics\.json is damaged"):
        files.read_json(path)
