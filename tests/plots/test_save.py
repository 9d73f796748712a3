"""Figures reach their file whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from ltr.errors import InputError
from ltr.plots import save


class Breaking(Figure):
    """A figure whose writing fails half-way."""

    def savefig(self, fname: Any, **_: Any) -> None:
        """Write the beginning of a file, then fail."""
        Path(fname).write_bytes(b"half")
        raise OSError("no space left")


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
@pytest.mark.usefixtures("rendered")
def test_the_suffix_is_the_format(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / "test" / f"confusion.{suffix}"
    save(Figure(), path)
    assert path.read_bytes().startswith(magic)
    assert list(path.parent.iterdir()) == [path], "a temporary file was left"


def test_a_failing_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "recall.png"
    path.write_bytes(b"old")
    with pytest.raises(InputError, match="no space left"):
        save(Breaking(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path], "a temporary file was left"
