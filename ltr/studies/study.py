"""The verb `study`: many runs, one honest table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltr.errors import InputError
from ltr.studies.cell import Cell
from ltr.studies.job import Job, Setting
from ltr.studies.output import write
from ltr.studies.plan import Plan
from ltr.studies.render import terminal
from ltr.studies.runs import Perform, Runs
from ltr.studies.schedule import run
from ltr.studies.sweep import tell_sweep, within_sweep, write_sweep
from ltr.studies.table import Section
from ltr.studies.workers import Here, processes, ray_cluster

DESCRIPTION = """Run the trainings and tests of a study file and compare them in one table. What is finished is not run
again; an interrupted training goes on from its last checkpoint. Arguments that are not listed here go to every
training, such as --data.root data."""


def study(arguments: Sequence[str], perform: Perform) -> None:
    """Run a study and print its table.

    Args:
        arguments: the study file, options, and arguments for every training.
        perform: runs a verb with its arguments, raising `InputError` where they cannot be used.

    Raises:
        InputError: where the file is no study, or after the table where a run failed.
    """
    parser = argparse.ArgumentParser("ltr study", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("file", help="a study file, or the name of a shipped one such as quickstart.yaml")
    parser.add_argument("--runs", default="checkpoints", help="folder in which the study's folder is kept")
    parser.add_argument(
        "--only", nargs="+", metavar="RUN", help="runs such as ce-0, and what they need, in place of all"
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="runs at once on this machine, a GPU each where there are"
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="run on a Ray cluster: its address, auto, or local to start one"
    )
    parser.add_argument(
        "--gpus", type=float, default=None, help="GPUs of each run on Ray, as a share; else one or none"
    )
    parser.add_argument("--cpus", type=float, default=1.0, help="cores of each run on Ray")
    parser.add_argument("--sweep", metavar="FILE", help="only write the study as a sweep of Weights & Biases")
    said, common = parser.parse_known_args(arguments)
    if said.processes < 1:
        raise InputError(f"--processes is at least 1; it cannot be {said.processes}.")
    plan = Plan.read(said.file)
    if said.sweep:
        write_sweep(plan, Path(said.sweep), [said.file, "--runs", said.runs, *common])
        print(f"{said.sweep}; next: wandb sweep {said.sweep}")
        return
    jobs = plan.jobs if said.only is None else plan.with_needs(said.only)
    alone = said.processes == 1 and said.ray is None
    runs = Runs(plan, Path(said.runs) / plan.name, perform, tuple(common), bars=alone and sys.stderr.isatty())
    with _place(said) as (executor, slots):
        failures = run(runs, jobs, executor, slots)
    sections = collect(plan, runs.read, failures)
    terminal(plan, sections)
    write(runs.folder, plan, sections, command=shlex.join(["ltr", "study", *arguments]))
    if within_sweep() and said.only:
        for job in plan.with_needs(said.only):
            if job.name in said.only and (measures := runs.read(job)):
                tell_sweep(f"{plan.name}/{job.name}", measures)
    if failures:
        job, reason = next(iter(failures.items()))
        raise InputError(f"{len(failures)} of the runs failed, the first of them {job.name}: {reason}")


@contextmanager
def _place(said: argparse.Namespace) -> Iterator[tuple[Executor, int]]:
    """Yield what the runs take place in, and how many fit in at once."""
    if said.ray is not None:
        with ray_cluster(said.ray, gpus=said.gpus, cpus=said.cpus) as place:
            yield place
    else:
        with Here() if said.processes == 1 else processes(said.processes) as executor:
            yield executor, said.processes


def collect(
    plan: Plan, read: Callable[[Job], Mapping[str, Any] | None], failures: Mapping[Job, str] | None = None
) -> list[Section]:
    """Return the sections of a study that have a result or a failure.

    Args:
        plan: the study.
        read: returns the content of a run's metrics.json, None where it is not finished.
        failures: why runs failed; their results, of another day, do not count.
    """
    failures = failures or {}
    sections = []
    for setting in plan.settings:
        cells = []
        for entry in plan.entries:
            keys = [(subset, seed) for subset in plan.subset_seeds for seed in entry.seeds]
            jobs = {key: plan.job(entry, setting, key) for key in keys}
            found = {key: measures for key, job in jobs.items() if job not in failures and (measures := read(job))}
            failure = next((failures[job] for job in jobs.values() if job in failures), None)
            cells.append(Cell(entry, found, len(jobs), failure))
        base = next(cell for cell in cells if cell.entry.name == plan.baseline)
        sections.append(Section(setting, cells, base))
    by_setting = {section.setting: section for section in sections}
    sections = [
        replace(section, upper=_upper(by_setting[Setting(plan.balanced, section.setting.recipe)]))
        if plan.balanced not in (None, section.setting.data)
        else section
        for section in sections
    ]
    return [section for section in sections if any(cell.found or cell.failure for cell in section.cells)]


def _upper(balanced: Section) -> dict[str, float]:
    """Return the upper reference accuracies of rows that were trained on the balanced set."""
    vanilla = balanced.base.mean("top1")
    means = {cell.entry.name: cell.mean("top1") for cell in balanced.cells}
    return {name: max(mean, vanilla or 0.0) for name, mean in means.items() if mean is not None}
