"""Read a study file: which runs there are, what each needs, where its result lies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product, takewhile
from pathlib import Path
from typing import Any

import yaml

from ltr.errors import InputError, did_you_mean
from ltr.run import lookup
from ltr.run.folder import plain_name
from ltr.studies.job import Entry, Job, Key, Setting

KEYS = ("title", "fit", "of", "test", "seeds", "reported")
STUDY_KEYS = ("name", "seeds", "subset_seeds", "recipes", "data", "baseline", "balanced", "runs", "picture")
RECIPE = "{recipe}"


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
        name: the folder of its runs.
        seeds: seeds of the training, one run of each row per seed that is its own.
        entries: the rows, in order.
        picture: the rows whose recall per class is drawn.
        about: the comment at the top of the file.
        baseline: the row with which the others are compared, seed by seed.
        subset_seeds: which images are kept, each with every seed; None for what the arguments of the data say.
        recipes: arguments by name, for which `{recipe}` stands.
        data: arguments of every training by name.
        balanced: which of them is the balanced set that others are measured against, None for none.
    """

    name: str
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    picture: tuple[str, ...]
    about: str = ""
    baseline: str = ""
    subset_seeds: tuple[int | None, ...] = (None,)
    recipes: Mapping[str | None, tuple[str, ...]] = field(default_factory=lambda: {None: ()})
    data: Mapping[str | None, tuple[str, ...]] = field(default_factory=lambda: {None: ()})
    balanced: str | None = None

    @classmethod
    def read(cls, file: str) -> Plan:
        """Read a study file, by path or by the name of a shipped one.

        Raises:
            InputError: if there is no such file, or it does not say what a study is.
        """
        home = lookup.folder("configs") / "studies"
        path = home / file if not Path(file).is_file() and (home / file).is_file() else lookup.config(file)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise InputError(f"{path} is no YAML: {' '.join(str(error).split())}.") from error
        if not isinstance(content, dict) or not isinstance(content.get("runs"), dict) or not content["runs"]:
            raise InputError(f"{path} is no study: it needs `runs`, a mapping of names to `fit:` or `of:` and `test:`.")
        unknown = sorted(set(content) - set(STUDY_KEYS))
        if unknown:
            raise InputError(f"{path}: a study has no key {unknown[0]}{did_you_mean(unknown[0], list(STUDY_KEYS))}")
        seeds = _seeds(f"{path}: `seeds`", content.get("seeds", [0]))
        recipes = _axis(path, "recipes", content)
        entries: list[Entry] = []
        for name, said in content["runs"].items():
            entries.append(_entry(path, str(name), said, {entry.name: entry for entry in entries}, seeds))
        if any(entry.varies for entry in entries) != (None not in recipes):
            raise InputError(f"{path}: `{RECIPE}` in the arguments of a run and the key `recipes` need each other.")
        data, balanced = _axis(path, "data", content), content.get("balanced")
        if balanced not in (None, *data):
            raise InputError(f"{path}: `balanced` is one of the names in `data`; it cannot be {balanced}.")
        trained = [entry.name for entry in entries if entry.fit is not None]
        about = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
        return cls(
            name=plain_name(str(content.get("name", path.stem)), f"{path}: `name`"),
            seeds=seeds,
            entries=tuple(entries),
            picture=_rows(path, "picture", content.get("picture") or [trained[0], trained[-1]], entries),
            about=" ".join(line.removeprefix("#").strip() for line in about),
            baseline=_rows(path, "baseline", [content.get("baseline", entries[0].name)], entries)[0],
            subset_seeds=_seeds(f"{path}: `subset_seeds`", content["subset_seeds"])
            if "subset_seeds" in content
            else (None,),
            recipes=recipes,
            data=data,
            balanced=balanced,
        )

    @property
    def settings(self) -> list[Setting]:
        """The settings, one section of the table each."""
        return [Setting(data, recipe) for data, recipe in product(self.data, self.recipes)]

    def job(self, entry: Entry, setting: Setting, key: Key) -> Job:
        """Return the run of a row in a setting; of a row that does not vary with the recipe it is the same in all."""
        return Job(entry, setting if entry.varies else Setting(setting.data), *key)

    @property
    def jobs(self) -> list[Job]:
        """All runs, seed by seed, so that an early end leaves whole seeds; what a run needs comes before it."""
        turns = product(self.seeds, self.subset_seeds, self.settings, self.entries)
        jobs = [self.job(entry, at, (subset, seed)) for seed, subset, at, entry in turns if seed in entry.seeds]
        return list(dict.fromkeys(jobs))

    def needs(self, job: Job) -> list[Job]:
        """Return the runs that a run starts from: those of its seed, or the only one of a row with one seed."""
        rows = [entry for entry in self.entries if entry.name in job.entry.needs]
        return [self.job(entry, job.setting, (job.subset_seed, _seed_of(entry, job.seed))) for entry in rows]

    def with_needs(self, names: Iterable[str]) -> list[Job]:
        """Return the runs of these names, and all that they need.

        Raises:
            InputError: if there is none of a name.
        """
        jobs = {job.name: job for job in self.jobs}
        chosen: set[Job] = set()
        waiting = []
        for name in names:
            if name not in jobs:
                raise InputError(f"the study {self.name} has no run {name}{did_you_mean(name, list(jobs))}")
            waiting.append(jobs[name])
        while waiting:
            job = waiting.pop()
            chosen.add(job)
            waiting += self.needs(job)
        return [job for job in self.jobs if job in chosen]

    def arguments(self, job: Job, folder: Path, common: Iterable[str] = ()) -> dict[str, Any]:
        """Return what `ltr fit` and `ltr test` are told for a run, but for its place, name and seed.

        Args:
            job: the run.
            folder: that of the study, for the places of other runs.
            common: arguments of every training.
        """
        places = _Places({need.entry.name: str(folder / need.folder) for need in self.needs(job)})
        test = [word.format_map(places) for word in job.entry.test]
        if job.entry.fit is None:
            return {"fit": None, "test": test}
        fit: list[str] = []
        for word in job.entry.fit:
            fit += self.recipes[job.setting.recipe] if word == RECIPE else [word.format_map(places)]
        subset = [] if job.subset_seed is None else ["--data.subset_seed", str(job.subset_seed)]
        return {"fit": [*fit, *self.data[job.setting.data], *subset, *common], "test": test}


