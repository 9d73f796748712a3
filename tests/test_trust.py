"""The config that comes with a file runs no code."""

from __future__ import annotations

import copy
import importlib
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ltr import trust
from ltr.__main__ import main
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.networks import network
from ltr.app.tuning import TuningForm
from ltr.cli.command import PASSING, Command
from ltr.contracts import Loss
from ltr.errors import InputError
from ltr.process_state import isolated
from ltr.run import lookup, safetensors_files, weights
from tests.tiny import TINY

pytestmark = pytest.mark.filterwarnings("ignore:.* is not the config that")  # a hostile one lies beside it

SHIPPED = lookup.folder("checkpoints")
NAMES = ("os.system", "ltr.files.os.system", "evil.function", "evil.Thing")
RAN: list[str] = []
EVIL = """
def function(*_, **__): pass
class Thing: pass
"""

MODEL, DATA = ("model", "init_args"), ("data", "init_args")
PLACES: dict[str, tuple[str | int, ...]] = {
    "model": ("model",),
    "loss": (*MODEL, "loss"),
    "loss in a loss": (*MODEL, "loss", "init_args", "before"),
    "loss in a loss in a loss": (*MODEL, "loss", "init_args", "after", "init_args", "loss"),
    "head": (*MODEL, "head"),
    "backbone": (*MODEL, "backbone"),
    "mix": (*MODEL, "mix"),
    "optimizer": (*MODEL, "optimizer"),
    "schedule": (*MODEL, "schedule"),
    "data": ("data",),
    "sampler": (*DATA, "sampler"),
    "augment": (*DATA, "augment"),
    "transform in an augment": (*DATA, "augment", "init_args", "transforms", 0),
    "number": (*MODEL, "optimizer", "init_args", "lr"),
}
TRAINER: dict[str, tuple[str | int, ...]] = {
    "callback": ("trainer", "callbacks", 0),
    "augment of a callback": ("trainer", "callbacks", 1, "init_args", "augment"),
    "losses by name in a callback": ("trainer", "callbacks", 2, "init_args", "losses", "x"),
    "logger": ("trainer", "logger"),
    "profiler": ("trainer", "profiler"),
    "strategy": ("trainer", "strategy"),
    "plugins": ("trainer", "plugins"),
}
SOURCES = ("checkpoint", "run folder", "safetensors", "hub", "export", "push", "upload", "page", "tuning")


@cache
def kept() -> dict[str, Any]:
    """Return the config of a shipped run with nested parts, callbacks included."""
    config: dict[str, Any] = yaml.safe_load((SHIPPED / "ldam_drw_resnet32_cifar100_lt100/config.yaml").read_text())
    flip = {"class_path": "ltr.data.CropFlip", "init_args": {}}
    config["data"]["init_args"]["augment"] = {
        "class_path": "ltr.data.Compose",
        "init_args": {"transforms": [flip, flip]},
    }
    config["trainer"]["callbacks"] = [
        {"class_path": "ltr.callbacks.EMA", "init_args": {}},
        {"class_path": "ltr.callbacks.ExpertAggregation", "init_args": {"augment": flip}},
        {"class_path": "ltr.callbacks.HeadGrid", "init_args": {"losses": {"x": {"class_path": "ltr.losses.GML"}}}},
    ]
    return config


def whole() -> dict[str, Any]:
    """Return the same config to be changed."""
    return copy.deepcopy(kept())


def put(way: tuple[str | int, ...], value: Any) -> str:
    """Return the config as YAML with something else at a place."""
    config = whole()
    inner: Any = config
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return yaml.dump(config, Dumper=Expanded, sort_keys=False)


