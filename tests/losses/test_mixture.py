"""The mixture likelihood, against the official code, as a slow loop, and where that code gives NaN."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import Tolerance, cases, counts
from torch import Tensor

from ltr.contracts import Output
from ltr.counts import log_prior
from ltr.losses import BalancedSoftmax
from ltr.methods.distillation import divergence
from ltr.methods.mixture_likelihood import class_scores, negative_log_posterior


@cases("mixture_likelihood", lambda case: "queries" in case)
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    params, expected = case["params"], case["expected"]
    given = {name: torch.tensor(case[name], requires_grad=True) for name in ("queries", "keys", "logits")}
    log_temperature = torch.tensor(params["temperature"]).log().requires_grad_()
    labels, keys = torch.tensor(case["labels"]), torch.tensor(case["key_labels"])
    own = torch.tensor(case["query_images"])[:, None] == torch.tensor(case["key_images"])
    similarities, temperature = given["queries"] @ given["keys"].T, log_temperature.exp()
    known = (keys, labels, log_prior(counts(case)))
    contrast = negative_log_posterior(similarities / temperature.detach(), *known)
    contrast = contrast + negative_log_posterior(similarities.detach() / temperature, *known, left_out=own)
    logits = 30 * given["logits"]
    loss = params["gamma"] * BalancedSoftmax(counts(case))(Output(logits), labels) + params["beta"] * contrast
    if case["teacher_logits"] is not None:
        teacher = 30 * torch.tensor(case["teacher_logits"])
        loss = loss + params["alpha"] * divergence(logits, teacher, temperature=params["distillation_temperature"])
    loss.mean().backward()
    torch.testing.assert_close(loss.mean(), torch.tensor(expected["loss"]), rtol=tolerance.loss, atol=0)
    for name, scores in (("class_scores", None), ("class_scores_without_own", own)):
        found = class_scores(similarities / temperature, keys, len(case["counts"]), left_out=scores)
        torch.testing.assert_close(found, torch.tensor(expected[name]), rtol=1e-5, atol=1e-5)
    gradients = {f"grad_{name}": tensor.grad for name, tensor in given.items()}
    for name, gradient in (gradients | {"grad_log_temperature": log_temperature.grad}).items():
        wanted = torch.tensor(expected[name])
        assert gradient is not None
        torch.testing.assert_close(gradient, wanted, rtol=tolerance.gradient, atol=1e-5 * float(wanted.abs().max()))


def looped(similarities: Tensor, keys: list[int], left_out: Tensor) -> list[list[float]]:
    """Return the score of every sample and class, -inf for a class without keys."""
    scores = []
    for row, out in zip(similarities.tolist(), left_out.tolist(), strict=True):
        kept = [(math.exp(value), key) for value, key, gone in zip(row, keys, out, strict=True) if not gone]
        of_class = [[value for value, key in kept if key == label] for label in range(4)]
        scores.append([math.log(sum(values) / len(values)) if values else -math.inf for values in of_class])
    return scores


def test_the_scores_are_the_mean_kernels_of_each_class() -> None:
    keys = [2, 0, 1, 1, 0, 2, 2]
    similarities, left_out = torch.randn(5, 7, dtype=torch.float64), torch.rand(5, 7) < 0.3
    found = class_scores(similarities, torch.tensor(keys), 4, left_out=left_out)
    assert found.flatten().tolist() == pytest.approx(
        [one for row in looped(similarities, keys, left_out) for one in row]
    )


def test_a_class_far_away_does_not_underflow() -> None:
    similarities = torch.tensor([[300.0, -300.0, -310.0]], requires_grad=True)
    found = class_scores(similarities, torch.tensor([0, 1, 1]), 2)
    assert found.tolist() == [pytest.approx([300, -300 + math.log((1 + math.exp(-10)) / 2)])]
    found[0, 1].backward()
    assert similarities.grad is not None
    torch.testing.assert_close(similarities.grad, torch.tensor([[0, 1.0, 0]]), rtol=0, atol=1e-4)


def test_a_sample_whose_class_has_only_its_own_keys_is_worth_nothing_and_harms_nothing() -> None:
    similarities = torch.randn(2, 3, requires_grad=True)
    left_out = torch.tensor([[False, False, True], [False, False, False]])
    values = negative_log_posterior(
        similarities, torch.tensor([0, 1, 2]), torch.tensor([2, 0]), torch.zeros(3), left_out=left_out
    )
    values.sum().backward()
    assert values[0] == 0
    assert values[1].item() == pytest.approx(-similarities.detach()[1].log_softmax(0)[0].item())
    assert similarities.grad is not None
    assert similarities.grad.isfinite().all()
    assert not similarities.grad[0].any()


def test_a_class_without_keys_is_not_in_the_denominator() -> None:
    similarities = torch.randn(3, 2)
    labels, keys = torch.tensor([0, 1, 0]), torch.tensor([0, 1])
    with_empty = negative_log_posterior(similarities, keys, labels, torch.zeros(3))
    torch.testing.assert_close(with_empty, negative_log_posterior(similarities, keys, labels, torch.zeros(2)))
