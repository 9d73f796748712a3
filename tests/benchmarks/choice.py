"""How good a choice of `ltr auto` is: `python tests/benchmarks/choice.py RUN...`.

The grid of `auto.yaml` is trained on each run. A head is chosen as `ltr auto` chooses, on the validation split of the
run, or on some test images (`--from_test 20 --draws 20`). It is compared on the (other) test images with the best
head in hindsight: the difference is the regret, in points. Beside it stands the regret of always taking one head, and
of taking the head with the highest value. A choice is within noise of the best head if its regret is at most the
standard error of the difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ltr.auto.candidates import ADJUSTED, Candidate, Grid, default_head
from ltr.auto.choice import choose, recalls
from ltr.auto.goal import Goal
from ltr.cli.command import perform
from ltr.markdown import markdown_table

GOALS = ("mean-recall", "hm", "lowest")
ALWAYS = {
    "always logit adjustment": (ADJUSTED, None, None),
    "always balanced softmax": ("balanced softmax", 0.1, None),
    "always GML": ("GML", 0.1, None),
    "always GML, ensemble": ("GML", 0.1, 2.0),
}
RESAMPLES = 200


def answers(
    run: str, folder: Path, split: Literal["val", "test"], words: list[str]
) -> tuple[list[Candidate], Tensor, Tensor]:
    """Return what the heads of a run recognise of a split, as `Grid.train` does."""
    start = ["--model.backbone.checkpoint", run, *words]
    return Grid("auto.yaml", folder / Path(run).name / split, start, perform, split).train(range(3))


def resampled(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return (N,) how often each image is drawn, as many times from each class as it has images."""
    order, counts = labels.argsort(stable=True), torch.bincount(labels)
    starts = (counts.cumsum(0) - counts)[labels]
    drawn = order[starts + (torch.rand(len(labels), generator=generator) * counts[labels]).long()]
    return torch.bincount(drawn, minlength=len(labels)).float()


def error(right: Tensor, labels: Tensor, measure: Goal, one: int, other: int) -> float:
    """Return the standard error of the difference of two heads, from resampled images of each class."""
    classes = int(labels.max()) + 1
    generator = torch.Generator().manual_seed(0)
    pair = right[[one, other]].float()
    differences = []
    for _ in range(RESAMPLES):
        weights = resampled(labels, generator)
        first, second = measure(recalls(pair, labels, classes, weights)).mean(1).tolist()
        differences.append(first - second)
    return float(torch.tensor(differences).std())


def drawn(labels: Tensor, per_class: int, generator: torch.Generator) -> Tensor:
    """Return (N,) which images are drawn, so many of each class."""
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]
    counts = torch.bincount(labels)
    places = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    chosen[order[places < per_class]] = True
    return chosen


def rounds(run: str, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, float], bool]]:
    """Yield for each draw and goal the regret of each way to choose, and whether that of `ltr auto` is within noise."""
    candidates, all_tested, all_truth = answers(run, options.folder, "test", options.words)
    if not options.from_test:
        _, right, labels = answers(run, options.folder, "val", options.words)
    tested, truth, classes = all_tested, all_truth, int(all_truth.max()) + 1
    places = {title: candidates.index(Candidate(*head)) for title, head in ALWAYS.items()}
    generator = torch.Generator().manual_seed(0)
    for draw in range(options.draws):
        if options.from_test:
            held_out = drawn(all_truth, options.from_test, generator)
            right, labels = all_tested[..., held_out], all_truth[held_out]
            tested, truth = all_tested[..., ~held_out], all_truth[~held_out]
        for name in GOALS:
            measure = Goal.of(name, [str(label) for label in range(classes)], [1] * classes)
            values = measure(recalls(tested.float(), truth, classes, torch.ones(len(truth)))).mean(1)
            choice = choose(right, labels, classes, measure, default_head(candidates), seed=draw)
            chosen = {"ltr auto": choice.chosen, "the highest on the validation images": choice.best, **places}
            best = int(values.argmax())
            regrets = {title: 100 * float(values[best] - values[head]) for title, head in chosen.items()}
            noise = 100 * error(tested, truth, measure, best, choice.chosen) if choice.chosen != best else 0.0
            yield name, regrets, regrets["ltr auto"] <= noise


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="networks with a validation split")
    parser.add_argument(
        "--from_test", type=int, default=0, help="choose on so many test images per class, test on the rest"
    )
    parser.add_argument("--draws", type=int, default=1, help="random choices of these images")
    parser.add_argument("--folder", type=Path, default=Path("checkpoints/choice"), help="where the grids are kept")
    options, options.words = parser.parse_known_args()
    found: dict[str, dict[str, list[float]]] = {name: {} for name in GOALS}
    near: dict[str, list[bool]] = {name: [] for name in GOALS}
    for run in options.runs:
        for name, regrets, within in rounds(run, options):
            near[name].append(within)
            for title, regret in regrets.items():
                found[name].setdefault(title, []).append(regret)
    rows = []
    for title in found[GOALS[0]]:
        cells = [torch.tensor(found[name][title]) for name in GOALS]
        rows.append([title, *(f"{float(each.mean()):.1f} ({float(each.max()):.1f})" for each in cells)])
    shares = [f"{100 * sum(near[name]) / len(near[name]):.0f} %" for name in GOALS]
    rows.append(["ltr auto within noise of the best", *shares])
    print("Regret in points, mean (largest):\n")
    print(markdown_table(["", *GOALS], rows), end="")


if __name__ == "__main__":
    main()