class Expanded(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes what occurs twice twice, as fast as can be."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@pytest.fixture(autouse=True)
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Record what runs: a function of the standard library, and a module that is imported."""
    (tmp_path / "evil.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.system", lambda *_, **__: RAN.append("system"))
    RAN.clear()
    yield
    assert not RAN
    assert "evil" not in sys.modules


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """Return a checkpoint."""
    return weights.read(str(SHIPPED / "ldam_drw_resnet32_cifar100_lt100"))


def opened(source: str, text: str, content: dict[str, Any], home: Path) -> None:
    """Open what comes from somewhere, with the verb or the part of the page that opens it."""
    file = written(home / FILES.get(source, FILES["checkpoint"]), text, content, beside=source == "run folder")
    if source in ("upload", "page"):
        network(file, trusted=source == "page")
    elif source == "tuning":
        TuningForm(base="run").start(AllowedPaths(home))
    elif source in ("export", "push"):
        more = ["--to", "u/n", "--license", "mit", "--folder", "pushed"] if source == "push" else []
        main([source, "--ckpt_path", str(file), *more])
    else:
        main(["test", "--ckpt_path", str(file)])


@pytest.mark.slow_but_one
@pytest.mark.parametrize("source", SOURCES)
def test_nothing_that_a_config_names_runs(
    source: str, content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = PLACES if source in ("hub", "tuning") else PLACES | TRAINER
    small = {**content, "state_dict": {"counts": content["state_dict"]["counts"]}}
    for where, way in places.items():
        for name in NAMES if source == "run folder" else NAMES[:3]:
            for value in (name, {"class_path": name, "init_args": {"command": "x"}}):
                with pytest.raises((SystemExit, InputError)) as error:
                    opened(source, put(way, value), small, tmp_path)
                said = str(error.value) if isinstance(error.value, InputError) else capsys.readouterr().err
                assert "refused" in said, (where, value)
                assert name in said, (where, value)
                assert isinstance(error.value, InputError) or error.value.code == 2
                assert not RAN, (where, value)


# What each verb does with a file, in the words of the command line.
VERBS = {
    "test": "test --ckpt_path {file}",
    "validate": "validate --ckpt_path {file}",
    "predict": "predict --ckpt_path {file}",
    "fit, resumed": "fit --ckpt_path {file}",
    "fit, from a backbone": "fit --config gml.yaml --name tuned --model.backbone.checkpoint {file}",
    "fit, from a teacher": "fit --config distillation.yaml --name taught --model.teacher.checkpoint {file}",
    "tune-grid": "tune-grid --name grid --model.backbone.checkpoint {file}",
    "study": "study study.yaml --model.backbone.checkpoint {file}",
    "export": "export --ckpt_path {file}",
    "push": "push --to u/n --license mit --folder pushed --ckpt_path {file}",
}
STUDY = "runs: {tuned: {title: GML, fit: '--config gml.yaml'}}"
FILES = {
    "checkpoint": "run/last.ckpt",
    "run folder": "run/last.ckpt",
    "safetensors": "run/model.safetensors",
    "hub": "models--u--n/snapshots/abc/model.safetensors",
}


@pytest.mark.parametrize("source", FILES)
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_runs_what_a_config_names(
    verb: str, source: str, content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {**content, "state_dict": {"counts": content["state_dict"]["counts"]}}
    Path("study.yaml").write_text(STUDY)
    for where, way in (PLACES if source == "hub" else PLACES | TRAINER).items():
        if verb in ("tune-grid", "study") and where not in ("loss", "callback"):
            continue  # they train as `fit` does
        value = {"class_path": "os.system", "init_args": {"command": "x"}}
        file = written(tmp_path / FILES[source], put(way, value), small, beside=source == "run folder")
        with pytest.raises(SystemExit) as end:
            main(VERBS[verb].format(file=file).split())
        output = capsys.readouterr()
        assert end.value.code == 2, where
        assert "is refused: its config names os.system at " in output.err + output.out, where
        assert not RAN, where


def test_a_report_shows_a_config_as_text(tmp_path: Path) -> None:
    home = SHIPPED / "ldam_drw_resnet32_cifar100_lt100"
    shutil.copytree(home, tmp_path / "run", ignore=shutil.ignore_patterns("*.ckpt"))
    way = PLACES["loss"]
    (tmp_path / "run/config.yaml").write_text(put(way, {"class_path": "os.system", "init_args": {"command": "x"}}))
    (tmp_path / "run/metrics.csv").write_text("epoch,train/loss\n0,1.0\n")
    main(["report", "run"])
    assert "os.system" in Path("report.html").read_text()


def written(file: Path, text: str, content: dict[str, Any], *, beside: bool) -> Path:
    """Write a checkpoint with a config in it, or beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if beside:
        file.with_name("config.yaml").write_text(text)
        torch.save(content, file)
    elif file.suffix == ".safetensors":
        safetensors_files.write(file, {**content, "config": text}, {})
    else:
        torch.save({**content, "config": text}, file)
    return file


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("mix", "ltr.losses.GML"),
        ("loss", "ltr.heads.Linear"),
        ("loss", "GLM"),
        ("loss", "ltr.contracts.Loss.forward"),
        ("head", "torch.nn.Linear"),
        ("optimizer", "torch.optim.lr_scheduler.StepLR"),
        ("optimizer", "torch.optim.sgd.sgd"),
        ("optimizer", "ltr.run.weights.torch.load"),
        ("data", "ltr.methods.Method"),
        ("sampler", "torch.utils.data.RandomSampler"),
        ("callback", "ltr.callbacks.Run"),
        ("callback", "ltr.callbacks.evaluation.Evaluation"),
        ("callback", "lightning.pytorch.callbacks.LambdaCallback"),
        ("callback", "lightning.pytorch.loggers.CSVLogger"),
        ("logger", "lightning.pytorch.callbacks.EarlyStopping"),
        ("model", "ltr.synthesis.synthesise"),
    ],
)
def test_a_class_of_another_kind_is_refused(place: str, name: str) -> None:
    way = (PLACES | TRAINER)[place]
    where = rf"{'.'.join(str(step) for step in way if step != 'init_args')}".replace(".0", "[0]")
    with pytest.raises(InputError) as error:
        trust.checked(put(way, {"class_path": name}), "it")
    assert str(error.value).startswith(f"it is refused: its config names {name} at {where}, which is not a known ")
    assert ("--trust lightning" in str(error.value)) == name.startswith("lightning.")


