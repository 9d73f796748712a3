"""What a figure was made on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

from ltr.version import __version__


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or that of the processor and how many cores of it there are."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{processor()}, {cores()} cores"


@cache
def version() -> str:
    """Return the version of `ltr`, in a clone with its commit, and `-dirty` where files differ from that."""
    home = Path(__file__).resolve().parent.parent
    git = shutil.which("git")
    if git is None or not (home / ".git").exists():
        return __version__
    told = subprocess.run(  # noqa: S603 - of git itself
        [git, "describe", "--always", "--dirty", "--exclude", "*"], cwd=home, capture_output=True, text=True
    )
    return f"{__version__} ({told.stdout.strip()})" if told.returncode == 0 else __version__
