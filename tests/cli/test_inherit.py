"""A tuning takes architecture, width, head and experts from the run that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

SMALL = (
    "--data Synthetic --data.imbalance 4 --data.batch_size 16 --trainer.enable_progress_bar false "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.max_epochs 1"
)
NARROW = "--model.backbone ResNet20 --model.backbone.width 4"
WITHIN = "--model.backbone.backbone ResNet20 --model.backbone.backbone.width 4"
COSINE = "--model.schedule Cosine --model.schedule.warmup 0"
# The command that trains a run, the class of its backbone, and that of its classifier.
RUNS = {
    "ce": (f"{NARROW} {COSINE}", "ResNet20", "Linear"),
    "ldam": (f"{NARROW} {COSINE} --model.head Cosine --model.head.scale 16", "ResNet20", "Cosine"),
    "lade": (f"{WITHIN} {COSINE}", "Bilateral", "Linear"),
    "bbn": (f"{NARROW} {COSINE} --data.sampler Bilateral", "Bilateral", "Linear"),
    "ride": (f"{WITHIN} --model.backbone.experts 2 --model.head.experts 2", "MultiExpert", "ExpertHeads"),
    "paco": (f"{NARROW} {COSINE} --model.queue 40 --model.head.size 8", "ResNet20", "Linear"),
}


def config(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(f"checkpoints/{name}/config.yaml").read_text())["model"]["init_args"]
    return found


def state(name: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(f"checkpoints/{name}/last.ckpt")["state_dict"]
    return found


def check_is_tuned(run: str, tuned: str, backbone: str, head: str) -> None:
    """Assert that a tuning has the network of a run, and that its config says which."""
    said = config(tuned)
    assert said["backbone"]["init_args"]["backbone"]["class_path"] == f"ltr.backbones.{backbone}"
    assert {said[name]["class_path"] for name in ("head", "old_head")} == {f"ltr.heads.{head}"}
    own, new = state(run), state(tuned)
    old = {name.removeprefix("old_head."): value for name, value in new.items() if name.startswith("old_head.")}
    assert old
    assert all(torch.equal(value, own[f"head.{name}"]) for name, value in old.items())


@pytest.mark.slow_but_one
@pytest.mark.parametrize("name", RUNS)
def test_the_recipe_and_the_run_are_enough(name: str, ltr) -> None:
    words, backbone, head = RUNS[name]
    assert ltr(f"fit --config {name}.yaml {SMALL} --trainer.max_epochs 0 {words} --name run") == 0
    assert ltr(f"fit --config gml.yaml {SMALL} --model.backbone.checkpoint run --name tuned") == 0
    check_is_tuned("run", "tuned", backbone, head)
    assert ltr(f"fit --config gml.yaml {SMALL} --model.backbone.checkpoint tuned --name again") == 0
    check_is_tuned("tuned", "again", backbone, head)


@pytest.mark.slow
def test_what_is_given_counts_and_a_resumed_training_needs_no_run(ltr) -> None:
    assert ltr(f"fit --config ce.yaml {SMALL} --trainer.max_epochs 0 {NARROW} {COSINE} --name run") == 0
    lws = f"fit --config lws.yaml {SMALL} {COSINE} --model.backbone.checkpoint run --name tuned"
    assert ltr(lws) == 0
    assert config("tuned")["head"]["class_path"] == "ltr.heads.LWS"
    assert config("tuned")["old_head"]["class_path"] == "ltr.heads.Linear"
    Path("checkpoints/run").rename("away")
    assert ltr(f"{lws} --ckpt_path last --trainer.max_epochs 2") == 0
    assert config("tuned")["backbone"]["init_args"]["backbone"]["init_args"]["width"] == 4


def test_a_teacher_is_built_like_its_run(ltr) -> None:
    assert ltr(f"fit --config ldam.yaml {SMALL} --trainer.max_epochs 0 {NARROW} {COSINE} --name run") == 0
    assert ltr(f"fit --config distillation.yaml {SMALL} {NARROW} {COSINE} --model.teacher.checkpoint run --name b") == 0
    assert config("b")["teacher_head"]["class_path"] == "ltr.heads.Cosine"
    assert config("b")["head"]["class_path"] == "ltr.heads.Linear"
    assert config("b")["teacher"]["init_args"]["backbone"]["init_args"]["width"] == 4


def data(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(f"checkpoints/{name}/config.yaml").read_text())["data"]
    return found


@pytest.mark.slow
def test_the_data_set_of_the_run_is_the_one_that_it_is_tuned_on(ltr) -> None:
    words = SMALL.replace("--data Synthetic ", "")
    first = f"{words} --data Synthetic --data.val_per_class 2 --data.sampler ClassAware {NARROW} {COSINE} --name run"
    assert ltr(f"fit --config ce.yaml {first} --trainer.max_epochs 0") == 0
    words = words.replace("--data.imbalance 4 --data.batch_size 16", "")
    tuned = f"fit --config gml.yaml {words} --model.backbone.checkpoint run --data.subset_seed 3 --name tuned"
    assert ltr(tuned) == 0
    assert data("tuned")["class_path"] == "ltr.data.Synthetic"
    options = data("run")["init_args"]
    training = {"sampler": data("tuned")["init_args"]["sampler"], "batch_size": 512, "subset_seed": 3}
    assert "ClassAware" not in str(training["sampler"])
    assert data("tuned")["init_args"] == {**options, **training}
    Path("checkpoints/run").rename("away")
    assert ltr(f"{tuned} --ckpt_path last --trainer.max_epochs 2") == 0
    assert data("tuned")["init_args"] == {**options, **training}


def test_a_given_data_set_counts(ltr) -> None:
    assert ltr(f"fit --config ce.yaml {SMALL} --data.val_per_class 2 --trainer.max_epochs 0 {NARROW} --name run") == 0
    assert ltr(f"fit --config gml.yaml {SMALL} --model.backbone.checkpoint run --name tuned") == 0
    assert data("tuned")["init_args"]["val_per_class"] == 0


def test_a_named_architecture_leaves_the_data_set_to_the_run(ltr) -> None:
    words = SMALL.replace("--data Synthetic --data.imbalance 4 --data.batch_size 16", "")
    assert ltr(f"fit --config ce.yaml {SMALL} --trainer.max_epochs 0 {NARROW} {COSINE} --name run") == 0
    assert ltr(f"fit --config gml.yaml {words} --model.backbone.checkpoint run {WITHIN} --name tuned") == 0
    assert data("tuned")["class_path"] == "ltr.data.Synthetic"


@pytest.mark.slow
def test_options_of_a_folder_of_images_that_are_none_stay_none(ltr) -> None:
    assert ltr("convert --data DigitsLT --data.imbalance 20 --output images") == 0
    words = SMALL.replace("--data Synthetic --data.imbalance 4 --data.batch_size 16", "")
    first = f"{words} --data FolderLT --data.root images {NARROW} {COSINE} --name run"
    assert ltr(f"fit --config ce.yaml {first} --trainer.max_epochs 0") == 0
    assert ltr(f"fit --config gml.yaml {words} --model.backbone.checkpoint run --name tuned") == 0
    none = {name for name, value in data("run")["init_args"].items() if value is None}
    assert none
    assert {name for name in none if data("tuned")["init_args"][name] is None} == none
    assert not Path("null").exists()


def test_callbacks_that_those_of_a_later_config_replace_are_noted(ltr) -> None:
    with pytest.warns(
        UserWarning, match=r"those of tau_norm.yaml \(TauNorm\): to have both, pass `--trainer.callbacks\+"
    ):
        assert ltr("fit --config tau_norm.yaml --config logit_adjustment.yaml --print_config") == 0
    assert ltr("fit --config tau_norm.yaml --trainer.callbacks+=LogitAdjustment --print_config") == 0


def test_a_tuning_does_not_leave_out_the_images_that_its_run_left_out(trained, ltr) -> None:
    trained("--name run --data.drop_last true")
    words = SMALL.replace("--data Synthetic --data.imbalance 4 --data.batch_size 16 ", "")
    assert ltr(f"fit --config gml.yaml {words} --model.backbone.checkpoint run --name tuned") == 0
    found = [yaml.safe_load(Path(f"checkpoints/{name}/config.yaml").read_text())["data"] for name in ("run", "tuned")]
    assert [data["class_path"] for data in found] == ["ltr.data.Synthetic"] * 2
    assert [data["init_args"].get("drop_last", False) for data in found] == [True, False]