@pytest.mark.parametrize(
    ("way", "value"),
    [
        ((*MODEL, "loss"), "run/config.yaml"),  # which jsonargparse would read
        ((*MODEL, "loss"), "{class_path: os.system}"),
        (("model",), "{class_path: os.system}"),
        (("trainer",), "run/config.yaml"),
        (("trainer", "callbacks"), "[{class_path: os.system}]"),
        (("trainer", "profiler"), "os.system"),
        ((*MODEL, "rates"), "run/config.yaml"),
        ((*MODEL, "loss", "init_args"), {"before.class_path": "os.system"}),
        ((*MODEL, "loss.class_path"), "os.system"),
        ((*MODEL, "loss"), {"class_path": "ltr.losses.GML", "dict_kwargs": {"power": "os.system", "x": "os.system"}}),
        ((*MODEL, "loss"), {"class_path": "ltr.losses.GML", "__path__": "x"}),
        ((*MODEL, "loss"), {"init_args": {}}),
        ((*MODEL, "loss"), {"class_path": ["os.system"]}),
        (("trainer", "callbacks", 0), {"class_path": "WeightAveraging", "init_args": {"avg_fn": "os.system"}}),
        (("trainer", "logger"), {"class_path": "WandbLogger", "init_args": {"experiment": "os.system"}}),
        (("trainer", "logger"), {"class_path": "WandbLogger", "init_args": {"settings": {"base_url": "x"}}}),
    ],
)  # fmt: skip
def test_text_that_the_parser_would_read_as_more_is_refused(way: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises(InputError, match="it is refused: its config "):
        trust.checked(put(way, value), "it")


@pytest.mark.slow_but_one
@pytest.mark.parametrize(
    "text",
    [
        "name: " + "x" * 2**18,
        "a: &a [1, 1]\nb: &b [*a, *a]\nmodel: &m [" + "*b, " * 9999 + "]",
        "a: &a {x: 1}\nmodel: {<<: [*a, *a]}",
        "model: &m [*m]",
        "model: " + "[" * 5000,
        "model: " + "{a: " * 300 + "1" + "}" * 300,
        "model: [",
        "- model",
        "model: !!python/object/apply:os.system [x]",
        "name: 2020-99-99",
        "seed_everything: " + "1" * 5000,
        "name: 2020-01-01",
    ],
)
def test_a_config_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="it is refused: "):
        trust.checked(text, "it")


@pytest.mark.parametrize("key", ["<<", "!!merge x"])
def test_a_merge_is_refused(key: str) -> None:
    with pytest.raises(InputError, match="it is refused: its config merges mappings with `<<`"):
        trust.checked(f"a: &a {{x: 1}}\nmodel: {{{key}: [*a, *a]}}", "it")


def test_an_alias_cannot_make_a_small_config_large() -> None:
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(InputError, match="more than 10,000 values"):
        trust.checked("\n".join(rows) + "\nmodel: *a11", "it")


