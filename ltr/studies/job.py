"""A run of a study: a row in a setting, on some images, with a seed; the names of its folder and its result."""

from __future__ import annotations

from dataclasses import dataclass

from ltr.run.evaluation import METRICS, TEST


@dataclass(frozen=True)
class Entry:
    """A row of the table: a training and its test, or another test of an earlier row's training.

    Attributes:
        name: its name in the file.
        title: its name in the table.
        fit: arguments of `ltr fit`, None if the training of `of` is tested another way.
        test: arguments of `ltr test`.
        of: the row whose training is tested.
        seeds: those of the row, where they are fewer than those of the study.
        needs: the rows whose training is tested or whose checkpoints the arguments name as `{row}`.
        varies: whether it depends on the recipe: its arguments, or those of a row that it needs, have `{recipe}`.
        reported: published top-1 in percent, None if there is none.
        keep: whether its weights stay when the study is done.
    """

    name: str
    title: str
    fit: tuple[str, ...] | None
    test: tuple[str, ...]
    of: str
    seeds: tuple[int | None, ...]
    needs: frozenset[str] = frozenset()
    varies: bool = False
    reported: float | None = None
    keep: bool = True


@dataclass(frozen=True)
class Setting:
    """What the rows of a section share: a choice on each axis of the study, None on an axis that it does not have.

    Attributes:
        data: the name of arguments of the data.
        recipe: the name of the arguments that replace `{recipe}`.
    """

    data: str | None = None
    recipe: str | None = None

    @property
    def title(self) -> str:
        """The heading of its section, empty if the study has only one."""
        return ", ".join(part for part in (self.data, self.recipe) if part)

    @property
    def suffix(self) -> str:
        """The end of the names of its pictures, empty if the study has only one section."""
        return "".join(f"-{part}" for part in (self.data, self.recipe) if part)


Key = tuple[int | None, int | None]  # subset seed, seed of the training


@dataclass(frozen=True)
class Job:
    """A run: a row in a setting, on one choice of images, with one seed.

    Attributes:
        entry: the row.
        setting: the setting, without the recipe where it makes no difference.
        subset_seed: which images are kept, None for that of the arguments of the data.
        seed: of the training, None for that of its arguments.
    """

    entry: Entry
    setting: Setting
    subset_seed: int | None
    seed: int | None

    @property
    def folder(self) -> str:
        """The folder of its training, within that of the study."""
        return self._named(self.entry.of)

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return self._named(self.entry.name)

    def _named(self, row: str) -> str:
        subset = None if self.subset_seed is None else f"s{self.subset_seed}"
        axes = "-".join(part for part in (self.setting.data, self.setting.recipe, subset) if part)
        run = row if self.seed is None else f"{row}-{self.seed}"
        return f"{axes}/{run}" if axes else run

    @property
    def evaluation(self) -> str:
        """The name of its test within the run."""
        return TEST if self.entry.of == self.entry.name else self.entry.name

    @property
    def result(self) -> str:
        """The path of its metrics within the folder of the study."""
        return f"{self.folder}/{self.evaluation}/{METRICS}"

    @property
    def images(self) -> str:
        """Which images it is on, in words; empty if the study has only one choice."""
        return "" if self.subset_seed is None else f"images {self.subset_seed}"
