"""A row of the table of runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ltr.app.allowed_paths import AllowedPaths
from ltr.errors import InputError
from ltr.measures import shown
from ltr.run import description
from ltr.run.folder import RunFolder
from ltr.run.job import Job

COLUMNS = ("run", "state", *(measure.title for measure in shown("summary")), "method", "data", "epochs", "when")


def row(paths: AllowedPaths, name: str) -> list[str]:
    """Return the row of a run."""
    run, job = RunFolder(paths.run(name)), paths.job(name)
    config: Mapping[str, Any] = {}
    with suppress(InputError):
        config = run.config
    metrics = measured(run)
    values = [(measure, metrics.get(measure.key)) for measure in shown("summary")]
    model = config.get("model") or {}
    parts = [model.get("class_path"), (model.get("init_args") or {}).get("loss")]
    return [
        name,
        state(run, job, metrics, config),
        *("" if value is None else f"{measure.scale * value:.1f}" for measure, value in values),
        ", ".join(filter(None, map(description.class_name, parts))),
        description.data_set(metrics.get("data") or {}, config.get("data") or {}),
        str((config.get("trainer") or {}).get("max_epochs", "")),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(run.path.stat().st_mtime)),
    ]


def state(run: RunFolder, job: Job, metrics: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the state of a run: running, failed, stopped at an epoch, trained or tested."""
    if job.running:
        return "running"
    if metrics:
        return "tested"
    epochs, done = (config.get("trainer") or {}).get("max_epochs"), trained_epochs(run)
    if done and epochs and done < epochs:
        return f"stopped at {done}/{epochs}"
    if job.known and job.state != "finished":
        return job.state
    return "trained" if run.checkpoint.is_file() else "not trained"


def trained_epochs(run: RunFolder) -> int:
    """Return the number of epochs in the curves of a run, 0 if they are damaged."""
    with suppress(InputError):
        return len(run.curves)
    return 0


def measured(run: RunFolder) -> Mapping[str, Any]:
    """Return the measures of the main evaluation of a run, empty if they are damaged or missing."""
    try:
        return run.main.metrics if run.main else {}
    except InputError:
        return {}