def test_shipped_runs_are_unchanged() -> None:
    for path in SHIPPED.rglob("config.yaml"):
        config = yaml.safe_load(path.read_text())
        assert yaml.safe_load(trust.checked(path.read_text(), path)) == config, path
    config = whole()
    kept = yaml.safe_load(trust.checked(yaml.safe_dump(copy.deepcopy(config)), "it", keys=trust.NETWORK))
    assert kept == {key: config[key] for key in ("seed_everything", "model", "data", "name")}


@pytest.mark.slow
def test_every_part_of_lightning_passes_as_a_run_keeps_it() -> None:
    needed = {
        "EarlyStopping": "monitor=x",
        "GradientAccumulationScheduler": "scheduling={0: 1}",
        "OnExceptionCheckpoint": "dirpath=x",
        "CSVLogger": "save_dir=x",
        "TensorBoardLogger": "save_dir=x",
    }
    for room, flag in ((0, "callbacks+"), (1, "logger"), (2, "profiler")):
        for name in [*trust.LIGHTNING.values()][room].split():
            more = [f"--trainer.{flag.removesuffix('+')}.{needed[name]}"] if name in needed else []
            with isolated():
                command = Parsed("fit", [*TINY.split(), f"--trainer.{flag}", name, *more])
            config = command.config.clone()
            for key in PASSING:
                config.pop(key, None)
            text = command.parser.dump(config, skip_none=False, skip_validation=True)
            assert yaml.safe_load(trust.checked(text, name)) == yaml.safe_load(text), name


class Parsed(Command):
    """A command of which nothing is built."""

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass


def test_names_lead_to_the_classes_that_are_checked() -> None:
    for name, kinds in trust.classes().items():
        if "." in name:
            module, _, last = name.rpartition(".")
            assert [getattr(importlib.import_module(module), last)] == [*kinds], name


def test_a_short_name_is_of_the_kind_of_its_place() -> None:
    losses = yaml.safe_load(trust.checked(put((*MODEL, "loss"), "PaCo"), "it"))["model"]["init_args"]["loss"]
    assert losses == {"class_path": "ltr.losses.paco.PaCo"}


PARTS = """
import os, subprocess
from ltr.losses import GML
from ltr.heads import Linear
class Mine(GML): pass
class Head(Linear): pass
def make(counts): return Mine(counts)
"""


def test_a_trusted_package_gives_its_classes_and_no_functions(tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text(PARTS)
    text = put((*MODEL, "loss"), {"class_path": "my_parts.Mine", "init_args": {"power": 2.0}})
    with pytest.raises(InputError, match=r"names my_parts\.Mine at model\.loss, .*pass `--trust my_parts`\."):
        trust.checked(text, "it", ["my_part", "os"])
    assert yaml.safe_load(trust.checked(text, "it", ["my_parts"])) == yaml.safe_load(text)
    for name in ("my_parts.Head", "my_parts.make", "my_parts.os.system", "my_parts.subprocess.Popen", "my_parts.no"):
        with pytest.raises(InputError, match=r"it is refused: "):
            trust.checked(put((*MODEL, "loss"), name), "it", ["my_parts"])
    with pytest.raises(InputError, match="is not a known Loss"):
        trust.checked(put((*MODEL, "loss"), "my_parts.GML"), "it", ["my_parts"])
    del sys.modules["my_parts"]


@pytest.mark.slow
def test_a_run_with_a_part_of_ones_own_is_tested_with_trust(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own_parts.py").write_text(PARTS)
    main(["fit", *TINY.split(), "--model.loss", "own_parts.Mine", "--trainer.profiler", "simple", "--name", "own"])
    assert "trust" not in yaml.safe_load(Path("checkpoints/own/config.yaml").read_text())
    with pytest.raises(SystemExit) as error:
        main(["test", "--ckpt_path", "own"])
    assert error.value.code == 2
    assert "pass `--trust own_parts`" in capsys.readouterr().err
    main(["test", "--ckpt_path", "own", "--trust", "other", "--trust", "own_parts"])
    main(["export", "--ckpt_path", "own", "--trust", "own_parts"])
    assert Path("checkpoints/own/test/metrics.json").is_file()
    assert issubclass(sys.modules["own_parts"].Mine, Loss)
