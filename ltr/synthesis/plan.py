"""What is to be made: how many images of which class, from which words and which seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from ltr.errors import InputError, did_you_mean
from ltr.seeds import derive


class Wanted(NamedTuple):
    """An image that is to be made.

    Attributes:
        name: its class.
        number: its place among the synthetic images of the class.
        attempt: how often it was made before and came to nothing.
    """

    name: str
    number: int
    attempt: int = 0

    @property
    def path(self) -> Path:
        """Where it belongs in the folder."""
        return Path(self.name) / f"{self.number:05}.png"

    def seed(self, seed: int) -> int:
        """Return its own seed, which depends on no other image."""
        return derive(seed, self.number, self.attempt, *self.name.encode())


def plan(counts: Mapping[str, int], below: int, to: int) -> list[Wanted]:
    """Return the images that fill up the rare classes.

    Args:
        counts: training images by class.
        below: classes with fewer than this are rare.
        to: images that a rare class shall have, true and synthetic ones together.

    Raises:
        InputError: where none are needed.
    """
    rare = {name: count for name, count in counts.items() if count < min(below, to)}
    if not rare:
        least = min(counts.values())
        raise InputError(f"every class has {least} images or more: nothing to do for `--below {below} --to {to}`.")
    return [Wanted(name, number) for name, count in rare.items() for number in range(to - count)]


def wording(names: list[str], template: str, file: str | None) -> dict[str, str]:
    """Return what the model is told of every class.

    Args:
        names: all classes.
        template: words around the name of a class, which goes in place of `{}` with spaces for underscores.
        file: a YAML or JSON file with other words for some of the classes, by name.

    Raises:
        InputError: where the name has no place, or the file is damaged, of another form or about other classes.
    """
    if "{}" not in template:
        raise InputError(f"the prompt '{template}' has no place for the name of the class: 'a photo of a {{}}'.")
    words = {name: template.replace("{}", name.replace("_", " ")) for name in names}
    if file is None:
        return words
    try:
        own = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise InputError(f"the prompts in {file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict) or not all(isinstance(text, str) for pair in own.items() for text in pair):
        raise InputError(f"{file} has a line per class with its name and its prompt, such as `tench: a tench, a fish`.")
    for name in own:
        if name not in words:
            raise InputError(
                f"{file} has a prompt for {name}, which is no class of the data{did_you_mean(name, names)}"
            )
    return words | own
