"""What there is to choose from, as the folder of the configs has it."""

from __future__ import annotations

from collections.abc import Iterable

from ltr.errors import InputError, did_you_mean
from ltr.run import lookup
from ltr.run.recipe import GROUPS, Recipe


def methods() -> dict[str, str]:
    """Return the configs that train, by the sentence that each says of itself."""
    home = lookup.folder("configs")
    read = [Recipe.read(path, home / "base.yaml") for path in sorted(home.glob("*.yaml")) if path.stem != "base"]
    order = list(GROUPS.values())
    found = sorted((one for one in read if one.group != GROUPS["test"]), key=lambda one: order.index(one.group))
    return {label(one): one.name for one in found}


def others(folder: str) -> dict[str, str]:
    """Return the configs of a folder, `data` or `recipes`, by the sentence that each says of itself."""
    home = lookup.folder("configs")
    read = [Recipe.read(path, home / "base.yaml") for path in sorted((home / folder).glob("*.yaml"))]
    return {label(one): f"{folder}/{one.name}" for one in read}


def label(recipe: Recipe) -> str:
    """Return how a config stands in a list."""
    return f"{recipe.name.removesuffix('.yaml')}: {recipe.title}"


def known(name: str, names: Iterable[str], what: str = "config") -> str:
    """Return a name that is one of those there are.

    Raises:
        InputError: where it is not.
    """
    if name not in (there := list(names)):
        raise InputError(f"there is no {what} {name}{did_you_mean(str(name), there)}")
    return name
