"""The shipped recipes, as choices of the form."""

from __future__ import annotations

from ltr.run import lookup
from ltr.run.recipe import GROUPS, Recipe


def methods() -> dict[str, str]:
    """Return the recipes that train a method, by their labels."""
    home = lookup.folder("configs")
    read = [Recipe.read(path, home / "base.yaml") for path in sorted(home.glob("*.yaml")) if path.stem != "base"]
    order = list(GROUPS.values())
    found = sorted((one for one in read if one.group != GROUPS["test"]), key=lambda one: order.index(one.group))
    return {label(one): one.name for one in found}


def configs_in(folder: str) -> dict[str, str]:
    """Return the configs of a folder, `data` or `recipes`, by their labels."""
    home = lookup.folder("configs")
    read = [Recipe.read(path, home / "base.yaml") for path in sorted((home / folder).glob("*.yaml"))]
    return {label(one): f"{folder}/{one.name}" for one in read}


def label(recipe: Recipe) -> str:
    """Return the label of a recipe: its name and its title."""
    return f"{recipe.name.removesuffix('.yaml')}: {recipe.title}"
