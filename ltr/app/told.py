"""What a user can mend is told on the page."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from ltr.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")


def told(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function of the page show the sentence of an `InputError`."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            sentence = str(error)
            words = html.escape(sentence[:1].upper() + sentence[1:])
            raise gr.Error(words, title="Not possible", duration=None, print_exception=False) from error

    return call
