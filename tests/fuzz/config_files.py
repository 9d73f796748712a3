"""Configs and studies: sound ones with a change in their content or their text, and texts that are none."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from answering import answer, empty_folder
from flag_words import STEP
from hypothesis import strategies as st
from tiny import TINY

from ltr.cli.command import Command
from ltr.process_state import isolated
from ltr.run.description import load
from ltr.studies.plan import Plan
from ltr.trust import checked

CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "model": {
        "class_path": "ltr.methods.Method",
        "init_args": {
            "backbone": {"class_path": "ltr.backbones.ResNet20", "init_args": {"width": 4}},
            "head": {"class_path": "ltr.heads.Cosine", "init_args": {"scale": 20.0}},
            "loss": {
                "class_path": "ltr.losses.Deferred",
                "init_args": {
                    "before": "ltr.losses.LDAM",
                    "after": {"class_path": "ltr.losses.LDAM", "init_args": {"margin": 0.3}},
                    "start": 0.5,
                },
            },
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.05, "momentum": 0.8}},
            "schedule": {"class_path": "ltr.schedules.Steps", "init_args": {"milestones": [0.5, 0.9], "gamma": 0.1}},
        },
    },
    "data": {"class_path": "ltr.data.Synthetic", "init_args": {"imbalance": 4.0, "batch_size": 8}},
    "trainer": {
        "callbacks": [{"class_path": "ltr.callbacks.EMA", "init_args": {"decay": 0.9}}, "ltr.callbacks.TauNorm"],
        "gradient_clip_val": 1.0,
    },
}
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "data": {"short": "--data Synthetic", "long": ["--data", "Synthetic", "--data.imbalance", 4]},
    "recipes": {"ce": "--config ce.yaml", "gml": "--config gml.yaml"},
    "baseline": "first",
    "picture": ["first"],
    "runs": {
        "first": {"title": "First", "fit": "{recipe} --trainer.max_epochs 1", "reported": 38.3},
        "second": {"of": "first", "test": "--config logit_adjustment.yaml"},
        "third": {
            "fit": "{recipe} --model.backbone.checkpoint {first}",
            "seeds": [0],
            "sweep": {"data.imbalance": [2, 3]},
        },
    },
}
JUNK: list[Any] = [
    *(
        None,
        True,
        -1,
        0,
        2**70,
        1.5,
        float("nan"),
        float("inf"),
        -1e300,
        "",
        " ",
        "x",
        "a\nb",
        "\x00",
        "é" * 50,
        "{first}",
    ),
    *([], {}, [[]], [1, None, "x"], {"class_path": 3}, {"class_path": "os.system"}, {"init_args": {}}, {"a": {"b": 1}}),
    *({1: 2}, {None: 1}, "ltr.losses.LDAM", "ltr.files.os.system", {"class_path": "ltr.losses.LDAM", "init_args": 5}),
    *("2001-01-01", "!!python/name:os.system", "../..", "/", "--seed_everything=x", "'", "{", [0, 0], [-1], ["a"] * 20),
]
PIECES = [
    *(
        "[",
        "{",
        "}",
        ":",
        "- ",
        "  ",
        "\t",
        "\n",
        "#",
        "&a ",
        "*a",
        "!!python/name:os.system ",
        "? ",
        "|",
        ">",
        "'",
        '"',
    ),
    *(
        "\x00",
        "\ufeff",
        "\r",
        "---\n",
        "...\n",
        "<<: *a\n",
        "%YAML 9\n",
        "@",
        "`",
        "é",
        "\u2028",
        "1e400",
        "0o8",
        "nan",
    ),
]
ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [" + f"*a{n - 1}, " * 9 + "]\n" for n in range(1, 9))
BOMBS = [
    *("[" * 3000, "{a: " * 3000, "a:\n" + "".join(" " * n + "- \n" for n in range(400)), "- " * 3000),
    *(
        ALIASES,
        ALIASES + "model: {init_args: {loss: *a8}}\n",
        "model: &m {init_args: *m}\n",
        "seed_everything: &s [*s]\n",
    ),
    *(
        "seed_everything: " + "9" * 10_000,
        "trainer: {max_epochs: " + "1" * 5000 + "}\n",
        "x" * 300_000,
        "a: b\n" * 20_000,
    ),
    *("seed_everything: 1\nseed_everything: 2\n", "? [a, b]\n: 1\n", "model: &a {<<: *a}\n", "1: 2\n", "null: 1\n"),
]


class Text(NamedTuple):
    """A file.

    Attributes:
        content: its bytes.
        changed: the way to the value that was changed in a sound content, and the value; None for any other text.
    """

    content: bytes
    changed: tuple[tuple[str | int, ...], Any] | None = None


def ways(content: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the ways to all values within a content."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from ways(inner, (*way, key))


def replaced(content: Any, way: tuple[str | int, ...], value: Any) -> Any:
    """Return a content with another value at a place."""
    if not way:
        return value
    copy = list(content) if isinstance(content, list) else dict(content)
    copy[way[0]] = replaced(content[way[0]], way[1:], value)
    return copy


@st.composite
def texts(draw: st.DrawFn, sound: dict[str, Any]) -> Text:
    """Draw a file from a sound content."""
    kind = draw(st.sampled_from(["value", "value", "value", "key", "text", "text", "bomb", "bytes"]))
    if kind == "bomb":
        return Text(draw(st.sampled_from(BOMBS)).encode())
    if kind == "bytes":
        return Text(draw(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-16"))))
    way = draw(st.sampled_from(list(ways(sound))))
    if kind == "value":
        value = draw(st.sampled_from(JUNK) | st.integers(-8, 64) | st.floats() | st.floats(0, 1) | st.text(max_size=8))
        return Text(
            yaml.safe_dump(replaced(sound, way, value), allow_unicode=True).encode("utf-8", "replace"), (way, value)
        )
    text = yaml.safe_dump(sound, sort_keys=False)
    if kind == "key":
        word = str(next(key for key in reversed(way) if isinstance(key, str)))
        other = draw(
            st.sampled_from(["", "x", f"{word}s", word.upper(), "init_args", "class_path", "0", "*", "[a]", "null"])
        )
        return Text(text.replace(f"{word}:", f"{other}:", 1).encode())
    for _ in range(draw(st.integers(1, 3))):
        begin, length = draw(st.integers(0, len(text))), draw(st.sampled_from([0, 0, 1, 5, 60, 10_000]))
        text = text[:begin] + draw(st.sampled_from(PIECES)) + text[begin + length :]
    return Text(text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "latin-1", "utf-8-sig"])), "replace"))


configs, studies = texts(CONFIG), texts(STUDY)


def check_config(text: Text) -> str:
    """Train for one step with a config; its values are those in the resolved config."""
    resolved: dict[str, Any] = {}

    def train() -> None:
        with isolated():
            command = Command("fit", [*TINY.split(), *STEP.split(), "--config", "config.yaml"])
            resolved.update(load(command.text))
            command.start()

    with empty_folder() as folder:
        (folder / "config.yaml").write_bytes(text.content)
        sentence = answer(train)
    if not sentence and text.changed:
        way, value = text.changed
        if isinstance(value, float):
            assert math.isfinite(value), f"{way} is {value}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            for key in way:
                resolved = resolved[key]  # type: ignore[index]
            assert resolved == value, f"{value!r} at {way} became {resolved!r}"
    return sentence


def check_foreign_config(text: Text) -> str:
    """Check a config that comes with a file. What is kept names only what may be built."""
    kept: list[str] = []
    content = text.content.decode("utf-8", "replace")
    sentence = answer(lambda: kept.append(checked(content, "last.ckpt")))
    for path in (name for text in kept for name in class_names(load(text))):
        assert isinstance(pkgutil.resolve_name(path), type), f"{path} may be built"
    return sentence


def class_names(config: object) -> Iterator[str]:
    """Yield the names that a config gives as those of classes; a number is none."""
    if isinstance(config, dict) and isinstance(name := config.get("class_path"), str):
        yield name
    inner = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for value in inner:
        yield from class_names(value)


def check_study(text: Text) -> str:
    """Read a study; each of its rows is there, and every run has its commands."""
    plans: list[Plan] = []

    def read() -> None:
        plan = Plan.read("study.yaml")
        for job in plan.jobs:
            plan.commands(job, folder)
        plans.append(plan)

    with empty_folder() as folder:
        (folder / "study.yaml").write_bytes(text.content)
        sentence = answer(read)
    if plans:
        names = {entry.name for entry in plans[0].entries}
        rows = load(text.content.decode("utf-8"))["runs"]
        assert all(str(name) in names or "sweep" in row for name, row in rows.items())
    return sentence
