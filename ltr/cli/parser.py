"""Errors of the command line in a sentence that names what may have been meant."""

from __future__ import annotations

from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from ltr.errors import InputError


class Parser(LightningArgumentParser):
    """Lightning's parser, whose errors are `InputError`s."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise an `InputError` with a readable sentence."""
        raise InputError(message) from ex

    def add_argument(self, *args: Any, **kwargs: Any) -> Any:
        return super().add_argument(*args, **kwargs)
