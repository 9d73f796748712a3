"""From images to the best classifier of a grid of heads: the verb `auto`."""

from ltr.auto.auto import auto

__all__ = ["auto"]
