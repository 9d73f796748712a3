"""Files are written whole or not at all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from ltr import files


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
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"recall": float("nan")})
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
