"""The verb `auto`: from images to the best classifier, in stages that each keep their result."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltr import files
from ltr.auto import page
from ltr.auto.candidates import ADJUSTED, Candidate, Grid, default_head
from ltr.auto.choice import choose, intervals
from ltr.auto.goal import Goal
from ltr.auto.network import SCRATCH, WITHOUT, data_words, epochs_within, start_words
from ltr.auto.verdict import FEW, Verdict
from ltr.auto.work import ONNX, PAGE, PROFILE, STUDY, Work
from ltr.callbacks.head_grid import OLD_HEAD
from ltr.cli.command import perform
from ltr.counts import number
from ltr.data import LongTailed
from ltr.data.contents import of_file
from ltr.data.file_dataset import FileDataset
from ltr.data.images import Source, each
from ltr.errors import InputError
from ltr.export import export
from ltr.predictor import Predictor
from ltr.profile.advice import GML_BATCH, fitting_batch, tuning_batch
from ltr.profile.report import examine, problems
from ltr.ranges import Positive
from ltr.run.evaluation import TEST, EvaluationResult
from ltr.run.folder import RunFolder
from ltr.studies.runs import Runs
from ltr.studies.study import study

SEEDS, MOST_SEEDS = 3, 10  # of the heads: without a limit of time, and with one
TRAINING, HEADS = 0.6, 0.7  # of the time that is left: for a network from scratch, and for the heads
COVERED = 9  # validation images of a class from which prediction sets can cover nine in ten of its images


def auto(
    data: LongTailed,
    /,
    *,
    backbone: str | None = None,
    weights: str | None = None,
    goal: str = "mean-recall",
    minutes: Positive | None = None,
    grid: str = "auto.yaml",
    runs: str = "checkpoints",
    name: str = "auto",
    words: Sequence[str] = (),
    command: str = "ltr auto",
) -> None:
    """Find the best classifier for a set of images, and measure it once.

    The set is a folder or a table, `ltr auto my_images`, or any other one: `ltr auto --data CIFAR100LT`. The command
    examines the set, holds out validation images, computes the features of a network once, trains a grid of heads on
    them, chooses by your goal on the validation images, and tests the choice beside plain cross-entropy and logit
    adjustment. The folder of the run then has the classifier, a page about it and an ONNX file. What is stopped goes on
    with the same command.

    Args:
        data: the set, not yet set up.
        backbone: a pretrained network: a run, a checkpoint, or the name of a network of torchvision, timm or OpenCLIP.
            Without one, a small network is trained on the images alone.
        weights: the weights of a network of a library: a file, or their name; by default its usual ones.
        goal: mean-recall, top1 (at the shares of the training images), hm (harmonic mean), lowest (lowest recall), or a
            YAML file with weights of classes, such as `stop: 5`.
        minutes: how long it may take, roughly; by default a training has 30 epochs and a head 3 seeds.
        grid: the config of the grid of heads.
        runs: folder in which the folder of the run is kept.
        name: the folder of the run.
        words: the arguments of the data on the command line.
        command: how this was called.

    Raises:
        InputError: if the set cannot be used, or results of other arguments are in the way.
    """
    folder = RunFolder.of(runs, name).path
    Goal.check(goal)
    start = start_words(backbone, weights)
    trained = Grid(grid, folder / "grid", [], perform)
    asked = {"backbone": backbone, "weights": weights, "goal": goal, "minutes": minutes, "grid": grid}
    work = Work.begin(folder, {**asked, "data": [*words], "images": images_of(data)})
    with work.stage("profile"):
        path = work.folder / PROFILE
        profile = files.read_json(path) if path.is_file() else examine(data, path.parent, words)
        if not profile["commands"]:
            path.unlink()  # made anew when the set has been mended
            raise InputError(profile["reasons"][0])
        if "val" not in profile["counts"] and max(profile["counts"]["train"]) < 2:
            raise InputError(
                "the choice of a head needs validation images, and no class has two training images, of which one "
                "could be held out: add images, or train with `ltr fit`."
            )
        measure = Goal.of(goal, profile["classes"], profile["counts"]["train"])
        found = problems(profile)
        print("".join(f"- {problem}\n" for problem in found), end="")
    with work.stage("network"):
        rows: dict[str, Any] = {"network": {"title": "plain cross-entropy"}}
        rows["network"]["fit"] = network(work, data, profile, start, minutes)
        plan = work.plan(rows)
        Runs(plan, work.folder, perform).train(plan.jobs[0])
    with work.stage("heads"):
        fitting = min(fitting_batch(sum(profile["counts"]["train"])), GML_BATCH)
        batch = tuning_batch(fitting, len(profile["classes"]))
        trained.words += ["--model.backbone.checkpoint", str(work.network.path), "--data.batch_size", str(batch)]
        candidates, right, labels = heads(work, trained, minutes, sum(profile["counts"]["train"]))
    with work.stage("choice"):
        verdict = decide(measure, candidates, right, labels, len(profile["classes"]))
        files.write_json(work.folder / "choice.json", verdict.content, checksum=True)
        print("\n".join(verdict.sentences))
    with work.stage("test"):
        counts = torch.bincount(labels, minlength=len(profile["classes"]))
        sets = {"alpha": 0.1, "share": float(bool((counts >= COVERED).all()))}
        answer = work.write_answer(
            [
                *trained.callbacks(verdict.chosen),
                {"class_path": "ltr.callbacks.TemperatureScaling"},
                {"class_path": "ltr.callbacks.Conformal", "init_args": sets},
            ]
        )
        fit = trained.fit(verdict.chosen)
        rows["adjusted"] = {"title": ADJUSTED, "of": "network", "test": ["--config", "logit_adjustment.yaml"]}
        rows["classifier"] = {"title": f"chosen: {verdict.chosen.title}", "test": ["--config", str(answer)]}
        rows["classifier"] |= {"of": "network"} if fit is None else {"fit": fit}
        work.plan(rows)
        study(str(work.folder / STUDY), runs=runs, perform=perform, command=command)
    with work.stage("export"):
        run = work.network if fit is None else RunFolder(work.folder / "classifier")
        notes = exported(run, answer, work.folder / ONNX)
    tests = {
        rows["network"]["title"]: EvaluationResult.read(work.network.path / TEST),
        ADJUSTED: EvaluationResult.read(work.network.path / "adjusted"),
        "chosen": EvaluationResult.read(run.path / ("classifier" if fit is None else TEST)),
    }
    files.write_text(work.folder / PAGE, page.write(work, verdict, run, tests, notes, found))
    print(f"\npage: {work.folder / PAGE}\nnew images: {work.predict_command(run)}")


def images_of(data: LongTailed) -> int | None:
    """Return a number for the names, labels and content of the files of a set, None for one that does not list files.

    A file that cannot be read has no content.
    """
    if not isinstance(data, FileDataset):
        return None
    parts = []
    for split, listing in {**data.listings, "synthetic": data.synthetic_files}.items():
        if listing is not None:
            found = each(partial(content, listing.sources), len(listing.names), f"{split} files")
            parts.append((split, [*listing.names], listing.labels.tolist(), found))
    return number(json.dumps(parts).encode())


def content(sources: Sequence[Source], position: int) -> int | None:
    """Return a number for the content of one of some files, None if it cannot be read."""
    try:
        return of_file(sources[position])
    except InputError:
        return None


def network(
    work: Work, data: LongTailed, profile: dict[str, Any], start: list[str], minutes: float | None
) -> list[str]:
    """Return the arguments that train the network, or a classifier on the pretrained one of `start`."""
    if isinstance(data, FileDataset) and data.drawn:
        work.take_over(data.split_file)
    words = data_words(profile, work.folder, pretrained=bool(start))
    if start:
        return [*start, *words]
    print(f"No `--backbone` is given. {WITHOUT}")
    words = [*SCRATCH, *words]
    if minutes is None:
        return words
    if "epochs" not in work.record:
        share = TRAINING * work.left(minutes)
        work.decided("epochs", epochs_within(share, words, work.folder, sum(profile["counts"]["train"])))
    print(f"{work.record['epochs']} epochs fit into the time.")
    return [*words, "--trainer.max_epochs", str(work.record["epochs"])]


def heads(work: Work, grid: Grid, minutes: float | None, images: int) -> tuple[list[Candidate], Tensor, Tensor]:
    """Return the answers of `Grid.train` for three seeds, or for as many epochs and seeds as fit into the time."""
    if minutes is None:
        return grid.train(range(SEEDS))
    began, left = time.monotonic(), HEADS * work.left(minutes)
    if "epochs_of_heads" not in work.record:
        work.decided("epochs_of_heads", grid.epochs_within(left, images))
    if grid.cut(epochs := work.record["epochs_of_heads"]):
        print(f"{epochs} epochs of the heads fit into the time.")
    if "seeds" in work.record:
        return grid.train(range(work.record["seeds"]))
    for count in range(1, MOST_SEEDS + 1):
        start = time.monotonic()
        answers = grid.train(range(count))
        if time.monotonic() - began + (time.monotonic() - start) > left:
            break
    work.decided("seeds", count)
    return answers


def decide(measure: Goal, candidates: list[Candidate], right: Tensor, labels: Tensor, classes: int) -> Verdict:
    """Return the choice among some heads.

    Args:
        measure: what a head is chosen for.
        candidates: the heads.
        right: (heads, seeds, N) whether each recognises a validation image.
        labels: (N,) class indices.
        classes: number of classes.
    """
    names = [one.name for one in candidates]
    default, plain, adjusted = default_head(candidates), names.index(OLD_HEAD), names.index(ADJUSTED)
    choice = choose(right, labels, classes, measure, default)
    shown = list(dict.fromkeys([plain, adjusted, default, choice.chosen]))
    values = intervals(right, labels, classes, measure, shown)
    counts = torch.bincount(labels, minlength=classes)
    return Verdict(
        goal=measure.title,
        best=candidates[choice.best],
        chosen=candidates[choice.chosen],
        default=candidates[default],
        choice=choice,
        values={candidates[head].title: value for head, value in zip(shown, values, strict=True)},
        heads=right.shape[0],
        seeds=right.shape[1],
        images=right.shape[2],
        uncertain=int(((counts > 0) & (counts < FEW)).sum()) if measure.worst else 0,
    )


def exported(run: RunFolder, answer: Path, output: Path) -> list[str]:
    """Write the classifier as ONNX; return why not, if that is not possible."""
    output.unlink(missing_ok=True)
    try:
        predictor = Predictor.load(run.checkpoint, answer, device="cpu", precision="32-true")
        export(predictor, to="onnx", output=str(output))
    except InputError as error:
        print(note := f"There is no ONNX file: {error}")
        return [note]
    return []
