"""A study file: which runs there are, what each needs, where its result lies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product, takewhile
from pathlib import Path
from typing import Any

from ltr.errors import InputError
from ltr.run import lookup
from ltr.run.folder import RunFolder, plain_name
from ltr.sentences import did_you_mean
from ltr.studies import fields
from ltr.studies.fields import PLACEHOLDER
from ltr.studies.job import Entry, Job, Key, Setting

KEYS = ("title", "fit", "of", "test", "seeds", "reported", "keep", "sweep")
STUDY_KEYS = ("name", "seeds", "subset_seeds", "recipes", "data", "baseline", "balanced", "runs", "picture")
RECIPE = "{recipe}"


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
        name: the folder of its runs; empty if they lie beside all other runs, and no table is written.
        seeds: seeds of the training, a run of each row per seed; None for that of the arguments.
        entries: the rows, in order.
        picture: the rows whose recall per class is drawn.
        about: the comment at the top of the file.
        baseline: the row with which the others are compared, seed by seed.
        subset_seeds: which images are kept, each with every seed; None for that of the arguments.
        recipes: arguments by name that replace `{recipe}`.
        data: arguments of every training by name.
        balanced: the name of the balanced data that others are measured against; None if there are none.
    """

    name: str
    seeds: tuple[int | None, ...]
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
            InputError: if there is no such file, or it is not a study.
        """
        home = lookup.folder("configs") / "studies"
        path = home / file if not os.path.isfile(file) and os.path.isfile(home / file) else lookup.config(file)
        content, text = fields.load(path)
        comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
        about = " ".join(line.removeprefix("#").strip() for line in comment)
        return cls.of({"name": path.stem, **content} if isinstance(content, dict) else content, f"{path}", about)

    @classmethod
    def of(cls, content: Any, file: str, about: str = "") -> Plan:
        """Return the study of the content of a file.

        Args:
            content: as YAML reads it.
            file: where it is from, for errors.
            about: the comment at its top.

        Raises:
            InputError: if it is not a study.
        """
        if not isinstance(content, dict) or not isinstance(content.get("runs"), dict) or not content["runs"]:
            raise InputError(
                f"{file} is not a study: it needs `runs`, a mapping of names to `fit:` or `of:` and `test:`."
            )
        unknown = sorted(set(map(str, content)) - set(STUDY_KEYS))
        if unknown:
            raise InputError(f"{file}: a study has no key {unknown[0]}{did_you_mean(unknown[0], list(STUDY_KEYS))}")
        seeds = fields.seeds(f"{file}: `seeds`", content.get("seeds", [0]))
        recipes = fields.axis(f"{file}: `recipes`", content.get("recipes"))
        entries: dict[str, Entry] = {}
        for name, given in content["runs"].items():
            for row, settings in fields.swept(f"{file}: the run {name}", str(name), given).items():
                if row in entries:
                    raise InputError(f"{file}: two runs are called {row}.")
                entries[row] = _entry(file, row, settings, entries, seeds)
        titles = [entry.title for entry in entries.values()]
        if repeated := [title for title in titles if titles.count(title) > 1]:
            raise InputError(f"{file}: two runs have the title {repeated[0]}: a table could not tell them apart.")
        if any(entry.varies for entry in entries.values()) != (None not in recipes):
            raise InputError(f"{file}: `{RECIPE}` in the arguments of a run and the key `recipes` need each other.")
        data, balanced = fields.axis(f"{file}: `data`", content.get("data")), content.get("balanced")
        if balanced is not None and balanced not in [name for name in data if name]:
            raise InputError(f"{file}: `balanced` is one of the names in `data`; it cannot be {balanced}.")
        trained = [entry.name for entry in entries.values() if entry.fit is not None]
        name, baseline = content.get("name"), content.get("baseline", next(iter(entries)))
        picture = content.get("picture") or [trained[0], trained[-1]]
        return cls(
            name="" if name is None else plain_name(fields.text(f"{file}: `name`", name), f"{file}: `name`"),
            seeds=seeds,
            entries=tuple(entries.values()),
            picture=tuple(dict.fromkeys(fields.rows(f"{file}: the picture", picture, entries))),
            about=about,
            baseline=fields.rows(f"{file}: the baseline", [baseline], entries)[0],
            subset_seeds=fields.seeds(f"{file}: `subset_seeds`", content.get("subset_seeds")),
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
        seeds = [entry.seeds[0] if len(entry.seeds) == 1 else job.seed for entry in rows]
        return [self.job(entry, job.setting, (job.subset_seed, seed)) for entry, seed in zip(rows, seeds, strict=True)]

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
        """Return the arguments of `ltr fit` and `ltr test` for a run, without its folder, name and seed.

        Args:
            job: the run.
            folder: that of the study, in which the runs are that this one needs.
            common: arguments of every training.
        """
        checkpoints = {need.entry.name: str(folder / need.folder) for need in self.needs(job)}

        def filled(word: str) -> str:
            return PLACEHOLDER.sub(lambda match: checkpoints.get(match[1], match[0]), word)

        test = [filled(word) for word in job.entry.test]
        if job.entry.fit is None:
            return {"fit": None, "test": test}
        fit: list[str] = []
        for word in job.entry.fit:
            fit += self.recipes[job.setting.recipe] if word == RECIPE else [filled(word)]
        subset = [] if job.subset_seed is None else ["--data.subset_seed", str(job.subset_seed)]
        return {"fit": [*fit, *self.data[job.setting.data], *subset, *common], "test": test}

    def commands(self, job: Job, folder: Path, common: Iterable[str] = ()) -> list[list[str]]:
        """Return the arguments of `ltr`, as for `arguments`, that train and test a run from the beginning."""
        run, arguments = RunFolder(folder / job.folder), self.arguments(job, folder, common)
        seed = [] if job.seed is None else ["--seed_everything", str(job.seed)]
        named = ["--runs", str(run.path.parent), "--name", run.name, *seed]
        fit = [] if job.entry.fit is None else [["fit", *arguments["fit"], *named]]
        return [*fit, ["test", "--ckpt_path", str(run.checkpoint), "--evaluation", job.evaluation, *arguments["test"]]]


def _entry(
    file: str, name: str, settings: Any, earlier: Mapping[str, Entry], all_seeds: tuple[int | None, ...]
) -> Entry:
    """Read a row and check that the rows that it needs come before it."""
    where = f"{file}: the run {name}"
    if not fields.NAME.fullmatch(name) or name == "recipe":
        raise InputError(f"{where} needs a name of letters, digits and `_ + . -` that is not `recipe`.")
    if not isinstance(settings, Mapping) or ("fit" in settings) == ("of" in settings):
        raise InputError(f"{where} needs either `fit:` (train it) or `of:` (test the training of an earlier run).")
    unknown = [str(key) for key in settings if key not in KEYS]
    if unknown:
        raise InputError(f"{where} has no key {unknown[0]}{did_you_mean(unknown[0], list(KEYS))}")
    fit = fields.words(f"{where}: `fit`", settings["fit"]) if "fit" in settings else None
    test = fields.words(f"{where}: `test`", settings.get("test"))
    of = fields.text(f"{where}: `of`", settings.get("of", name))
    placeholders = set(PLACEHOLDER.findall(" ".join([*(fit or ()), *test])))
    needs = frozenset((placeholders | ({of} if "of" in settings else set())) - {"recipe"})
    missing = sorted(needs - set(earlier))
    if missing:
        raise InputError(
            f"{where} needs {missing[0]}, which does not come before it{did_you_mean(missing[0], list(earlier))}"
        )
    inherited = earlier[of].seeds if of in earlier else all_seeds
    seeds = fields.seeds(f"{where}: `seeds`", settings["seeds"]) if "seeds" in settings else inherited
    known = set(all_seeds).intersection(
        *(earlier[need].seeds for need in needs if need == of or len(earlier[need].seeds) > 1)
    )
    lacking = [seed for seed in seeds if seed not in known]
    if lacking:
        raise InputError(f"{where} has the seed {lacking[0]}, which the study or a run that it needs does not have.")
    fields.check_own(f"{where}: `fit`", fit or (), seeded=None not in seeds)
    fields.check_own(f"{where}: `test`", test, seeded=False)
    return Entry(
        name,
        fields.text(f"{where}: `title`", settings.get("title", name)),
        fit,
        test,
        of,
        seeds,
        needs,
        varies="recipe" in placeholders or any(earlier[need].varies for need in needs),
        reported=fields.reported(f"{where}: `reported`", settings.get("reported")),
        keep=fields.flag(f"{where}: `keep`", settings.get("keep", True)),
    )
