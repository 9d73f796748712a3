"""Stands for `ltr`: a process that is to end is given half a second for it."""

from __future__ import annotations

from ltr import process_state
from ltr.__main__ import main

if __name__ == "__main__":
    process_state.GRACE = 0.5
    main()
