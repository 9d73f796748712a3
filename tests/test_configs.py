"""Every shipped YAML is parsed, built, trained for a step and tested."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from tiny_clip import add_models

from ltr.cli.command import Command
from ltr.run import lookup
from ltr.studies.plan import Plan

HOME = lookup.folder("configs")
SMALL = (
    "--trainer.fast_dev_run true --trainer.accelerator cpu --trainer.precision 32-true "
    "--trainer.enable_progress_bar false --name small"
)
DATA = "--data Synthetic --data.batch_size 16"
METHODS = sorted(path.name for path in HOME.glob("*.yaml"))
RECIPES = sorted(path.relative_to(HOME).as_posix() for path in (HOME / "recipes").glob("*.yaml"))
SETS = sorted(path.relative_to(HOME).as_posix() for path in (HOME / "data").glob("*.yaml"))
PARTS = ("losses", "heads", "samplers", "mixes", "optimizers", "callbacks")
NO_CHOICE = {"Adjustment", "Evaluation", "Progress", "Router", "Run"}  # what nobody names: a base class, and own parts
BEFORE = {"ensemble.yaml": "gml.yaml", "sade_aggregation.yaml": "sade.yaml"}  # whose runs these are for
VALIDATED = {"conformal.yaml", "post_hoc_vector_scaling.yaml", "temperature_scaling.yaml"}  # which need unseen images
SLOWER = {"shike.yaml"}  # whose rate is for a hundred classes and needs its warm-up, which a single epoch has not
OF_NO_PAPER = {"base.yaml", "combined.yaml", "pretrained.yaml"}
KINDS = {"ldam_drw.yaml", "drs.yaml", "mixup_until.yaml", "rsg.yaml", "gml.yaml", "ride.yaml", "undersampling.yaml"}
STUDIES = sorted(path.name for path in (HOME / "studies").glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {"base.yaml", "ce.yaml", "gml.yaml"} <= set(METHODS)
    assert RECIPES
    assert SETS
    assert STUDIES


@pytest.mark.filterwarnings("ignore:The PyTorch Profiler default schedule")  # for an evaluation of few steps
@pytest.mark.parametrize("name", [*METHODS, *RECIPES])
def test_a_method_or_recipe_is_trained_and_tested(name: str, trained, ltr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = training(name, f"{DATA} --data.largest 100", SMALL, trained, ltr)
    text = (HOME / BEFORE.get(name, name)).read_text()
    if "max_epochs: 0" in text:
        words = [word.replace("--trainer.fast_dev_run true", "") for word in words]
    if "PyTorchProfiler" in text:  # which waits and warms up for the first steps
        words = [word.replace("fast_dev_run true", "fast_dev_run 12") for word in words]
    tested = []
    # A fast_dev_run leaves no checkpoint, so what was just trained is tested where it is.
    monkeypatch.setattr(Command, "after_fit", lambda command: tested.append(measured(command)))
    assert ltr(*words) == 0
    assert 0 <= tested[0]["test/top1"] <= 1


@pytest.mark.filterwarnings("ignore:The PyTorch Profiler default schedule", "ignore:this run is short")
@pytest.mark.parametrize(
    "name", [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in [*METHODS, *RECIPES]]
)
def test_a_single_epoch_of_a_method_or_recipe_trains(name: str, trained, ltr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    epochs = 0 if name == "pretrained.yaml" else 1  # which keeps a file as a run, so that there is nothing to train
    short = SMALL.replace("fast_dev_run true", f"max_epochs {epochs}")
    words = training(name, "--data Synthetic --data.largest 100 --data.test_per_class 50", short, trained, ltr)
    assert ltr(*words) == 0
    assert Path("checkpoints/small/last.ckpt").is_file()
    assert ltr("test --ckpt_path small") == 0


def training(name: str, data: str, flags: str, trained, ltr) -> list[str]:
    """Return the words that train a recipe with a small network, from a run that is trained where it needs one."""
    first = BEFORE.get(name, name)
    text = (HOME / first).read_text()
    words = [f"fit --config {first} --config {name}", data, flags]
    words += ["--data.val_per_class 2"] if name in VALIDATED else []
    words += ["--model.optimizer.lr 0.01"] if name in SLOWER else []
    if "OpenCLIP" in text:
        return [*words, small_clip()]
    parts = yaml.safe_load(text).get("model", {}).get("init_args", {})
    from_file = [part for part in ("backbone", "teacher") if "Pretrained" in str(parts.get(part))]
    if from_file:
        start(ltr, trained, file=next(str(parts[part]) for part in from_file))
    for part in from_file:
        words += [f"--model.{part}.checkpoint start"]
    for part in {"backbone", *from_file}:
        said = str(parts.get(part))
        if "Pretrained" in said and "backbone" not in parts[part]["init_args"]:
            continue  # the run brings its architecture
        wrappers = ("Pretrained", "MultiExpert", "DepthFusion")
        network = f"--model.{part}" + ".backbone" * sum(wrapper in said for wrapper in wrappers)
        words += [f"{network} ResNetCIFAR {network}.depth 8 {network}.width 4"]
    return words


def small_clip() -> str:
    """Write the weights of a small CLIP; return the words that name it."""
    open_clip = pytest.importorskip("open_clip")
    add_models(Path.cwd())
    torch.save(open_clip.create_model("ltr_tiny").state_dict(), "clip.pt")
    return "--model.backbone.name ltr_tiny --model.backbone.pretrained clip.pt"


def measured(command: Command) -> dict[str, float]:
    """Test what a command has trained, as `ltr test` does; return the measures."""
    command.trainer.test(command.model, datamodule=command.datamodule, verbose=False)
    return command.model.measures


@pytest.mark.parametrize("kind", PARTS)
def test_every_part_has_a_recipe(kind: str) -> None:
    used = set(re.findall(rf"\bltr\.{kind}\.(\w+)", "".join(values(name) for name in [*METHODS, *RECIPES])))
    parts = set(import_module(f"ltr.{kind}").__all__) - NO_CHOICE
    assert not parts - used, f"no recipe in configs/ shows {', '.join(sorted(parts - used))} of ltr.{kind}"
    assert not used - parts, f"recipes name what ltr.{kind} does not export: {', '.join(sorted(used - parts))}"


def values(name: str) -> str:
    """Return a recipe without its comments."""
    return yaml.safe_dump(yaml.safe_load((HOME / name).read_text()))


def start(ltr, trained, *, file: str) -> None:
    """Train what a recipe reads; of experts, what they are drawn as."""
    words = "--data.imbalance 100 --data.largest 100 --name start"
    if "MultiExpert" in file or "'ride'" in file or "'shike'" in file:
        recipe = "ride_teacher.yaml" if "'experts': 6" in file else "shike.yaml" if "'shike'" in file else "ride.yaml"
        network = "--model.backbone.backbone"
        small = f"{network} ResNetCIFAR {network}.depth 8 {network}.width 4 --trainer.max_epochs 0"
        rest = SMALL.replace("--trainer.fast_dev_run true", "").replace("--name small", "")
        assert ltr(f"fit --config {recipe} {DATA} {words} {small} {rest}") == 0
    else:
        head = "--model.head Cosine" if "mixture_teacher" in file else ""
        small = "--model.backbone ResNetCIFAR --model.backbone.depth 8 --model.backbone.width 4"
        trained(f"{words} --trainer.max_epochs 1 {small} {head}")


@pytest.mark.parametrize("name", SETS)
def test_a_set_can_be_built(name: str, ltr, capsys) -> None:
    assert ltr(f"fit --config {name} --print_config") == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["class_path"].startswith("ltr.data.")


@pytest.mark.parametrize(
    ("configs", "kinds"),
    [
        ("data/imagenet_lt.yaml ride.yaml", ["MultiExpert", "ResNeXt50"]),
        ("data/inaturalist2018.yaml gml.yaml", ["Pretrained", "ResNeXt50"]),
        ("ldam_drw.yaml data/imagenet_lt.yaml", ["ResNeXt50"]),
    ],
)
def test_a_method_goes_with_a_large_set(configs: str, kinds: list[str], ltr, capsys) -> None:
    words = " ".join(f"--config {name}" for name in configs.split())
    inner = "--model.backbone" + ".backbone" * (len(kinds) - 1)
    assert ltr(f"fit {words} {inner} ResNeXt50 --print_config") == 0
    part = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["backbone"]
    for kind in kinds:
        assert part["class_path"] == f"ltr.backbones.{kind}"
        part = part["init_args"].get("backbone")


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_sound(name: str) -> None:
    plan = Plan.read(name)
    for entry in plan.entries:
        for words in (entry.fit or (), entry.test):
            for word, value in pairwise(words):
                if word == "--config":
                    assert lookup.config(value).is_file()


@pytest.mark.parametrize("name", METHODS)
def test_a_config_names_its_source(name: str) -> None:
    header = re.match(r"(?:# .*\n)+", (HOME / name).read_text())
    assert header, "it starts with a comment"
    fields = dict(re.findall(r"^# (\w+): (.*)$", header[0], re.MULTILINE))
    assert "https://" in fields.get("Paper", "") or "/" in fields.get("Code", "") or name in OF_NO_PAPER


def test_configs_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lookup.config("gml.yaml") == HOME / "gml.yaml"
    assert lookup.config("configs/gml.yaml") == HOME / "gml.yaml"
    (tmp_path / "gml.yaml").write_text("# mine")
    assert lookup.config("gml.yaml") == Path("gml.yaml")
