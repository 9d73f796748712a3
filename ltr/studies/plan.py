"""Read a study file: which runs there are, what each needs, where its result lies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from ltr import shipped
from ltr.errors import InputError

KEYS = ("title", "fit", "of", "test", "seeds")


@dataclass(frozen=True)
class Entry:
    """A row of the table: a training and its test, or another test of an earlier row's training.

    Attributes:
        name: its name in the file.
        title: its name in the table.
        fit: arguments of `ltr fit`, None where the training of `of` is tested another way.
        test: arguments of `ltr test`.
        of: the row whose training is tested.
        seeds: those of the row, where they are fewer than those of the study.
    """

    name: str
    title: str
    fit: tuple[str, ...] | None
    test: tuple[str, ...]
    of: str
    seeds: tuple[int, ...]

    @property
    def needs(self) -> set[str]:
        """The rows whose checkpoints the arguments name as `{row}`."""
        words = " ".join([*(self.fit or ()), *self.test])
        return set(re.findall(r"{(\w+)}", words)) | ({self.of} - {self.name})


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
        name: the folder of its runs.
        seeds: seeds of the training, one run of each row per seed that is its own.
        entries: the rows, in order.
        picture: the rows whose recall per class is drawn.
        about: the comment at the top of the file.
    """

    name: str
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    picture: tuple[str, ...]
    about: str = ""

    @classmethod
    def read(cls, file: str) -> Plan:
        """Read a study file, by path or by the name of a shipped one.

        Raises:
            InputError: where there is no such file, or it does not say what a study is.
        """
        home = shipped.folder("configs") / "studies"
        path = home / file if not Path(file).is_file() and (home / file).is_file() else shipped.config(file)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
        if not isinstance(content, dict) or not isinstance(content.get("runs"), dict) or not content["runs"]:
            raise InputError(f"{path} is no study: it needs `runs`, a mapping of names to `fit:` or `of:` and `test:`.")
        unknown = set(content) - {"name", "seeds", "runs", "picture"}
        if unknown:
            raise InputError(f"{path}: a study has no key {sorted(unknown)[0]}; it has name, seeds, runs and picture.")
        seeds = _seeds(str(path), content.get("seeds", [0]))
        entries: list[Entry] = []
        for name, said in content["runs"].items():
            entries.append(_entry(path, str(name), said, {entry.name: entry for entry in entries}, seeds))
        trained = [entry.name for entry in entries if entry.fit is not None]
        picture = tuple(content.get("picture") or dict.fromkeys((trained[0], trained[-1])))
        wrong = [name for name in picture if name not in content["runs"]]
        if wrong:
            raise InputError(f"{path}: the picture names {wrong[0]}{shipped.nearest(wrong[0], list(content['runs']))}")
        about = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
        text = " ".join(line.removeprefix("#").strip() for line in about)
        return cls(str(content.get("name", path.stem)), seeds, tuple(entries), picture, text)


def _seeds(where: str, said: Any) -> tuple[int, ...]:
    """Read a list of seeds."""
    if not isinstance(said, list) or not said or not all(isinstance(seed, int) for seed in said):
        raise InputError(f"{where}: `seeds` is a list of whole numbers, such as [0, 1, 2].")
    return tuple(said)


def _entry(path: Path, name: str, said: Any, earlier: Mapping[str, Entry], all_seeds: tuple[int, ...]) -> Entry:
    """Read a row and check that what it needs comes before it."""
    where = f"{path}: the run {name}"
    if not re.fullmatch(r"\w+", name):
        raise InputError(f"{where} has a name that is no word of letters, digits and _.")
    if not isinstance(said, Mapping) or ("fit" in said) == ("of" in said):
        raise InputError(f"{where} needs either `fit:` (train it) or `of:` (test the training of an earlier run).")
    unknown = [str(key) for key in said if key not in KEYS]
    if unknown:
        raise InputError(f"{where} has no key {unknown[0]}{shipped.nearest(unknown[0], list(KEYS))}")
    fit = _words(said["fit"]) if "fit" in said else None
    of = str(said.get("of", name))
    seeds = _seeds(where, said.get("seeds", list(earlier[of].seeds if of in earlier else all_seeds)))
    entry = Entry(name, str(said.get("title", name)), fit, _words(said.get("test")), of, seeds)
    missing = sorted(entry.needs - set(earlier))
    if missing:
        raise InputError(
            f"{where} needs {missing[0]}, which does not come before it{shipped.nearest(missing[0], list(earlier))}"
        )
    known = set(all_seeds).intersection(*(earlier[need].seeds for need in entry.needs))
    lacking = [seed for seed in seeds if seed not in known]
    if lacking:
        raise InputError(f"{where} has the seed {lacking[0]}, which the study or a run that it needs does not have.")
    return entry


def _words(said: Any) -> tuple[str, ...]:
    """Split arguments as a shell does, or take a list of them."""
    return tuple(shlex.split(said)) if isinstance(said, str) else tuple(str(word) for word in said or ())
