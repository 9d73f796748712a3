"""Recipes and weights are found by name from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltr.errors import InputError
from ltr.run import lookup
from ltr.sentences import did_you_mean


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["gml.yaml", "data/digits.yaml", "configs/gml.yaml"])
def test_a_recipe_by_its_bare_name(name: str) -> None:
    assert lookup.config(name).is_file()


def test_a_file_here_comes_first(tmp_path: Path) -> None:
    (tmp_path / "gml.yaml").write_text("model: {}", encoding="utf-8")
    assert lookup.config("gml.yaml").read_text(encoding="utf-8") == "model: {}"


@pytest.mark.parametrize("name", ["glm.yaml", "GML.yaml"])
def test_a_misspelt_recipe_names_the_nearest(name: str) -> None:
    with pytest.raises(InputError, match=r"there is no config .*; did you mean gml\.yaml\?"):
        lookup.config(name)


def test_a_long_list_says_how_much_it_leaves_out() -> None:
    assert did_you_mean("?", ["b", "a"]) == "; there are a, b."
    assert did_you_mean("?", [f"{number:02}" for number in range(15)]).endswith(", 10, 11 and 3 more.")


@pytest.mark.parametrize("name", ["checkpoints/mine/last.ckpt", "checkpoints/mine", "mine"])
def test_a_run_by_file_folder_or_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints" / "mine" / "last.ckpt"
    file.parent.mkdir(parents=True)
    file.touch()
    assert lookup.checkpoint(name).resolve() == file.resolve()
    with pytest.raises(InputError, match="there is no checkpoint nine; did you mean mine"):
        lookup.checkpoint("nine")


def test_a_name_that_is_too_long_is_not_found() -> None:
    with pytest.raises(InputError, match="there is no checkpoint xxx"):
        lookup.checkpoint("x" * 300)
    with pytest.raises(InputError, match="there is no config xxx"):
        lookup.config("x" * 300)
    with pytest.raises(InputError, match="there is no run xxx"):
        lookup.run("x" * 300)


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is no checkpoint empty"):
        lookup.checkpoint("empty")


@pytest.mark.parametrize("result", ["metrics.csv", "test/metrics.json"])
@pytest.mark.parametrize("name", ["checkpoints/mine/last.ckpt", "checkpoints/mine", "mine"])
def test_the_folder_of_a_run_that_has_results(name: str, result: str, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints" / "mine" / result
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / "checkpoints" / "mine" / "last.ckpt").touch()
    assert lookup.run(name).path.resolve() == tmp_path / "checkpoints" / "mine"
    with pytest.raises(InputError, match="there is no run nine; did you mean mine"):
        lookup.run("nine")
    with pytest.raises(InputError, match="there is no run mine/other"):
        lookup.run("mine/other")


def test_a_shipped_run_by_its_name() -> None:
    assert lookup.run("ce_resnet32_cifar100_lt100").tested()
