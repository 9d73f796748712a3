"""What is of the user's input is one sentence; a defect keeps its traceback."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import CodeType

import pytest
import torch
import yaml
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from PIL import Image

import ltr
from ltr.cli.messages import messages
from ltr.errors import InputError, Stopped
from ltr.library_errors import library_errors

PACKAGE = Path(ltr.__file__).parent


def within_ltr(code: str, **names: object) -> Callable[[], None]:
    """Return a function that runs code as if a file of `ltr` had it."""
    compiled: CodeType = compile(code, str(PACKAGE / "some_file.py"), "exec")
    return lambda: exec(compiled, dict(names))


def raised(function: Callable[[], None]) -> BaseException:
    with pytest.raises(BaseException) as error, library_errors():  # noqa: PT011
        function()
    return error.value


OF_INPUT = {
    "Invalid learning rate: -1": within_ltr("SGD([parameter], lr=-1)", SGD=torch.optim.SGD, parameter=torch.zeros(1)),
    "No such file or directory: 'absent'": within_ltr("open('absent')"),
    "File name too long": within_ltr("Path('x' * 300).stat()", Path=Path),
    "a file is not UTF-8 text": within_ltr(r"b'\xff'.decode('utf-8')"),
    "cannot identify image file": within_ltr("Image.open(file)", Image=Image, file=__file__),
    "yaml refuses this: while parsing a flow": within_ltr("yaml.safe_load('[')", yaml=yaml),
    "Expecting value": within_ltr("json.loads('x')", json=json),
    "there is not enough memory": within_ltr("raise MemoryError"),
    "no such device": within_ltr("raise error('no such device')", error=MisconfigurationException),
    "Loss needs a value for gamma: pass `--model.loss.gamma`.": within_ltr(
        "raise error(None, text)",
        error=ArgumentError,
        text='Parser key "model":\n Parser key "loss": class_path \'x.Loss\':\n'
        " the following arguments are required: gamma",
    ),
}
DEFECTS = {
    "of a name": within_ltr("absent"),
    "of an operation": within_ltr("torch.zeros(2) + torch.zeros(3)", torch=torch),
    "of a value": within_ltr("raise ValueError('two')"),
    "of a library that is not checking": within_ltr("next(csv.DictReader(iter([1])))", csv=csv),
}


@pytest.mark.parametrize("words", OF_INPUT)
def test_a_library_that_checks_a_value_speaks_of_the_input(words: str) -> None:
    error = raised(OF_INPUT[words])
    assert isinstance(error, InputError)
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_defect_keeps_its_traceback_and_says_where_to_report_it(kind: str) -> None:
    assert not isinstance(raised(DEFECTS[kind]), InputError)
    with pytest.raises(Exception) as error, messages():  # noqa: PT011
        DEFECTS[kind]()
    assert "defect of ltr" in error.value.__notes__[0]


def test_an_error_in_the_users_own_code_is_theirs() -> None:
    def own() -> None:
        torch.optim.SGD([torch.zeros(1)], lr=-1)

    call = within_ltr("own()", own=own)
    assert isinstance(raised(call), ValueError)
    with pytest.raises(ValueError, match="Invalid learning rate") as error, messages():
        call()
    assert not hasattr(error.value, "__notes__")


def test_the_sentence_of_a_constructor_passes_through_the_parser() -> None:
    code = "try: raise InputError('too few')\nexcept InputError as error: raise Parser(None, 'key x') from error"
    assert str(raised(within_ltr(code, InputError=InputError, Parser=ArgumentError))) == "too few"
    defect = "try: raise InputError('too few')\nexcept InputError: absent"
    assert isinstance(raised(within_ltr(defect, InputError=InputError)), NameError)


def test_the_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTR_TRACEBACK", "1")
    assert isinstance(raised(OF_INPUT["Invalid learning rate: -1"]), ValueError)


@pytest.mark.parametrize(
    ("stop", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "ltr: stopped by Ctrl+C."),
        (Stopped(15), 143, "ltr: stopped by SIGTERM."),
        (Stopped(2, "go on"), 130, "ltr: stopped by Ctrl+C; go on."),
    ],
)
def test_a_signal_ends_with_its_status(stop: BaseException, status: int, sentence: str, capsys) -> None:
    with pytest.raises(SystemExit) as end, messages():
        raise stop
    assert end.value.code == status
    assert capsys.readouterr().err == f"\n{sentence}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("caf\u00e9 \u732b", "caf\u00e9 \u732b"),
        ("a\x1b[31m\nb", r"a\x1b[31m\nb"),
        ("\u202edcba \ud800", r"\u202edcba \ud800"),
        ("x" * 10_000, f"{'x' * 500} ... {'x' * 500}"),
    ],
)
def test_a_sentence_is_one_line_that_a_terminal_shows(text: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), messages():
        raise InputError(text)
    assert capsys.readouterr().err == f"ltr: error: {line}\n"
    with messages():
        note = warnings.formatwarning(UserWarning(text), UserWarning, "", 0)
    assert note == f"ltr: note: {line}\n"
