"""What the figures are of."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

from ltr import __version__
from ltr.data.images import cores


def machine() -> dict[str, Any]:
    """Describe what the figures are of."""
    return {
        "ltr": __version__,
        "torch": torch.__version__,
        "cpu": processor(),
        "cores": cores(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
