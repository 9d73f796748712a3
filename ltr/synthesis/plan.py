"""The images to generate: how many of which class, with which prompts and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from ltr.errors import InputError
from ltr.seeds import derive
from ltr.sentences import did_you_mean


class Wanted(NamedTuple):
    """An image to generate.

    Attributes:
        name: its class.
        number: its position among the synthetic images of the class.
        attempt: number of failed attempts before.
    """

    name: str
    number: int
    attempt: int = 0

    @property
    def path(self) -> Path:
        """Its path in the folder."""
        return Path(self.name) / f"{self.number:05}.png"

    def seed(self, seed: int) -> int:
        """Return its own seed, which depends on no other image."""
        return derive(seed, self.number, self.attempt, *self.name.encode())


def plan(counts: Mapping[str, int], below: int, to: int) -> list[Wanted]:
    """Return the images that fill up the rare classes.

    Args:
        counts: training images by class.
        below: classes with fewer than this are rare.
        to: images of each rare class afterwards, real and synthetic together.

    Raises:
        InputError: if none are needed.
    """
    rare = {name: count for name, count in counts.items() if count < min(below, to)}
    if not rare:
        least = min(counts.values())
        raise InputError(f"every class has {least} images or more: nothing to do for `--below {below} --to {to}`.")
    return [Wanted(name, number) for name, count in rare.items() for number in range(to - count)]


def wording(names: list[str], template: str, file: str | None) -> dict[str, str]:
    """Return the prompt of every class.

    Args:
        names: all classes.
        template: prompt in which `{}` stands for the name of a class, with spaces for underscores.
        file: a YAML or JSON file with the prompts of some classes, by name.

    Raises:
        InputError: if the template has no `{}`, or the file is damaged or names other classes.
    """
    if "{}" not in template:
        raise InputError(f"the prompt '{template}' has no place for the name of the class: 'a photo of a {{}}'.")
    words = {name: template.replace("{}", name.replace("_", " ")) for name in names}
    if file is None:
        return words
    if not Path(file).is_file():  # reading a pipe would never end
        raise InputError(f"there is no file {file} with prompts: correct `--prompts`.")
    try:
        changed = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InputError(f"the prompts in {file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(changed, dict) or not all(isinstance(text, str) for pair in changed.items() for text in pair):
        raise InputError(f"{file} has a line per class with its name and its prompt, such as `tench: a tench, a fish`.")
    for name in changed:
        if name not in words:
            raise InputError(
                f"{file} has a prompt for {name}, which is not a class of the data{did_you_mean(name, names)}"
            )
    return words | changed
