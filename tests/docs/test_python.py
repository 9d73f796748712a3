"""The training loop in plain PyTorch on the page on Python runs as it is printed there, and learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_training_loop_runs_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Your own training loop")[2]
    (code, *_) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    top1 = re.search(r"top-1 ([\d.]+)", capsys.readouterr().out)
    assert top1 is not None
    assert float(top1[1]) > 40  # of ten classes
