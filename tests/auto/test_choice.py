"""The choice between many heads."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltr.auto.auto import decide
from ltr.auto.candidates import ADJUSTED, Candidate
from ltr.auto.choice import choose, halved, intervals, recalls
from ltr.auto.goal import Goal
from ltr.callbacks.head_grid import OLD_HEAD
from ltr.metrics import Recall

CLASSES = 4
LABELS = torch.arange(CLASSES).repeat_interleave(torch.tensor([120, 60, 30, 11]))
MEAN = Goal.of("mean-recall", [str(label) for label in range(CLASSES)], [1] * CLASSES)


def heads(*accuracies: float, seeds: int = 2) -> Tensor:
    """Return answers (heads, seeds, N), each right with the probability of its head."""
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(len(accuracies), seeds, len(LABELS), generator=generator) < torch.tensor(accuracies)[:, None, None]
    )


def test_recalls_are_those_of_the_metric() -> None:
    right = heads(0.3, 0.8)
    ones = torch.ones(len(LABELS))
    for head, per_seed in zip(right, recalls(right.float(), LABELS, CLASSES, ones), strict=True):
        for answers, found in zip(head, per_seed, strict=True):
            metric = Recall(CLASSES)
            metric.update(torch.nn.functional.one_hot(torch.where(answers, LABELS, (LABELS + 1) % CLASSES)), LABELS)
            torch.testing.assert_close(found, metric.compute().float())
    twice = torch.zeros(len(LABELS))
    twice[:2] = 2.0  # only the first class has images
    found = recalls(right.float(), LABELS, CLASSES, twice)
    torch.testing.assert_close(found[..., 0], right[..., :2].float().mean(-1))
    assert found[..., 1:].isnan().all()


def test_a_better_head_is_chosen() -> None:
    right = heads(0.4, 0.5, 0.9, 0.6)
    choice = choose(right, LABELS, CLASSES, MEAN, default=1)
    assert (choice.best, choice.chosen) == (2, 2)
    assert choice.value == pytest.approx(0.9, abs=0.05)
    assert choice.gain == pytest.approx(0.4, abs=0.05)


def test_a_choice_among_equal_heads_is_noise() -> None:
    right = heads(*[0.5] * 200, seeds=1)
    best = MEAN(recalls(right.float(), LABELS, CLASSES, torch.ones(len(LABELS)))).mean(1)
    default = int(best.argsort()[len(best) * 3 // 4])
    choice = choose(right, LABELS, CLASSES, MEAN, default=default)
    assert choice.best == int(best.argmax())
    assert float(best.max() - best[default]) > 0.02, "on all images it looks better"
    assert choice.gain < 0
    assert choice.chosen == default


def test_one_image_is_no_choice() -> None:
    choice = choose(heads(0.2, 0.8)[..., :1], LABELS[:1], CLASSES, MEAN, default=0)
    assert choice.chosen == 0
    assert math.isnan(choice.gain)
    assert not choice.pays


def test_halves_have_the_same_classes() -> None:
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(len(LABELS), generator=generator)
    labels = LABELS[order]
    shares = torch.zeros(len(labels))
    for _ in range(200):
        half = halved(labels, generator)
        shares += half
        for label in range(CLASSES):
            images = half[labels == label]
            assert abs(int(images.sum()) - int((~images).sum())) <= 1
    assert (shares / 200 - 0.5).abs().max() < 0.2, "every image is in either half"


def test_an_interval_is_that_of_a_proportion() -> None:
    labels = torch.zeros(400, dtype=torch.long)
    right = (torch.arange(400) < 120)[None, None]
    ((value, low, high),) = intervals(right, labels, 1, Goal.of("mean-recall", ["0"], [1]), [0])
    assert value == pytest.approx(0.3)
    margin = 1.96 * math.sqrt(0.3 * 0.7 / 400)
    assert (value - low, high - value) == (pytest.approx(margin, rel=0.15), pytest.approx(margin, rel=0.15))


@pytest.mark.parametrize("images", [1, 2])
def test_classes_of_few_images_have_a_spread(images: int) -> None:
    """Half of the answers are right, so the mean recall of C classes has the variance 1/4 / (n C)."""
    classes = 40
    labels = torch.arange(classes).repeat_interleave(images)
    right = torch.tensor([0, 1] if images == 1 else [0, 0, 0, 1, 1, 0, 1, 1]).repeat(classes * images)[: len(labels)]
    measure = Goal.of("mean-recall", [str(label) for label in range(classes)], [1] * classes)
    ((value, low, high),) = intervals(right.bool()[None, None], labels, classes, measure, [0])
    assert value == 0.5
    margin = 1.96 * math.sqrt(0.25 / (images * classes))
    assert (value - low, high - value) == (pytest.approx(margin, rel=0.15), pytest.approx(margin, rel=0.15))


def test_heads_that_are_always_right_have_an_interval() -> None:
    measure = Goal.of("mean-recall", ["0", "1"], [1, 1])
    labels = torch.tensor([0, 1])
    right = torch.stack([torch.ones(1, 2), torch.zeros(1, 2)]).bool()
    (best, low, high), (worst, least, most) = intervals(right, labels, 2, measure, [0, 1])
    assert (best, high, worst, least) == (1, 1, 0, 0)
    assert low < 0.75
    assert most > 0.25


def test_few_images_of_a_class_make_a_choice_for_the_worst_uncertain() -> None:
    labels = torch.tensor([0] * 9 + [1] * 5 + [2] * 4 + [4])
    right = torch.rand(3, 2, len(labels), generator=torch.Generator().manual_seed(0)) < 0.5
    candidates = [Candidate(name, lr, None) for name, lr in ((OLD_HEAD, None), (ADJUSTED, None), ("GML", 0.1))]
    names = [str(label) for label in range(5)]
    for goal, uncertain in (("hm", 2), ("lowest", 2), ("mean-recall", 0), ("top1", 0)):
        verdict = decide(Goal.of(goal, names, [1] * 5), candidates, right, labels, 5)
        assert verdict.uncertain == uncertain, goal
        said = "2 classes have fewer than 5 validation images, on which the "
        assert any(sentence.startswith(said) for sentence in verdict.sentences) == bool(uncertain)
        assert ("with 95 % intervals" in verdict.sentences[-1]) != bool(uncertain), "none where they would be wrong"
