"""What the page asks of a training, as commands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltr.app.catalogue import known, methods, others
from ltr.app.field import Field
from ltr.app.job import Job
from ltr.app.place import Place
from ltr.errors import InputError, did_you_mean
from ltr.run.folder import CONFIG, RunFolder

EPOCHS = 100_000
CLASS = re.compile(r"[A-Za-z]\w*")


@dataclass(frozen=True)
class Training:
    """A training, as it is asked for.

    Attributes:
        method: a config of `configs/`.
        data: one of `configs/data/`.
        recipes: some of `configs/recipes/`.
        like: a run whose config is taken in the place of these; empty for none.
        parts: the class of each option that is to be another one, in the order of the choice.
        values: of the other options.
        name: of the run; empty for one after the method and the data.
        folder: below that of the runs; empty for itself.
        seed: of the training.
        ensemble: whether the old and the new head are tested together, too.
        t_new: temperature of the new head.
        t_old: temperature of the old head.
        keep: whether the weights stay when all is tested.
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

    def chosen(self, place: Place) -> list[str]:
        """Return the words for configs and parts, which settle what else can be told.

        Raises:
            InputError: where one of them does not exist.
        """
        from ltr.app.fields import blanks

        if self.like:
            config = RunFolder(place.run(self.like)).config_file
            if not config.is_file():
                raise InputError(f"the run {self.like} has no {CONFIG}: choose another one.")
            words = ["--config", str(config)]
        else:
            names = [known(self.method, methods().values()), known(self.data, others("data").values())]
            names += [known(name, others("recipes").values()) for name in self.recipes or ()]
            words = [word for name in names for word in ("--config", name)]
            words += ["--trainer.check_val_every_n_epoch", "1"]  # or the curves have next to no points
        for option, name in self.parts.items():
            if not CLASS.fullmatch(name):
                raise InputError(f"{option} cannot be {name}.")
            words += [f"--{option}", "null" if name == "none" else name, *blanks(option, name)]
        return words

    def changed(self, place: Place, fields: Sequence[Field]) -> list[str]:
        """Return the words for values that are not those which hold anyway.

        Raises:
            InputError: where one cannot be what it is said to be, or leads out of the folders of the page.
        """
        options = {field.option: field for field in fields if field.kind != "part"}
        words: list[str] = []
        for option, value in self.values.items():
            if option not in options:
                raise InputError(f"there is no option {option} here{did_you_mean(option, list(options))}")
            said = options[option].word(value)
            if said is not None:
                if options[option].kind == "text":
                    within(place, said)
                words.append(f"--{option}={said}")
        return words

    def commands(self, place: Place, fields: Sequence[Field]) -> tuple[str, list[list[str]]]:
        """Return the name of the run, and the words after `ltr` of what makes and tests it.

        Raises:
            InputError: where something of it cannot be.
        """
        name, runs = self.named(place)
        try:
            seed = int(self.seed)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"the seed is a whole number; it cannot be {self.seed}.") from error
        run = runs / name.rpartition("/")[2]
        fit = ["fit", *self.chosen(place), *self.changed(place, fields), "--seed_everything", str(seed)]
        found = [[*fit, "--name", run.name, "--runs", str(runs)], ["test", "--ckpt_path", str(run)]]
        if self.ensemble:
            new, old = temperature(self.t_new), temperature(self.t_old)
            told = [f"--trainer.callbacks.t_new={new:g}", f"--trainer.callbacks.t_old={old:g}"]
            found.append([*found[-1], "--config", "ensemble.yaml", *told, "--evaluation", "ensemble"])
        return name, found

    def named(self, place: Place) -> tuple[str, Path]:
        """Return the name of the run as the page knows it, and the folder in which it is kept.

        Raises:
            InputError: where a run of that name exists, or it cannot be a name.
        """
        runs = place.new(self.folder) if self.folder else place.runs
        prefix, name = f"{self.folder}/" if self.folder else "", self.name.strip()
        base = name or f"{self.like.rpartition('/')[2] or Path(self.method).stem}_{Path(self.data).stem}"
        place.new(base)
        for free in [base] if name else [base, *(f"{base}_{number}" for number in range(2, 1000))]:
            if not (runs / free).exists() and not Job.of(place, prefix + free).running:
                return prefix + free, runs
        raise InputError(
            f"the run {prefix}{base} exists already: choose another name, resume it, or delete it under Runs."
        )


def within(place: Place, text: str) -> None:
    """Refuse a text that leads to a file outside of the folders of the page.

    Raises:
        InputError: where it does.
    """
    if text[:1] not in "[{" and ("/" in text or "\\" in text or ".." in text or Path(text).exists()):
        place.inside(text, there=False)


def temperature(value: Any) -> float:
    """Return a temperature.

    Raises:
        InputError: where it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"a temperature is a number above 0; it cannot be {value}.") from error
    if not 0 < number <= 1000:
        raise InputError(f"a temperature is a number above 0 and at most 1000; it cannot be {number:g}.")
    return number


def further(place: Place, name: str) -> tuple[list[list[str]], list[Path]]:
    """Return what is left of a run that was stopped, and which files are deleted when it is done.

    Raises:
        InputError: where nothing can go on.
    """
    job = Job.of(place, name)
    if not job.known:
        run = RunFolder(place.run(name))
        if not run.checkpoint.is_file():
            raise InputError(f"the run {name} has no checkpoint to go on from.")
        return [["fit", "--ckpt_path", str(run.checkpoint)], ["test", "--ckpt_path", str(run.path)]], []
    first, *others = job.commands[job.step :]
    checkpoint = RunFolder(place.runs / name).checkpoint
    if first[0] == "fit" and checkpoint.is_file():
        first = ["fit", "--ckpt_path", str(checkpoint)]
    return [first, *others], job.unwanted
