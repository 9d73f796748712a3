"""The form of a training, and the study that it stands for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltr import trust
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.catalogue import one_of
from ltr.app.field import Field, number, seed
from ltr.app.job import beside
from ltr.app.options import blanks, fields, resolved
from ltr.errors import InputError
from ltr.run.folder import RunFolder
from ltr.run.recipe import Recipe
from ltr.sentences import did_you_mean
from ltr.studies.fields import NAME, UNNAMED

CLASS = re.compile(r"[A-Za-z]\w*")
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class TrainingForm:
    """The values of the form of a training.

    Attributes:
        method: a config of `configs/`.
        data: one of `configs/data/`.
        recipes: some of `configs/recipes/`.
        like: a run whose config is used instead of these three; empty for none.
        parts: the classes that were changed, by option, in the order of the choice.
        values: of the other options.
        name: of the run; if empty, that of `like`, or made of method and data, with a number if it is taken.
        folder: group of runs, a folder below `AllowedPaths.runs`; empty for that folder itself.
        seed: of the training.
        ensemble: whether the ensemble of the old and the new head is tested as well.
        t_new: temperature of the new head.
        t_old: temperature of the old head.
        keep: whether the weights are kept after the test.
    """

    method: str = "ce.yaml"
    data: str = "data/digits.yaml"
    recipes: Sequence[str] = ()
    like: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    folder: str = ""
    seed: Any = 0
    ensemble: bool = False
    t_new: Any = 1.0
    t_old: Any = 2.0
    keep: bool = True

    def chosen(self, paths: AllowedPaths) -> list[str]:
        """Return the arguments for configs and parts, which decide which other options there are.

        Raises:
            InputError: if one of them does not exist.
        """
        if self.like:
            config = paths.run(self.like).config_file
            if not config.is_file():
                raise InputError(f"the run {self.like} has no {config.name}: choose another run.")
            trust.check_config(config, paths.packages)
            words = ["--config", str(config)]
        else:
            given = {"": [self.method], "data": [self.data], "recipes": list(self.recipes or ())}
            names = [one_of(name, Recipe.names(folder), "recipe") for folder, some in given.items() for name in some]
            if not Recipe.shipped(self.method).trains:
                raise InputError(f"{self.method} is for `ltr test`: choose a recipe that trains.")
            words = [word for name in names for word in ("--config", name)]
            words += ["--trainer.check_val_every_n_epoch", "1"]  # otherwise the curves have hardly any points
        for option, name in self.parts.items():
            if not CLASS.fullmatch(name):
                raise InputError(f"{option} cannot be {name}.")
            words += [f"--{option}", "null" if name == "none" else name, *blanks(option, name)]
        return words

    def fields(self, paths: AllowedPaths) -> list[Field]:
        """Return the fields of all options of the training.

        Raises:
            InputError: if a config or a part does not exist.
        """
        return fields(resolved(self.chosen(paths)))

    def changed(self, paths: AllowedPaths, fields: Sequence[Field]) -> list[str]:
        """Return the arguments for the values that differ from their defaults.

        Raises:
            InputError: if a value is not valid, or a path outside of the folders of the page.
        """
        options = {field.option: field for field in fields if field.kind != "part"}
        words: list[str] = []
        for option, value in self.values.items():
            if option not in options:
                raise InputError(f"unknown option {option}{did_you_mean(option, list(options))}")
            word = options[option].word(value, paths.packages)
            if word is not None:
                if options[option].kind == "text":
                    refuse_outside(paths, word)
                words.append(f"--{option}={word}")
        return words

    def study(self, paths: AllowedPaths, fields: Sequence[Field]) -> tuple[str, dict[str, Any]]:
        """Return the name of the run, with its group, and the study that trains and tests it.

        Raises:
            InputError: if a value of the form is not valid.
        """
        name = self.named(paths)
        trusted, run = paths.trust_words, name.rpartition("/")[2]
        fit = [*self.chosen(paths), *self.changed(paths, fields), "--seed_everything", seed(self.seed), *trusted]
        rows: dict[str, Any] = {run: {"title": "training", "fit": fit, "test": trusted}}
        if not self.keep:
            rows[run]["keep"] = False
        if self.ensemble:
            if run == ENSEMBLE:
                raise InputError(f"{ENSEMBLE} is the name of the test of the ensemble: choose another name.")
            new, old = (
                number(f"the temperature of the {head} head", value, 0, 1000, whole=False)
                for head, value in (("new", self.t_new), ("old", self.t_old))
            )
            words = [f"--trainer.callbacks.t_new={new}", f"--trainer.callbacks.t_old={old}"]
            test = ["--config", "ensemble.yaml", *words, *trusted]
            rows[ENSEMBLE] = {"title": "test of the ensemble", "of": run, "test": test}
        return name, beside(rows)

    def checked(self, paths: AllowedPaths, fields: Sequence[Field]) -> tuple[str, dict[str, Any]]:
        """Return the same as `study`, after `ltr fit` has parsed its arguments.

        Raises:
            InputError: if the arguments are not valid.
        """
        name, study = self.study(paths, fields)
        resolved(study["runs"][name.rpartition("/")[2]]["fit"])
        return name, study

    def named(self, paths: AllowedPaths) -> str:
        """Return the name of the run, with its group.

        Raises:
            InputError: if a run of that name exists, the group is a run, or a name is not allowed.
        """
        folder = paths.new(self.folder) if self.folder else paths.runs
        if self.folder and (RunFolder(folder).exists or paths.job(self.folder).running):
            raise InputError(f"{self.folder} is a run, so it cannot be a group of runs: choose another group.")
        prefix, name = f"{self.folder}/" if self.folder else "", self.name.strip()
        like = UNNAMED.sub("_", self.like.rpartition("/")[2])
        base = name or like or f"{Path(self.method).stem}_{Path(self.data).stem}"
        paths.new(base)
        if not NAME.fullmatch(base):  # it becomes a row of a study
            raise InputError(f"a run of the page is called by letters, digits and `_ + . -`; it cannot be {base!r}.")
        for free in [base] if name else [base, *(f"{base}_{count}" for count in range(2, 1000))]:
            taken = prefix + free == self.like or (folder / free).exists() or paths.job(prefix + free).running
            if not taken:
                return prefix + free
        raise InputError(
            f"the run {prefix}{base} exists already: choose another name, resume it, or delete it under Runs."
        )


def refuse_outside(paths: AllowedPaths, text: str) -> None:
    """Refuse a text that is a path outside of the folders of the page.

    Raises:
        InputError: if it is.
    """
    if text[:1] not in "[{" and ("/" in text or "\\" in text or ".." in text or os.path.exists(text)):
        paths.inside(text, there=False)
