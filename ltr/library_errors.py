"""What libraries and the file system say of the user's input, as `InputError`s; anything else is a defect.

The traceback of an error tells which it is:

- An error of the file system or of the memory is about this machine.
- A library that raises an error in its own Python code has checked a value that it was given. The values that `ltr`
  hands over are those of the command line and of configs. An error of a class that a library defines is of that kind.
- An error that is raised in the code of `ltr`, or a kind of error that no check raises (`AttributeError`), is a defect.
- An error in the user's own code, or in what that code called, is the user's to read with its traceback.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltr.errors import InputError

PACKAGE = str(Path(__file__).resolve().parent) + os.sep
LIBRARIES = tuple({str(Path(path)) + os.sep for path in sysconfig.get_paths().values()})
CHECKED = (ValueError, TypeError, ArithmeticError, RuntimeError, ImportError)  # what the check of a value raises
# In what the parser says of a part: `Parser key "model": ... class_path 'X': the following arguments are required: y`.
KEY = re.compile(r'[Pp]arser key "([\w.]+)"')
NEEDED = re.compile(r"class_path '(?:\w+\.)*(\w+)': the following arguments are required: (\w+)")
FEWER = "This machine has fewer than asked for: leave out `--trainer.accelerator` and `--trainer.devices`."
CONTEXTS = ("library_errors.py", "process_state.py", "messages.py")  # they surround the calls of others
SHOW = "LTR_TRACEBACK"  # an environment variable: any value shows the traceback of what would be one sentence
DEFECT = (
    "This is a defect of ltr. Please report it in the repository of ltr, with the command, `ltr --version` and the "
    "lines above."
)


@contextmanager
def library_errors() -> Iterator[None]:
    """Raise what a library or the file system says of the input as an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if os.environ.get(SHOW) or (input_error := explained(error)) is None:
            raise
        raise input_error from error


def explained(error: BaseException) -> InputError | None:
    """Return an error as one sentence on the input, None if it is a defect or of the user's own code."""
    kind = type(error)
    package = kind.__module__.partition(".")[0]
    if package == "argparse" or isinstance(error, ValueError):
        inner = caused_by(error)
        if isinstance(inner, InputError):
            return inner
        error = inner or error
    if type(error).__name__ == "MisconfigurationException":
        return InputError(f"{sentence(error)} {FEWER}" if "gpu" in str(error).lower() else sentence(error))
    if package == "argparse" and (needed := NEEDED.search(text := sentence(error))):
        place = ".".join(KEY.findall(text[: needed.start()]))
        return InputError(f"{needed[1]} needs a value for {needed[2]}: pass `--{place}.{needed[2]}`.")
    if package == "argparse":
        return InputError(sentence(error))
    owners = [owner(frame.filename) for frame in frames(error)]
    if "" in owners:
        return None
    if isinstance(error, MemoryError) or kind.__name__ == "OutOfMemoryError":
        return InputError("there is not enough memory: pass a smaller `--data.batch_size`, or `--data.memory 0`.")
    if isinstance(error, OSError):
        return InputError(sentence(error))
    if isinstance(error, UnicodeDecodeError):
        return InputError(f"a file is not UTF-8 text ({error.reason} at position {error.start}): save it as UTF-8.")
    checked = isinstance(error, CHECKED) and owners[-1:] not in ([], ["ltr"])
    if checked or package not in ("builtins", "ltr", *sys.stdlib_module_names):
        library = owners[-1] if checked else package
        return InputError(f"{library} refuses this: {sentence(error)} ({SHOW}=1 shows the traceback)")
    return None


def caused_by(error: BaseException) -> BaseException | None:
    """Return the error of a constructor, ours or Lightning's, that caused one of the parser; None if there is none."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
        if isinstance(error, InputError) or type(error).__name__ == "MisconfigurationException":
            return error
    return None


def is_defect(error: BaseException) -> bool:
    """Return whether an error is raised by `ltr`, without code of the user in between."""
    return "" not in [owner(frame.filename) for frame in frames(error)]


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return where an error passed, from the first call into `ltr` to where it was raised."""
    passed = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name not in CONTEXTS]
    first = next((at for at, frame in enumerate(passed) if owner(frame.filename) == "ltr"), len(passed))
    return passed[first:]


def owner(file: str) -> str:
    """Return whose code is in a file: `ltr`, the name of a library, or empty for the user's."""
    if file.startswith(PACKAGE):
        return "ltr"
    home = max((home for home in LIBRARIES if file.startswith(home)), key=len, default=None)
    if home is None:
        return "python" if file.startswith("<") else ""
    return Path(file.removeprefix(home)).parts[0].removesuffix(".py")


def sentence(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
