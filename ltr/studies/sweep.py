"""A study as a sweep of Weights & Biases: agents on any machines take its runs in turns."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ltr import files
from ltr.studies.plan import Plan


def write_sweep(names: Sequence[str], plan: Plan, path: Path, arguments: Sequence[str]) -> None:
    """Write the file that `wandb sweep` takes.

    Args:
        names: of the runs.
        plan: their study.
        path: the file.
        arguments: of `ltr study`, which every agent repeats for one run.
    """
    content = {
        "name": plan.name,
        "description": plan.about,
        "method": "grid",
        "program": "ltr",
        "command": ["${env}", "ltr", "study", *arguments, "${args}"],
        "parameters": {"only": {"values": [*names]}},
    }
    files.write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def within_sweep() -> bool:
    """Return whether an agent of a sweep has started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def tell_sweep(name: str, measures: Mapping[str, Any]) -> None:
    """Give the figures of a run to the sweep.

    Args:
        name: of the run.
        measures: the content of its metrics.json.
    """
    import wandb

    with wandb.init(name=name) as run:
        run.summary.update({key: value for key, value in measures.items() if isinstance(value, int | float)})
