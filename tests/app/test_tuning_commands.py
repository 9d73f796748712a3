"""The words of a tuning that the page starts, for every kind of base, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny import TINY, small

from ltr.__main__ import main
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.catalogue import architectures, tuning_data, tuning_losses
from ltr.app.job import commands
from ltr.app.options import resolved
from ltr.app.tuning import CONTROL, TuningForm, proposed
from ltr.errors import InputError
from ltr.run.evaluation import EvaluationResult
from ltr.run.folder import BEFORE
from ltr.studies.plan import Plan

Run = Callable[..., int]

SLIM = {"class_path": "ltr.backbones.ResNet32", "init_args": {"slim": 0.75, "width": 16}}
EXPERTS = {"class_path": "ltr.backbones.MultiExpert", "init_args": {"backbone": SLIM, "experts": 3}}
WIDE = {"class_path": "ltr.backbones.ResNet32", "init_args": {"width": 16}}
BILATERAL = {"class_path": "ltr.backbones.Bilateral", "init_args": {"backbone": None}}
COSINE = {"class_path": "ltr.heads.Cosine", "init_args": {"scale": 30.0}}
LINEAR = {"class_path": "ltr.heads.Linear", "init_args": {"bias": True}}
HEADS = {"class_path": "ltr.heads.ExpertHeads", "init_args": {"experts": 3, "head": COSINE}}
PROJECTION = {"class_path": "ltr.heads.Projection", "init_args": {"classifier": COSINE, "size": 8}}
TUNED = {"class_path": "ltr.backbones.Pretrained", "init_args": {"checkpoint": "a", "backbone": BILATERAL}}
DATA = {
    "class_path": "ltr.data.DigitsLT",
    "init_args": {"root": "data", "imbalance": 50.0, "tail": "exp", "batch_size": 32, "augment": None},
}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AllowedPaths:
    """Return a paths whose runs are where the command line keeps them."""
    monkeypatch.chdir(tmp_path)
    return AllowedPaths(Path("checkpoints"), (tmp_path,))


def commanded(paths: AllowedPaths, form: TuningForm) -> list[list[str]]:
    """Return the commands of a tuning."""
    return commands(Plan.of(form.study(paths), form.name), paths.runs)


def keep(paths: AllowedPaths, name: str, backbone: dict[str, Any], head: dict[str, Any] | None) -> None:
    """Write a run as far as the page looks at it."""
    folder = paths.runs / name
    folder.mkdir(parents=True)
    torch.save({"state_dict": {}}, folder / "last.ckpt")
    model = {"class_path": "ltr.methods.Method", "init_args": {"backbone": backbone, "head": head}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": model, "data": DATA}, sort_keys=False))


def after(words: list[str], option: str) -> str | None:
    """Return what follows an option."""
    return words[words.index(option) + 1] if option in words else None


@pytest.mark.parametrize(
    ("backbone", "head", "names"),
    [
        (WIDE, LINEAR, ("ResNet32", "Linear", "GML")),
        (WIDE, COSINE, ("ResNet32", "Cosine", "GML")),
        (WIDE, PROJECTION, ("ResNet32", "Cosine", "GML")),
        (BILATERAL, LINEAR, ("Bilateral", "Linear", "GML")),
        (TUNED, LINEAR, ("Bilateral", "Linear", "GML")),
        (EXPERTS, HEADS, ("MultiExpert", "ExpertHeads", "PerExpert")),
    ],
    ids=["ce", "ldam", "contrastive", "lade", "tuned", "ride"],
)
def test_the_parts_are_those_of_the_base(
    paths: AllowedPaths, backbone: dict[str, Any], head: dict[str, Any], names: tuple[str, str, str]
) -> None:
    keep(paths, "base", backbone, head)
    tune, test, pretrained, *others = commanded(paths, TuningForm(base="base", name="tuned"))
    assert tune[:5] == ["fit", "--config", "gml.yaml", "--model.backbone.checkpoint", "checkpoints/base"]
    model, before = (resolved(words[1:]).model.init_args for words in (tune, pretrained))
    parts = (model.backbone.init_args.backbone, model.head, model.loss)
    assert tuple(part.class_path.rpartition(".")[2] for part in parts) == names
    assert model.old_head == model.head == before.head, "another head before than after"
    assert model.backbone.init_args.backbone == before.backbone.init_args.backbone, "another network before than after"
    assert after(pretrained, "--data.imbalance") == after(tune, "--data.imbalance")
    assert test == ["test", "--ckpt_path", "checkpoints/tuned/last.ckpt", "--evaluation", "test"]
    before_words = ["test", "--ckpt_path", f"checkpoints/tuned{BEFORE}/last.ckpt", "--evaluation"]
    assert others == [
        [*before_words, "test"],
        [*before_words, CONTROL, "--config", "logit_adjustment.yaml"],
    ]


def test_data_are_those_of_the_base_or_others(paths: AllowedPaths) -> None:
    keep(paths, "base", SLIM, LINEAR)
    own, *_ = commanded(paths, TuningForm(base="base", name="tuned", batch=32))
    start = own.index("--data")
    expected = "--data DigitsLT --data.root data --data.imbalance 50.0 --data.tail exp --data.batch_size 32"
    assert own[start : start + 10] == expected.split()
    other, *_ = commanded(paths, TuningForm(base="base", name="tuned", kind="CIFAR10LT", imbalance=0.01, tail="step"))
    start = other.index("--data")
    expected = "--data CIFAR10LT --data.imbalance 100.0 --data.tail step --data.batch_size 512"
    assert other[start : start + 8] == expected.split()
    (paths.runs.parent / "mine").mkdir()
    folder, *_ = commanded(paths, TuningForm(base="base", name="tuned", kind="FolderLT", root="mine", tail="none"))
    assert after(folder, "--data.root") == str(Path("mine").resolve())
    assert after(folder, "--data.tail") == "none"


def test_a_file_of_weights_is_of_the_architecture_that_is_said(paths: AllowedPaths, run_file: Path) -> None:
    with pytest.raises(InputError, match="does not name the data it was trained on"):
        commanded(paths, TuningForm(file=str(run_file), name="tuned"))
    form = TuningForm(file=str(run_file), architecture="ResNet20", kind="DigitsLT", name="tuned")
    tune, _, pretrained, *_ = commanded(paths, form)
    for words in (tune, pretrained):
        assert after(words, "--model.backbone.checkpoint") == str(run_file)
        assert after(words, "--model.backbone.backbone") == "ResNet20"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"base": "../outside"}, "there is no run"),
        ({"base": "/etc"}, "there is no run"),
        ({"base": ""}, "choose a run"),
        ({"file": "/etc/passwd"}, "outside of the folders"),
        ({"file": "checkpoints"}, "is a folder"),
        ({"name": "a/b"}, "the name of a run cannot be"),
        ({"name": "../a"}, "the name of a run cannot be"),
        ({"name": "--help"}, "needs a name of letters, digits"),
        ({"name": "my run"}, "needs a name of letters, digits"),
        ({"name": "base"}, "exists already"),
        ({"loss": "os.system"}, "unknown tuning loss"),
        ({"loss": "SupCon"}, "unknown tuning loss"),
        ({"kind": "LongTailed"}, "unknown data set"),
        ({"kind": "DigitsLT", "tail": "--runs"}, "unknown shape of the tail"),
        ({"kind": "DigitsLT", "imbalance": 1}, "imbalance 1 is a balanced set"),
        ({"kind": "DigitsLT", "imbalance": "nan"}, "the imbalance factor must be a number above 0"),
        ({"kind": "DigitsLT", "imbalance": None}, "the imbalance factor must be a number above 0"),
        ({"kind": "FolderLT", "root": "/etc"}, "outside of the folders"),
        ({"architecture": "Pretrained"}, "unknown architecture"),
        ({"epochs": -1}, "the number of epochs must be a whole number from 1"),
        ({"epochs": 1e9}, "the number of epochs must be a whole number from 1"),
        ({"epochs": 2.5}, "the number of epochs must be a whole number from 1"),
        ({"epochs": "many"}, "the number of epochs must be a whole number from 1"),
        ({"epochs": [1]}, "the number of epochs must be a whole number from 1"),
        ({"rate": 0}, "the learning rate must be a number above 0"),
        ({"rate": float("inf")}, "the learning rate must be a number above 0"),
        ({"batch": 0}, "the batch size must be a whole number from 1"),
        ({"seed": 2**40}, "the seed must be a whole number from 0"),
    ],
    ids=str,
)
def test_what_a_client_may_post_is_refused(paths: AllowedPaths, said: dict[str, Any], why: str) -> None:
    keep(paths, "base", SLIM, LINEAR)
    with pytest.raises(InputError, match=why):
        commanded(paths, TuningForm(**{"base": "base", "name": "tuned"} | said))


def test_choices_are_found_by_themselves() -> None:
    assert {"ResNet32", "ResNet44", "Bilateral"} <= set(architectures())
    assert "Pretrained" not in architectures()
    assert {"CIFAR100LT", "CIFAR10LT", "DigitsLT", "FolderLT"} <= set(tuning_data())
    losses = tuning_losses()
    assert losses[0] == "GML"
    assert {"LabelAwareSmoothing", "BalancedSoftmax", "LDAM"} <= set(losses)
    assert not {"SupCon", "PaCo", "RIDE", "PerExpert"} & set(losses)


def test_a_name_is_proposed_that_is_free(paths: AllowedPaths) -> None:
    assert proposed(paths, "study/ce-0", "GML") == "ce-0_gml"
    keep(paths, "ce-0_gml_2_before", SLIM, LINEAR)
    keep(paths, "ce-0_gml", SLIM, LINEAR)
    assert proposed(paths, "study/ce-0", "GML") == "ce-0_gml_3"
    assert paths.new(proposed(paths, "/a/$(reboot) <b>.pt", "GML"))


SMALL = small("--model.backbone")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "network"),
    [
        ("ce.yaml", "--model.backbone Bilateral --model.backbone.backbone ResNet20 --model.head Cosine"),
        ("ride.yaml", "--model.backbone.backbone ResNet20 --model.loss PerExpert"),
    ],
    ids=["bilateral, cosine", "experts"],
)
def test_the_commands_measure_one_network(ltr: Run, paths: AllowedPaths, config: str, network: str) -> None:
    words = TINY.replace("--config ce.yaml", f"--config {config}").replace(SMALL, network)
    assert ltr("fit", words, "--data.augment Plain --name base") == 0
    for command in commanded(paths, TuningForm(base="base", name="tuned", epochs=1, batch=16)):
        main([*command, "--trainer.accelerator", "cpu", "--trainer.precision", "32-true"])
    after = EvaluationResult.read(paths.runs / "tuned" / "test").metrics
    before = EvaluationResult.read(paths.runs / "tuned_before" / "test").metrics
    control = EvaluationResult.read(paths.runs / "tuned_before" / CONTROL).metrics
    assert before["recall"] == after["old_recall"], "the network before is not the one that was tuned"
    for what in ("counts", "classes", "data"):
        assert before[what] == control[what] == after[what]
    assert control["adjustments"] == [{"LogitAdjustment": {"tau": 1.0}}]
