"""A part of the table of `tests/matrix.py`: what does not compile goes with everything, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from matrix import COLUMNS, RECIPES, cells, start_server

from ltr.cli.catalogue import parts
from ltr.methods import Method
from ltr.run.lookup import folder
from tests.forked import PRELOADED


def test_every_method_has_a_recipe_in_the_table() -> None:
    used = set()
    for name in RECIPES:
        model = yaml.safe_load((folder("configs") / f"{name}.yaml").read_text(encoding="utf-8")).get("model") or {}
        used.add(str(model.get("class_path", "Method")).rpartition(".")[2])
    assert set(parts(Method)) - used == set()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ce", "bbn"])
def test_a_recipe_goes_with_everything(recipe: str, tmp_path: Path) -> None:
    start_server(PRELOADED)
    columns = [column for column in COLUMNS if column != "compile"]  # which takes minutes
    assert cells(str(tmp_path), recipe, columns) == dict.fromkeys(columns, "")
