"""A run of a study: a row in a setting, on some images, with a seed; where it lies and what it is called."""

from __future__ import annotations

from dataclasses import dataclass

from ltr.run.folder import METRICS, TEST


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
        varies: whether it is another one with each recipe: whether it, or a row that it needs, says `{recipe}`.
        reported: top-1 in percent as published, None if nobody says.
    """

    name: str
    title: str
    fit: tuple[str, ...] | None
    test: tuple[str, ...]
    of: str
    seeds: tuple[int, ...]
    needs: frozenset[str] = frozenset()
    varies: bool = False
    reported: float | None = None


@dataclass(frozen=True)
class Setting:
    """What the rows of a section share: a choice on each axis that the study has, None on those it has not.

    Attributes:
        data: the name of arguments of the data.
        recipe: the name of what `{recipe}` stands for.
    """

    data: str | None = None
    recipe: str | None = None

    @property
    def title(self) -> str:
        """What a section is called, empty if the study has one only."""
        return ", ".join(part for part in (self.data, self.recipe) if part)


Key = tuple[int | None, int]  # subset seed, seed of the training


@dataclass(frozen=True)
class Job:
    """A run: a row in a setting, on one choice of images, with one seed.

    Attributes:
        entry: the row.
        setting: the setting, without the recipe where it makes no difference.
        subset_seed: which images are kept, None for what the arguments of the data say.
        seed: of the training.
    """

    entry: Entry
    setting: Setting
    subset_seed: int | None
    seed: int

    @property
    def folder(self) -> str:
        """The folder of its training, within that of the study."""
        subset = None if self.subset_seed is None else f"s{self.subset_seed}"
        axes = "-".join(part for part in (self.setting.data, self.setting.recipe, subset) if part)
        return f"{axes}/{self.entry.of}-{self.seed}".removeprefix("/")

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.folder.removesuffix(f"{self.entry.of}-{self.seed}") + f"{self.entry.name}-{self.seed}"

    @property
    def result(self) -> str:
        """Where its metrics are, within the folder of the study."""
        evaluation = TEST if self.entry.of == self.entry.name else self.entry.name
        return f"{self.folder}/{evaluation}/{METRICS}"
