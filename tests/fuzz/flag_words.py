"""Flags: options of every part with values of their types, of other types and odd ones; verbs with any words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from answering import answer, empty_folder
from hinted_values import ODDITIES, Value, hints, same, values
from hypothesis import strategies as st
from lightning.pytorch import Callback, Trainer
from tiny import TINY
from torch.optim import Optimizer

from ltr.__main__ import run
from ltr.backbones import ResNet20
from ltr.cli.catalogue import TOP, parts
from ltr.cli.command import Command
from ltr.contracts import Head, Loss, Mix, Sampler, Schedule, Transform
from ltr.data import Synthetic
from ltr.methods import Method
from ltr.process_state import isolated
from ltr.run.description import load

STEP = "--name a --trainer.fast_dev_run true"
USUAL: dict[str, type[Any]] = {"trainer": Trainer, "model": Method, "data": Synthetic, "model.backbone": ResNet20}
CHOSEN: dict[str, type[Any]] = {
    "model.loss": Loss,
    "model.head": Head,
    "model.mix": Mix,
    "model.schedule": Schedule,
    "model.optimizer": Optimizer,
    "data.sampler": Sampler,
    "data.augment": Transform,
}
CALLBACKS = ["EMA", "LogitAdjustment", "MaxNorm", "NCM", "Shifts", "TauNorm", "EarlyStopping", "LearningRateMonitor"]
# What one step in this process cannot do: other devices, a compiler, hours, other folders.
NOT_HERE = {
    *("trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.accelerator", "trainer.plugins"),
    *("trainer.fast_dev_run", "trainer.default_root_dir", "trainer.max_time", "model.compile", "model.counts"),
    *("model.optimizer.params", "data.root", "model", "data", "trainer", "runs", "name", "ckpt_path", "trust"),
}
VERBS = [
    "profile",
    "convert",
    "report",
    "export",
    "study",
    "tune-grid",
    "gallery",
    "validate",
    "test",
    "predict",
    "nonsense",
]
OPTIONS = ["--ckpt_path", "--images", "--output", "--data", "--config", "--trust", "--runs", "--name", "--help"]


class Line(NamedTuple):
    """A command line.

    Attributes:
        words: what follows the verb.
        given: the values of the options in it.
    """

    words: list[str]
    given: Mapping[str, Value]


def options_of(places: Mapping[str, type[Any]]) -> dict[str, Any]:
    """Return the type hints of the options of parts, by their full names."""
    known = {f"{place}.{name}": hint for place, part in places.items() for name, hint in hints(part).items()}
    return {name: hint for name, hint in known.items() if name not in NOT_HERE}


@st.composite
def training_lines(draw: st.DrawFn) -> Line:
    """Draw a training with other parts than usual, values of some options, and perhaps an option that there is not."""
    chosen: dict[str, type[Any]] = {}
    for place in draw(st.lists(st.sampled_from(sorted(CHOSEN)), unique=True, max_size=2)):
        chosen[place] = draw(st.sampled_from(list(parts(CHOSEN[place]).values())))
    words = [word for place, part in chosen.items() for word in (f"--{place}", part.__name__)]
    if draw(st.booleans()):
        name = draw(st.sampled_from(CALLBACKS))
        words += [f"--trainer.callbacks+={name}"]
        chosen["trainer.callbacks"] = parts(Callback)[name]
    top = {name: option.hint for name, option in TOP.items() if name not in NOT_HERE}
    own, usual = options_of(chosen), options_of(USUAL) | top
    names = st.sampled_from(sorted(own)) | st.sampled_from(sorted(usual)) if own else st.sampled_from(sorted(usual))
    given = {name: draw(values((usual | own)[name])) for name in draw(st.lists(names, unique=True, max_size=3))}
    for name, value in given.items():
        words += [f"--{name}={value.text}"] if draw(st.booleans()) else [f"--{name}", value.text]
    if draw(st.integers(0, 7)) == 0:
        name = draw(names)
        at = draw(st.integers(0, len(name)))
        letter = draw(st.sampled_from("xe._+-= \0é"))
        words += [f"--{name[:at]}{letter}{name[at:]}", draw(st.sampled_from(ODDITIES))]
    return Line(words, given)


def check_training(line: Line) -> str:
    """Train for one step. What is used is what was given, and has no value that its option does not allow."""
    resolved: dict[str, Any] = {}

    def train() -> None:
        with isolated():
            command = Command("fit", [*TINY.split(), *STEP.split(), *line.words])
            resolved.update(load(command.text))
            command.start()

    with empty_folder():
        sentence = answer(train)
    for name, value in line.given.items() if not sentence else ():
        assert value.verdict != "wrong", f"--{name} {value.text} is taken"
        used = at(resolved, name)
        drawn = name == "seed_everything" and value.text == "true" and type(used) is int  # Lightning chooses one
        assert drawn or same(value.text, used), f"--{name} {value.text!r} became {used!r}"
    return sentence


def at(config: Any, name: str) -> Any:
    """Return the value of an option in a resolved config, of the last part of a list; None if it is not there."""
    for key in name.split("."):
        config = config[-1] if isinstance(config, list) and config else config
        if not isinstance(config, Mapping):
            return None
        config = (config.get("init_args") or {} if "class_path" in config else config).get(key)
    return config


@st.composite
def verb_lines(draw: st.DrawFn) -> list[str]:
    """Draw a verb and words that name nothing there is."""
    word = st.sampled_from(ODDITIES) | st.text(max_size=10) | st.sampled_from(OPTIONS)
    return [draw(st.sampled_from(VERBS)), *draw(st.lists(word, max_size=5))]


def check_verb(words: list[str]) -> str:
    """Give a command in an empty folder."""
    with empty_folder():
        return answer(lambda: run(words[0], words[1:]))
