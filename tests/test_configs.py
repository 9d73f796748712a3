"""Every shipped YAML is parsed, built, trained for a step and tested."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ltr import shipped
from ltr.studies.plan import Plan

HOME = shipped.folder("configs")
SMALL = (
    "--trainer.fast_dev_run true --trainer.accelerator cpu --trainer.precision 32-true "
    "--trainer.enable_progress_bar false --name small"
)
DATA = "--data Synthetic --data.batch_size 16"
METHODS = sorted(path.name for path in HOME.glob("*.yaml"))
RECIPES = sorted(path.relative_to(HOME).as_posix() for path in (HOME / "recipes").glob("*.yaml"))
SETS = sorted(path.relative_to(HOME).as_posix() for path in (HOME / "data").glob("*.yaml"))
PARTS = ("losses", "heads", "samplers", "mixes", "optimizers", "callbacks")
NO_CHOICE = {"Adjustment", "Evaluation", "Progress", "Run"}  # a base class, and what every run has
STUDIES = sorted(path.name for path in (HOME / "studies").glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {"base.yaml", "ce.yaml", "gml.yaml"} <= set(METHODS)
    assert RECIPES
    assert SETS
    assert STUDIES


@pytest.mark.parametrize("name", [*METHODS, *RECIPES])
def test_a_method_or_recipe_trains(name: str, tiny, ltr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    text = (HOME / name).read_text()
    words = [f"fit --config {name}", DATA, SMALL]
    if "Pretrained" in text:
        assert tiny("--name start --data.imbalance 100 --data.largest 100 --trainer.max_epochs 1") == 0
        words += ["--data.largest 100 --model.backbone.checkpoint start"]
        words += ["--model.backbone.backbone ResNet20 --model.backbone.backbone.width 4"]
    else:
        words += ["--data.largest 100 --model.backbone ResNet20 --model.backbone.width 4"]
    if "max_epochs: 0" in text:
        words = [word.replace("--trainer.fast_dev_run true", "") for word in words]
    assert ltr(*words) == 0


@pytest.mark.parametrize("kind", PARTS)
def test_every_part_has_a_recipe(kind: str) -> None:
    used = set(re.findall(rf"\bltr\.{kind}\.(\w+)", "".join(values(name) for name in [*METHODS, *RECIPES])))
    parts = set(import_module(f"ltr.{kind}").__all__) - NO_CHOICE
    assert not parts - used, f"no recipe in configs/ shows {', '.join(sorted(parts - used))} of ltr.{kind}"
    assert not used - parts, f"recipes name what ltr.{kind} does not export: {', '.join(sorted(used - parts))}"


def values(name: str) -> str:
    """Return a recipe without its comments."""
    return yaml.safe_dump(yaml.safe_load((HOME / name).read_text()))


@pytest.mark.parametrize("name", SETS)
def test_a_set_can_be_built(name: str, ltr, capsys) -> None:
    assert ltr(f"fit --config {name} --print_config") == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["class_path"].startswith("ltr.data.")


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_sound(name: str) -> None:
    plan = Plan.read(name)
    for entry in plan.entries:
        for words in (entry.fit or (), entry.test):
            for word, value in pairwise(words):
                if word == "--config":
                    assert shipped.config(value).is_file()


@pytest.mark.parametrize("name", METHODS)
def test_a_config_says_where_it_is_from(name: str) -> None:
    assert (HOME / name).read_text().startswith("# ")


def test_configs_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.config("gml.yaml") == HOME / "gml.yaml"
    assert shipped.config("configs/gml.yaml") == HOME / "gml.yaml"
    (tmp_path / "gml.yaml").write_text("# mine")
    assert shipped.config("gml.yaml") == Path("gml.yaml")
