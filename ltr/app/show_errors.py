"""Errors that the user can correct, as messages on the page."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from ltr.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")


def show_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Let an event handler of the page show the message of an `InputError`."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            text = html.escape(capitalised(str(error)))
            raise gr.Error(text, title="Not possible", duration=None, print_exception=False) from error

    return call


def capitalised(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
