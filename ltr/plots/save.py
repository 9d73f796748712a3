"""Figures to files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from ltr import files


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format of the suffix, so that `path` never holds half of one."""
    files.replace(Path(path), lambda temporary: figure.savefig(temporary, dpi=150))
