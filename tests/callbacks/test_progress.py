"""The bar shows the validation split where one is measured, since nobody should follow the test split."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("held_out", "shown", "hidden"), [(0, "test", "val"), (2, "val", "test")])
def test_the_bar_follows_the_validation_split(held_out: int, shown: str, hidden: str, tiny, capsys) -> None:
    assert tiny(f"--data.val_per_class {held_out} --trainer.enable_progress_bar true") == 0
    bar = capsys.readouterr().err
    assert f"{shown} top-1=" in bar
    assert f"{hidden} top-1=" not in bar
