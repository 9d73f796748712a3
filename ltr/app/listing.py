"""A line on a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ltr.app.job import Job
from ltr.app.place import Place
from ltr.errors import InputError
from ltr.measures import shown
from ltr.run import description
from ltr.run.folder import RunFolder

COLUMNS = ("run", "state", *(measure.title for measure in shown("summary")), "method", "data", "epochs", "when")


def row(place: Place, name: str) -> list[str]:
    """Return what the list of the runs says of one."""
    folder, job = place.run(name), Job.of(place, name)
    config, metrics = described(RunFolder(folder))
    values = [(measure, metrics.get(measure.key)) for measure in shown("summary")]
    figures = ["" if value is None else f"{measure.scale * value:.1f}" for measure, value in values]
    said = config.get("model") or {}
    parts = [said.get("class_path"), (said.get("init_args") or {}).get("loss")]
    return [
        name,
        job.state if job.known else ("trained" if metrics else "not tested"),
        *figures,
        ", ".join(filter(None, map(description.class_name, parts))),
        description.data_set(metrics.get("data") or {}, config.get("data") or {}),
        str((config.get("trainer") or {}).get("max_epochs", "")),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.stat().st_mtime)),
    ]


def described(run: RunFolder) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the config of a run and the measures of its main evaluation, each empty where it is damaged or missing."""
    config: Mapping[str, Any] = {}
    with suppress(InputError):
        config = run.config
    return config, measured(run)


def measured(run: RunFolder) -> Mapping[str, Any]:
    """Return the measures of the main evaluation of a run, empty where they are damaged or missing."""
    try:
        return run.main.metrics if run.main else {}
    except InputError:
        return {}
