"""What the page asks of a training becomes the commands that do it, or a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ltr.app.catalogue import methods, others
from ltr.app.field import Field
from ltr.app.fields import fields, resolved
from ltr.app.place import Place
from ltr.app.training import Training, further
from ltr.errors import InputError
from ltr.run.lookup import folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(Path("checkpoints"), (tmp_path,))


def found(place: Place, training: Training) -> list[Field]:
    return fields(resolved(training.chosen(place)))


def commands(place: Place, **said: Any) -> list[list[str]]:
    training = Training(**said)
    return training.commands(place, found(place, training))[1]


def test_what_is_not_changed_is_not_said(place: Place) -> None:
    plain = Training(method="ldam_drw.yaml")
    values = {field.option: field.value for field in found(place, plain) if field.kind != "part"}
    assert commands(place, method="ldam_drw.yaml", values=values) == commands(place, method="ldam_drw.yaml")


def test_a_change_reaches_the_training(place: Place) -> None:
    values = {"model.loss.before.margin": 0.25, "data.imbalance": 0.01, "data.tail": "step"}
    values |= {"model.optimizer.lr": 0.05, "model.schedule.milestones": "[0.5]", "model.optimizer.nesterov": True}
    fit, test = commands(place, method="ldam_drw.yaml", values=values, name="x", seed=3)
    config = resolved(fit[1:])
    assert config.model.init_args.loss.init_args.before.init_args.margin == 0.25
    assert config.data.init_args.imbalance == 0.01
    assert config.data.init_args.tail == "step"
    assert config.model.init_args.optimizer.init_args.lr == 0.05
    assert config.model.init_args.optimizer.init_args.nesterov is True
    assert config.model.init_args.schedule.init_args.milestones == [0.5]
    assert config.seed_everything == 3
    assert test == ["test", "--ckpt_path", "checkpoints/x"]


def test_another_part_brings_its_own_options(place: Place) -> None:
    parts = {"model.loss": "Deferred", "model.loss.after": "VectorScaling"}
    options = {field.option: field for field in found(place, Training(parts=parts))}
    assert options["model.loss.after"].value == "VectorScaling"
    assert options["model.loss.start"].kind == "number"
    assert "model.loss.after.gamma" in options


def test_the_ensemble_is_tested_besides(place: Place) -> None:
    said = commands(place, method="gml.yaml", ensemble=True, t_new=1, t_old=3, name="x")
    assert said[2][-5:] == [
        "ensemble.yaml",
        "--trainer.callbacks.t_new=1",
        "--trainer.callbacks.t_old=3",
        "--evaluation",
        "ensemble",
    ]


def test_a_name_is_found_that_is_free(place: Place) -> None:
    (place.runs / "ce_digits").mkdir(parents=True)
    assert Training().named(place) == ("ce_digits_2", place.runs)
    with pytest.raises(InputError, match="exists already"):
        Training(name="ce_digits").named(place)


@pytest.mark.parametrize(
    "said",
    [
        {"method": "../../secret.yaml"},
        {"method": "/etc/passwd"},
        {"data": "gml.yaml"},
        {"recipes": ("nothing.yaml",)},
        {"like": "../x"},
        {"parts": {"model.loss": "os.system"}},
        {"parts": {"model.loss": "Nothing"}},
        {"parts": {"model.nothing": "GML"}},
        {"values": {"data.root": "/etc"}},
        {"values": {"data.root": "../.."}},
        {"values": {"data.imbalance": "a lot"}},
        {"values": {"data.imbalance": 1e999}},
        {"values": {"data.tail": "round"}},
        {"values": {"trainer.max_epochs": 1.5}},
        {"values": {"trainer.logger": "true"}},
        {"values": {"model.rates": '{"class_path": "os.system"}'}},
        {"values": {"model.rates": "{"}},
        {"values": {"model.schedule.milestones": "/etc/passwd"}},
        {"name": "a/b"},
        {"name": "../x"},
        {"folder": "../x"},
        {"seed": "many"},
        {"seed": None},
        {"ensemble": True, "t_new": 0},
        {"ensemble": True, "t_old": "hot"},
        {"ensemble": True, "t_new": float("nan")},
    ],
)
def test_what_cannot_be_is_said(place: Place, said: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        commands(place, **said)
    assert not place.runs.exists()


def test_every_recipe_is_there_with_every_option() -> None:
    trained = {path.name for path in folder("configs").glob("*.yaml")} - {"base.yaml"}
    tested = {
        name
        for name in trained
        if not yaml.safe_load((folder("configs") / name).read_text()).keys() & {"model", "data"}
    }
    assert set(methods().values()) >= trained - tested
    assert {"data/digits.yaml", "data/cifar10.yaml", "data/folder.yaml"} <= set(others("data").values())


SHAPES = [
    "bbn",
    "ce",
    "distillation",
    "gml",
    "manifold_mixup",
    "mislas",
    "paco",
    "pretrained",
    "proco",
    "ride_distilled",
    "rsg",
    "sade",
]


@pytest.mark.parametrize("method", [f"{name}.yaml" for name in SHAPES])
def test_the_fields_of_a_recipe_can_be_shown(place: Place, method: str) -> None:
    options = found(place, Training(method=method))
    assert {"data.imbalance", "model", "model.backbone", "trainer.max_epochs"} <= {field.option for field in options}
    assert all(field.about for field in options if field.option.startswith("model.loss.") and field.kind != "part")
    for field in options:
        assert field.word(field.value if field.kind != "text" else None) in (None, "null")


def test_a_run_that_was_stopped_goes_on_from_its_checkpoint(place: Place) -> None:
    run = place.runs / "x"
    run.mkdir(parents=True)
    with pytest.raises(InputError, match="there is no run x"):
        further(place, "x")
    (run / "last.ckpt").write_text("weights")
    assert further(place, "x") == (
        [["fit", "--ckpt_path", "checkpoints/x/last.ckpt"], ["test", "--ckpt_path", "checkpoints/x"]],
        [],
    )
