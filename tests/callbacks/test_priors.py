"""Other priors: Bayes' rule as a loop; estimates against closed forms, other solvers and a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm
from torch import Tensor

from ltr.callbacks.priors import assumed_prior, bbse, confusion_matrix, em, normalised, retarget
from ltr.errors import InputError

SOURCE = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
TARGET = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)
MEANS = [-1.0, 0.5, 2.0]


def gaussians(prior: Tensor, images: int, seed: int = 0, source: Tensor = SOURCE) -> tuple[Tensor, Tensor]:
    """Return posteriors (N, C) under a source of points whose classes have a prior, and their classes (N,)."""
    generator = np.random.RandomState(seed)
    labels = generator.choice(len(MEANS), size=images, p=prior.numpy())
    points = generator.normal(np.take(MEANS, labels))
    joint = source.numpy() * norm.pdf(points[:, None], np.asarray(MEANS))
    return torch.from_numpy(joint / joint.sum(1, keepdims=True)), torch.from_numpy(labels)


def on_simplex(objective, classes: int) -> NDArray[np.float64]:
    """Return where a convex function is lowest on the simplex, as scipy finds it."""
    found = minimize(
        objective,
        np.full(classes, 1 / classes),
        bounds=[(0, 1)] * classes,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return found.x


def test_retargeting_is_bayes_rule() -> None:
    logits = torch.randn(6, 3, dtype=torch.float64)
    found = retarget(logits, SOURCE, TARGET).exp()
    for row, result in zip(logits.tolist(), found.tolist(), strict=True):
        joint = [math.exp(z) * float(t) / float(s) for z, s, t in zip(row, SOURCE, TARGET, strict=True)]
        assert result == pytest.approx([value / sum(joint) for value in joint])


def test_retargeted_posteriors_are_those_of_the_other_problem() -> None:
    posteriors, _ = gaussians(SOURCE, 50)
    expected, _ = gaussians(SOURCE, 50, source=TARGET)
    torch.testing.assert_close(retarget(posteriors.log(), SOURCE, TARGET).exp(), expected)


def test_a_class_that_cannot_occur_is_never_predicted() -> None:
    found = retarget(torch.tensor([[9.0, 1.0, 0.0]]), SOURCE, torch.tensor([0, 0.5, 0.5], dtype=torch.float64))
    assert found.dtype == torch.float32
    assert found[0, 0] == -math.inf
    assert float(found.exp().sum()) == pytest.approx(1)


def test_em_as_a_loop() -> None:
    posteriors = gaussians(TARGET, 50)[0].numpy()
    prior = SOURCE.numpy()
    for _ in range(600):
        total = np.zeros(3)
        for row in posteriors:
            joint = row * prior / SOURCE.numpy()
            total += joint / joint.sum()
        prior = total / 50
    assert em(torch.from_numpy(posteriors), SOURCE).tolist() == pytest.approx(prior.tolist(), abs=2e-3)


def test_em_is_as_likely_as_what_another_solver_finds() -> None:
    posteriors, _ = gaussians(TARGET, 500)
    likelihoods = (posteriors / SOURCE).numpy()

    def worse(prior: NDArray[np.float64]) -> float:
        return -float(np.log(likelihoods @ prior).mean())

    found = em(posteriors, SOURCE)
    assert worse(found.numpy()) <= worse(on_simplex(worse, 3)) + 1e-7
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)


def test_em_of_sure_predictions_counts_them() -> None:
    assert em(torch.eye(3)[[0, 1, 1, 2]], SOURCE).tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_em_of_predictions_that_say_nothing_is_the_source() -> None:
    assert em(SOURCE.expand(5, 3), SOURCE).tolist() == SOURCE.tolist()


def test_estimates_find_the_truth() -> None:
    labelled, labels = gaussians(SOURCE, 20_000, seed=1)
    confusion = confusion_matrix(labelled.argmax(1), labels, list("abc"))
    for truth in (TARGET, SOURCE, torch.tensor([0.0, 1, 0], dtype=torch.float64)):
        posteriors, _ = gaussians(truth, 20_000, seed=2)
        assert (em(posteriors, SOURCE) - truth).abs().sum() < 0.03
        assert (bbse(confusion, posteriors.argmax(1), SOURCE) - truth).abs().sum() < 0.06


def test_a_confusion_matrix_as_a_loop() -> None:
    labels, predictions = torch.tensor([0, 0, 1, 2, 2, 2, 2]), torch.tensor([0, 1, 1, 2, 2, 0, 2])
    expected = [[0.5, 0.5, 0], [0, 1, 0], [0.25, 0, 0.75]]
    assert confusion_matrix(predictions, labels, list("abc")).tolist() == expected
    with pytest.raises(InputError, match=r"no labelled image of class 3 \(d\): .*--data\.val_per_class"):
        confusion_matrix(predictions, labels, list("abcd"))


def predicted(shares: list[int]) -> Tensor:
    """Return predictions with given counts."""
    return torch.arange(len(shares)).repeat_interleave(torch.tensor(shares))


def test_bbse_inverts_the_confusion_where_that_is_a_prior() -> None:
    confusion = torch.tensor([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.2, 0.6]], dtype=torch.float64)
    shares = 1000 * (TARGET @ confusion)  # of the target, all of them whole
    found = bbse(confusion, predicted(shares.round().long().tolist()), SOURCE)
    assert found.tolist() == pytest.approx(TARGET.tolist(), abs=1e-6)


@pytest.mark.parametrize("classes", [3, 7])
def test_bbse_is_the_best_prior_where_the_inverse_is_none(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    confusion = torch.rand(classes, classes, generator=generator, dtype=torch.float64) + torch.eye(classes)
    confusion /= confusion.sum(1, keepdim=True)
    counts = [900, *[1] * (classes - 2), 100]
    shares = np.asarray(counts) / sum(counts)
    assert np.linalg.solve(confusion.T.numpy(), shares).min() < -0.01
    found = bbse(confusion, predicted(counts), torch.full((classes,), 1 / classes, dtype=torch.float64))
    expected = on_simplex(lambda q: float(((confusion.T.numpy() @ q - shares) ** 2).sum()), classes)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    assert float(found.min()) >= 0
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)


def test_classes_that_predictions_do_not_tell_apart_stay_as_near_to_the_source_as_they_can() -> None:
    confusion = torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]], dtype=torch.float64)
    found = bbse(confusion, predicted([40, 30, 30]), SOURCE)
    assert found.tolist() == pytest.approx([0.4, 0.35, 0.25], abs=1e-6)  # 0.6 in all, with the difference of the source
    same = torch.full((3, 3), 1 / 3, dtype=torch.float64)
    assert bbse(same, predicted([9, 1, 0]), SOURCE).tolist() == pytest.approx(SOURCE.tolist(), abs=1e-6)


def test_what_is_assumed() -> None:
    assert assumed_prior("train", torch.tensor([6, 2])).tolist() == [0.75, 0.25]
    assert assumed_prior("uniform", torch.tensor([6, 2])).tolist() == [0.5, 0.5]
    with pytest.raises(InputError, match="class 1 has no training image: drop it or give it some"):
        assumed_prior("train", torch.tensor([6, 0]))


@pytest.mark.parametrize("numbers", [[1.0, -0.1], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_numbers_that_are_no_prior(numbers: list[float]) -> None:
    with pytest.raises(InputError, match="finite shares or counts of at least 0"):
        normalised(numbers, 2)


def test_a_prior_of_other_classes() -> None:
    assert normalised([3, 1], 2).tolist() == [0.75, 0.25]
    with pytest.raises(InputError, match="needs 3 numbers, one for each class; this one has 2"):
        normalised([3, 1], 3)
