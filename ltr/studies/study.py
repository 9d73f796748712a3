"""The verb `study`: many runs, one honest table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltr.errors import InputError
from ltr.studies.cell import Cell
from ltr.studies.fields import check_own
from ltr.studies.job import Job, Setting
from ltr.studies.output import write
from ltr.studies.plan import Plan
from ltr.studies.render import terminal
from ltr.studies.runs import Perform, Runs
from ltr.studies.schedule import run
from ltr.studies.sweep import tell_sweep, within_sweep, write_sweep
from ltr.studies.table import Section
from ltr.studies.workers import Here, ray_cluster
from ltr.studies.workers import processes as worker_processes


def study(
    file: str,
    /,
    *,
    runs: str = "checkpoints",
    only: list[str] | None = None,
    processes: int = 1,
    ray: str | None = None,
    gpus: float | None = None,
    cpus: float = 1.0,
    sweep: str | None = None,
    common: Sequence[str] = (),
    perform: Perform,
    command: str = "ltr study",
) -> None:
    """Run the trainings and tests of a study file and compare them in one table.

    What is finished is not run again; an interrupted training goes on from its last checkpoint. Options that are not
    listed here go to every training, such as `--data.root data`.

    Args:
        file: a study file, or the name of a shipped one such as quickstart.yaml.
        runs: folder in which the study's folder is kept.
        only: runs such as ce-0, and what they need, in place of all.
        processes: runs at once on this machine, a GPU each where there are.
        ray: run on a Ray cluster: its address, auto, or local to start one.
        gpus: GPUs of each run on Ray, as a share; else one or none.
        cpus: cores of each run on Ray.
        sweep: a file: only write the study as a sweep of Weights & Biases there.
        common: arguments for every training.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.
        command: how this was called, for the table.

    Raises:
        InputError: if the file is not a study, or after the table where a run failed.
        KeyboardInterrupt: after Ctrl+C or SIGTERM, which end the processes of the study, too.
    """
    if processes < 1:
        raise InputError(f"--processes is at least 1; it cannot be {processes}.")
    if ray is None and (gpus is not None or cpus != 1.0):
        raise InputError("`--gpus` and `--cpus` are those of a run on Ray: pass `--ray auto`, too.")
    if ray is not None and processes > 1:
        raise InputError("Ray decides how many runs there are at once: leave out `--processes`.")
    plan = Plan.read(file)
    check_own("the command", common, seeded=None not in plan.seeds)
    jobs = plan.jobs if only is None else plan.with_needs(only)
    if sweep:
        write_sweep([job.name for job in jobs], plan, Path(sweep), [file, "--runs", runs, *common])
        print(f"{sweep}; next: wandb sweep {sweep}")
        return
    alone = processes == 1 and ray is None
    all_runs = Runs(plan, Path(runs) / plan.name, perform, tuple(common), bars=alone and sys.stderr.isatty())
    needed = (Runs.__module__, perform.__module__)
    with _executor(processes, ray, gpus, cpus, needed) as (executor, slots):
        failures = run(all_runs, jobs, executor, slots)
    all_runs.drop_weights()
    if plan.name:
        sections = collect(plan, all_runs.read, failures)
        terminal(plan, sections)
        write(all_runs.folder, plan, sections, command=command)
    if within_sweep() and only:
        for job in plan.with_needs(only):
            if job.name in only and (measures := all_runs.read(job)):
                tell_sweep(f"{plan.name}/{job.name}", measures)
    if failures:
        job, reason = next(iter(failures.items()))
        raise InputError(f"{len(failures)} of the runs failed, the first of them {job.name}: {reason}")


@contextmanager
def _executor(
    count: int, ray: str | None, gpus: float | None, cpus: float, needed: Sequence[str]
) -> Iterator[tuple[Executor, int]]:
    """Yield what executes the runs, and how many at once; `needed` are the modules of a run."""
    if ray is not None:
        with ray_cluster(ray, gpus=gpus, cpus=cpus) as cluster:
            yield cluster
    else:
        with Here() if count == 1 else worker_processes(count, needed) as executor:
            yield executor, count


def collect(
    plan: Plan, read: Callable[[Job], Mapping[str, Any] | None], failures: Mapping[Job, str] | None = None
) -> list[Section]:
    """Return the sections of a study that have a result or a failure.

    Args:
        plan: the study.
        read: returns the content of a run's metrics.json, None if it is not finished.
        failures: why runs failed; their results, of another day, do not count.
    """
    failures = failures or {}
    sections = []
    for setting in plan.settings:
        cells = []
        for entry in plan.entries:
            keys = [(subset, seed) for subset in plan.subset_seeds for seed in entry.seeds]
            jobs = {key: plan.job(entry, setting, key) for key in keys}
            results = {key: measures for key, job in jobs.items() if job not in failures and (measures := read(job))}
            failure = next((failures[job] for job in jobs.values() if job in failures), None)
            cells.append(Cell(entry, results, len(jobs), failure))
        base = next(cell for cell in cells if cell.entry.name == plan.baseline)
        sections.append(Section(setting, cells, base))
    by_setting = {section.setting: section for section in sections}
    sections = [
        replace(section, upper=_upper(by_setting[Setting(plan.balanced, section.setting.recipe)]))
        if plan.balanced not in (None, section.setting.data)
        else section
        for section in sections
    ]
    return [section for section in sections if any(cell.results or cell.failure for cell in section.cells)]


def _upper(balanced: Section) -> dict[str, float]:
    """Return the upper reference accuracies of rows that were trained on the balanced set."""
    vanilla = balanced.base.mean("top1")
    means = {cell.entry.name: cell.mean("top1") for cell in balanced.cells}
    return {name: max(mean, vanilla or 0.0) for name, mean in means.items() if mean is not None}
