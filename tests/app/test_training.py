"""What the page asks of a training becomes the commands that do it, or a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.field import Field
from ltr.app.job import Job
from ltr.app.job import commands as commands_of
from ltr.app.options import resolved
from ltr.app.train import methods
from ltr.app.training import TrainingForm, refuse_outside
from ltr.app.watch import resume
from ltr.errors import InputError
from ltr.run.lookup import folder
from ltr.run.recipe import Recipe
from ltr.studies.plan import Plan


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AllowedPaths:
    monkeypatch.chdir(tmp_path)
    return AllowedPaths(Path("checkpoints"), (tmp_path,))


def found(paths: AllowedPaths, form: TrainingForm) -> list[Field]:
    return form.fields(paths)


def commands(paths: AllowedPaths, **said: Any) -> list[list[str]]:
    form = TrainingForm(**said)
    name, study = form.study(paths, found(paths, form))
    return commands_of(Plan.of(study, name), paths.job(name).runs)


def test_what_is_not_changed_is_not_said(paths: AllowedPaths) -> None:
    plain = TrainingForm(method="ldam_drw.yaml")
    values = {field.option: field.value for field in found(paths, plain) if field.kind != "part"}
    assert commands(paths, method="ldam_drw.yaml", values=values) == commands(paths, method="ldam_drw.yaml")


def test_a_change_reaches_the_training(paths: AllowedPaths) -> None:
    values = {"model.loss.before.margin": 0.25, "data.imbalance": 0.01, "data.tail": "step"}
    values |= {"model.optimizer.lr": 0.05, "model.schedule.milestones": "[0.5]", "model.optimizer.nesterov": True}
    fit, test = commands(paths, method="ldam_drw.yaml", values=values, name="x", seed=3)
    config = resolved(fit[1:])
    assert config.model.init_args.loss.init_args.before.init_args.margin == 0.25
    assert config.data.init_args.imbalance == 0.01
    assert config.data.init_args.tail == "step"
    assert config.model.init_args.optimizer.init_args.lr == 0.05
    assert config.model.init_args.optimizer.init_args.nesterov is True
    assert config.model.init_args.schedule.init_args.milestones == [0.5]
    assert config.seed_everything == 3
    assert test == ["test", "--ckpt_path", "checkpoints/x/last.ckpt", "--evaluation", "test"]


def test_another_part_brings_its_own_options(paths: AllowedPaths) -> None:
    parts = {"model.loss": "Deferred", "model.loss.after": "VectorScaling"}
    options = {field.option: field for field in found(paths, TrainingForm(parts=parts))}
    assert options["model.loss.after"].value == "VectorScaling"
    assert options["model.loss.start"].kind == "number"
    assert "model.loss.after.gamma" in options


def test_the_ensemble_is_tested_besides(paths: AllowedPaths) -> None:
    said = commands(paths, method="gml.yaml", ensemble=True, t_new=1, t_old=3, name="x")
    assert said[2] == [
        *("test", "--ckpt_path", "checkpoints/x/last.ckpt", "--evaluation", "ensemble", "--config", "ensemble.yaml"),
        *("--trainer.callbacks.t_new=1", "--trainer.callbacks.t_old=3"),
    ]


def test_numbers_are_taken_as_they_were_given(paths: AllowedPaths) -> None:
    fit, _, ensemble = commands(paths, method="gml.yaml", seed=2**32 - 1, ensemble=True, t_new=1.23456789, name="x")
    assert fit[fit.index("--seed_everything") + 1] == "4294967295"
    assert "--trainer.callbacks.t_new=1.23456789" in ensemble


def test_a_name_is_found_that_is_free(paths: AllowedPaths) -> None:
    (paths.runs / "ce_digits").mkdir(parents=True)
    assert TrainingForm().named(paths) == "ce_digits_2"
    assert TrainingForm(folder="signs").named(paths) == "signs/ce_digits"
    assert TrainingForm(like="ce_digits").named(paths) == "ce_digits_2"
    assert TrainingForm(like="signs/mine").named(paths) == "mine"
    shipped = "ce_resnet32_cifar100_lt100"
    assert TrainingForm(like=shipped).named(paths) == f"{shipped}_2"
    (paths.runs / "my run").mkdir()
    assert TrainingForm(like="my run").named(paths) == "my_run"
    with pytest.raises(InputError, match=r"called by letters, digits and `_ \+ \. -`; it cannot be 'my run'"):
        TrainingForm(name="my run").named(paths)
    with pytest.raises(InputError, match="exists already"):
        TrainingForm(name="ce_digits").named(paths)


def test_a_long_text_is_no_path(paths: AllowedPaths) -> None:
    refuse_outside(paths, "x" * 300)


def test_a_group_is_no_run(paths: AllowedPaths) -> None:
    with paths.job("signs").lock.hold(), pytest.raises(InputError, match="signs is a run, so it cannot be a group"):
        TrainingForm(folder="signs").named(paths)
    (paths.runs / "signs").mkdir()
    (paths.runs / "signs" / "metrics.csv").write_text("epoch\n")
    with pytest.raises(InputError, match="signs is a run, so it cannot be a group"):
        TrainingForm(folder="signs").named(paths)


@pytest.mark.parametrize(
    "said",
    [
        {"method": "../../secret.yaml"},
        {"method": "/etc/passwd"},
        {"data": "gml.yaml"},
        {"recipes": ("nothing.yaml",)},
        {"method": "ensemble.yaml"},  # for a test
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
        {"seed": 1.5},
        {"seed": -1},
        {"seed": 2**32},
        {"ensemble": True, "t_new": 0},
        {"ensemble": True, "t_old": 1001},
        {"ensemble": True, "name": "ensemble"},
        {"ensemble": True, "t_old": "hot"},
        {"ensemble": True, "t_new": float("nan")},
    ],
)
def test_what_cannot_be_is_said(paths: AllowedPaths, said: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        commands(paths, **said)
    assert not paths.runs.exists()


def test_every_recipe_is_there_with_every_option() -> None:
    trained = {path.name for path in folder("configs").glob("*.yaml")} - {"base.yaml"}
    tested = {
        name
        for name in trained
        if not yaml.safe_load((folder("configs") / name).read_text()).keys() & {"model", "data"}
    }
    assert {name for _, name in methods()} == trained - tested
    assert {"data/digits.yaml", "data/cifar10.yaml", "data/folder.yaml"} <= {one.name for one in Recipe.all("data")}


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
def test_the_fields_of_a_recipe_can_be_shown(paths: AllowedPaths, method: str) -> None:
    options = found(paths, TrainingForm(method=method))
    assert {"data.imbalance", "model", "model.backbone", "trainer.max_epochs"} <= {field.option for field in options}
    assert all(field.about for field in options if field.option.startswith("model.loss.") and field.kind != "part")
    for field in options:
        assert field.word(field.value if field.kind != "text" else None) in (None, "null")


def test_a_run_of_the_command_line_goes_on_from_its_checkpoint(
    paths: AllowedPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(Job, "start", lambda _, content: started.append(content))
    run = paths.runs / "x"
    run.mkdir(parents=True)
    with pytest.raises(InputError, match="there is no run x"):
        resume(paths, "x")
    (run / "last.ckpt").write_text("weights")
    resume(paths, "x")
    fit, _ = commands_of(Plan.of(started[0], "x"), paths.runs)
    assert fit == ["fit", "--runs", "checkpoints", "--name", "x"], "the study adds `--ckpt_path last`"
    (run / "last.ckpt").unlink()
    (run / "metrics.csv").write_text("epoch\n")
    with pytest.raises(InputError, match="it needs a checkpoint"):
        resume(paths, "x")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model": {"class_path": "ltr.methods.Method", "init_args": {"loss": "evil.Loss"}}}, "names evil.Loss"),
        ({"model": {"class_path": "ltr.methods.Method"}, "trust": ["evil"]}, "it has trust, which is not an option"),
    ],
)
def test_the_settings_of_a_run_are_checked_before_they_are_used(
    paths: AllowedPaths, config: dict[str, Any], why: str
) -> None:
    run = paths.runs / "x"
    run.mkdir(parents=True)
    (run / "metrics.csv").write_text("epoch\n")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=f"is refused: .*{why}"):
        TrainingForm(like="x").fields(paths)


def test_commands_trust_the_packages_of_the_page(paths: AllowedPaths) -> None:
    trusting = AllowedPaths(paths.runs, paths.folders, ("mine", "theirs"))
    for command in commands(trusting, name="x", ensemble=True):
        assert " --trust mine --trust theirs" in " ".join(command)