class _Places(dict[str, str]):
    """Fill in the places of runs, and leave other braces as they are."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _seed_of(entry: Entry, seed: int) -> int:
    """Return the seed of the run of a row that a run with this seed starts from."""
    return entry.seeds[0] if len(entry.seeds) == 1 else seed


def _seeds(where: str, said: Any) -> tuple[int, ...]:
    """Read a list of seeds."""
    if not isinstance(said, list) or not said or not all(isinstance(seed, int) for seed in said):
        raise InputError(f"{where} is a list of whole numbers, such as [0, 1, 2].")
    return tuple(said)


def _axis(path: Path, key: str, content: Mapping[str, Any]) -> dict[str | None, tuple[str, ...]]:
    """Read arguments by name, {None: none} where the study has no such axis."""
    said = content.get(key)
    if said is None:
        return {None: ()}
    if not isinstance(said, Mapping) or not said or not all(re.fullmatch(r"\w+", str(name)) for name in said):
        raise InputError(f"{path}: `{key}` is a mapping of names, words of letters, digits and _, to arguments.")
    return {str(name): _words(words) for name, words in said.items()}


def _rows(path: Path, key: str, names: list[str], entries: list[Entry]) -> tuple[str, ...]:
    """Check that these are names of rows."""
    known = [entry.name for entry in entries]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise InputError(f"{path}: the {key} names {wrong[0]}{did_you_mean(wrong[0], known)}")
    return tuple(dict.fromkeys(names))


def _entry(path: Path, name: str, said: Any, earlier: Mapping[str, Entry], all_seeds: tuple[int, ...]) -> Entry:
    """Read a row and check that what it needs comes before it."""
    where = f"{path}: the run {name}"
    if not re.fullmatch(r"\w+", name) or name == "recipe":
        raise InputError(f"{where} has a name that is no word of letters, digits and _, or is `recipe`.")
    if not isinstance(said, Mapping) or ("fit" in said) == ("of" in said):
        raise InputError(f"{where} needs either `fit:` (train it) or `of:` (test the training of an earlier run).")
    unknown = [str(key) for key in said if key not in KEYS]
    if unknown:
        raise InputError(f"{where} has no key {unknown[0]}{did_you_mean(unknown[0], list(KEYS))}")
    fit = _words(said["fit"]) if "fit" in said else None
    test, of = _words(said.get("test")), str(said.get("of", name))
    named = set(re.findall(r"{(\w+)}", " ".join([*(fit or ()), *test]))) | ({of} - {name})
    needs = frozenset(named - {"recipe"})
    missing = sorted(needs - set(earlier))
    if missing:
        raise InputError(
            f"{where} needs {missing[0]}, which does not come before it{did_you_mean(missing[0], list(earlier))}"
        )
    seeds = _seeds(f"{where}: `seeds`", said.get("seeds", list(earlier[of].seeds if of in earlier else all_seeds)))
    known = set(all_seeds).intersection(
        *(earlier[need].seeds for need in needs if need == of or len(earlier[need].seeds) > 1)
    )
    lacking = [seed for seed in seeds if seed not in known]
    if lacking:
        raise InputError(f"{where} has the seed {lacking[0]}, which the study or a run that it needs does not have.")
    if not isinstance(reported := said.get("reported"), int | float | None):
        raise InputError(f"{where}: `reported` is top-1 in percent, a number.")
    varies = "recipe" in named or any(earlier[need].varies for need in needs)
    return Entry(name, str(said.get("title", name)), fit, test, of, seeds, needs, varies, reported)


def _words(said: Any) -> tuple[str, ...]:
    """Split arguments as a shell does, or take a list of them."""
    return tuple(shlex.split(said)) if isinstance(said, str) else tuple(str(word) for word in said or ())
