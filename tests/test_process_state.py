"""What is changed for a whole process."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from ltr.process_state import first_imports

NEW = """
import gc
from ltr.process_state import first_imports
with first_imports():
    import decimal
    assert not gc.isenabled()
assert gc.isenabled()
assert gc.get_freeze_count() > 1000
"""


@pytest.mark.slow
def test_what_a_new_process_imports_is_never_garbage() -> None:
    subprocess.run([sys.executable, "-c", NEW], check=True)


def test_a_process_that_has_computed_finds_its_garbage() -> None:
    frozen = gc.get_freeze_count()
    with first_imports():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
