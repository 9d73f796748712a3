"""The PaCo loss, against the official implementation, as a slow loop and at its limits."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from official import read
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.errors import InputError
from ltr.losses import BalancedSoftmax, PaCo
from ltr.losses.paco import Memory

CASES = read("paco")
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def measured(case: dict[str, Any]) -> tuple[float, Tensor, Tensor]:
    """Return the loss of a case and its gradients by features and logits; rows are queries, keys if any, then queue."""
    params, features = case["params"], torch.tensor(case["features"], requires_grad=True)
    logits, labels = torch.tensor(case["logits"], requires_grad=True), torch.tensor(case["labels"])
    size = params["batch_size"]
    batch = len(features) - params["queue_size"]
    views = features[:batch].unflatten(0, (-1, size)).transpose(0, 1)  # GPaCo has no keys but more queries
    weights = {key: params[key] for key in ("alpha", "beta", "gamma", "temperature")}
    loss = PaCo(torch.tensor(case["counts"]), **weights, smoothing=params.get("smooth", 0))
    memory = Memory(features[batch:], labels[batch:])
    value = loss(Output(logits, logits, views), labels[:size], memory).mean()
    return value.item(), *torch.autograd.grad(value, (features, logits))


def test_there_are_cases() -> None:
    assert len(CASES) == 5


@pytest.mark.usefixtures("double")
@every_case
def test_agrees_with_the_official_code_in_float64(case: dict[str, Any]) -> None:
    # The official code adds 1e-12 and 1e-9 within logarithms; `check` says what that does. Gradients have nine digits.
    value, features, logits = measured(case)
    expected = case["expected"] | case.get("clean_formula", {})
    assert value == pytest.approx(case["check"]["formula_loss"], rel=1e-9)
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-8)
    guard = 1e-9 if "clean_formula" in case else case["check"]["max_abs_diff_grad"] + 1e-9
    torch.testing.assert_close(features, torch.tensor(expected["grad_features"]), rtol=1e-8, atol=guard)
    torch.testing.assert_close(logits, torch.tensor(expected["grad_logits"]), rtol=1e-8, atol=guard)


@every_case
def test_agrees_with_the_official_code_in_float32(case: dict[str, Any]) -> None:
    value, features, logits = measured(case)
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-5)
    torch.testing.assert_close(features, torch.tensor(case["expected"]["grad_features"]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, torch.tensor(case["expected"]["grad_logits"]), rtol=1e-5, atol=1e-5)


def batch(views: int = 2, size: int = 7, places: int = 6) -> tuple[Output, Tensor, Memory]:
    """Draw an output of four classes with some views, its labels and a memory of which two places are empty."""
    generator = torch.Generator().manual_seed(3)
    embeddings = F.normalize(torch.randn(size, views, 5, generator=generator), dim=2)
    logits = 2 * torch.randn(size, 4, generator=generator)
    kept = F.normalize(torch.randn(places, 5, generator=generator), dim=1)
    labels = torch.tensor([0, 1, 0, 2, 0, 3, 1])[:size]
    return Output(logits, logits, embeddings), labels, Memory(kept, torch.tensor([0, 2, -1, 1, -1, 0])[:places])


COUNTS = torch.tensor([100, 30, 10, 1])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("views", "smoothing", "gamma"), [(2, 0.0, 1.0), (1, 0.1, 1.0), (3, 0.3, 0.5), (2, 0.0, 0.0)])
def test_the_formula_as_a_loop(views: int, smoothing: float, gamma: float) -> None:
    output, labels, memory = batch(views)
    loss = PaCo(COUNTS, alpha=0.3, beta=2, gamma=gamma, temperature=0.2, smoothing=smoothing)
    rows, classes = output.embeddings.tolist(), labels.tolist()
    for i, found in enumerate(loss(output, labels, memory).tolist()):
        centres = [
            z + math.log(count / 141) for z, count in zip(output.logits[i].tolist(), [100, 30, 10, 1], strict=True)
        ]
        contrasts = [
            (vector, classes[j])
            for j, vectors in enumerate(rows)
            for v, vector in enumerate(vectors)
            if (j, v) != (i, 0)
        ]
        contrasts += [
            pair for pair in zip(memory.embeddings.tolist(), memory.labels.tolist(), strict=True) if pair[1] >= 0
        ]
        similar = [
            (sum(a * b for a, b in zip(rows[i][0], vector, strict=True)) / 0.2, its) for vector, its in contrasts
        ]
        log_d = math.log(sum(map(math.exp, centres)) + gamma * sum(math.exp(s) for s, _ in similar))
        near = [s for s, its in similar if its == classes[i]]
        shares = [1 - smoothing if c == classes[i] else smoothing / 3 for c in range(4)]
        total = 2 * sum(share * (log_d - u) for share, u in zip(shares, centres, strict=True))
        total += 0.3 * sum(log_d - s for s in near)
        assert found == pytest.approx(total / (2 + 0.3 * len(near)), rel=1e-12)


def test_without_samples_it_is_balanced_softmax() -> None:
    output, labels, memory = batch()
    found = PaCo(COUNTS, alpha=0, gamma=0)(output, labels, memory)
    torch.testing.assert_close(found, BalancedSoftmax(COUNTS)(output, labels))


def test_empty_places_are_as_none() -> None:
    output, labels, memory = batch()
    filled = memory.labels >= 0
    loss = PaCo(COUNTS, alpha=0.3)
    smaller = Memory(memory.embeddings[filled], memory.labels[filled])
    torch.testing.assert_close(loss(output, labels, memory), loss(output, labels, smaller))
    nothing = Memory(memory.embeddings, torch.full_like(memory.labels, -1))
    torch.testing.assert_close(loss(output, labels, nothing), loss(output, labels))


def test_what_lies_in_an_empty_place_is_never_seen() -> None:
    output, labels, memory = batch()
    rubbish = torch.where((memory.labels < 0)[:, None], 1e4, memory.embeddings)
    loss = PaCo(COUNTS, alpha=0.3)
    assert torch.equal(loss(output, labels, Memory(rubbish, memory.labels)), loss(output, labels, memory))


def test_a_head_without_embeddings_is_named() -> None:
    with pytest.raises(InputError, match=r"PaCo needs embeddings.*--model\.head Projection"):
        PaCo(COUNTS)(Output(torch.zeros(2, 4), torch.zeros(2, 4)), torch.tensor([0, 1]))
