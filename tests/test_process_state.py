"""What is changed for a whole process."""

from __future__ import annotations

import gc
import signal
import warnings

import pytest

from ltr.errors import Stopped
from ltr.process_state import set_up_command


def test_a_command_looks_for_garbage_less_often_but_finds_it() -> None:
    gc.set_threshold(700)
    set_up_command()
    assert gc.isenabled()
    assert 700 < gc.get_threshold()[0] < 100_000


def test_a_command_warns_in_one_line() -> None:
    set_up_command()
    assert warnings.formatwarning("it is\x1b[1m so", UserWarning, "file.py", 7) == "ltr: note: it is\\x1b[1m so\n"


def test_sigterm_ends_a_command() -> None:
    set_up_command()
    with pytest.raises(Stopped):
        signal.raise_signal(signal.SIGTERM)
