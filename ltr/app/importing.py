"""Gradio, imported in two thirds of the time."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def swiftly() -> Iterator[None]:
    """Import Gradio within this.

    Whenever it is imported, Gradio (6.31) parses its own components and writes a stub beside each, into the folder
    where it is installed. It leaves that out for classes that are in no file, and here it is told that they are in
    none. What is imported stays, so nothing is gained by looking for garbage meanwhile.
    """
    found = inspect.getfile

    def none_of_components(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError
        return found(thing)

    inspect.getfile = none_of_components  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        inspect.getfile = found
        gc.enable()
