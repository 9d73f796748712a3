"""Supervised contrastive learning, against the official implementation and as a slow loop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.errors import InputError
from ltr.losses import SupCon

COUNTS = torch.tensor([100, 10, 1])
FILE = Path(__file__).parents[1] / "references" / "supcon.json"
# Of the contrast modes of the official code the default one is here: every view is an anchor.
CASES = [case for case in json.loads(FILE.read_text())["cases"] if case["params"]["contrast_mode"] == "all"]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def of(embeddings: Tensor) -> Output:
    """Return an output with these embeddings."""
    nothing = torch.zeros(len(embeddings), 3)
    return Output(nothing, nothing, embeddings)


def measured(case: dict[str, Any]) -> tuple[float, Tensor]:
    """Return the loss of a case and its gradient; without labels every sample is a class of its own."""
    embeddings = torch.tensor(case["features"], requires_grad=True)
    labels = torch.tensor(case.get("labels", range(len(embeddings))))
    temperatures = {key: case["params"][key] for key in ("temperature", "base_temperature")}
    value = SupCon(COUNTS, **temperatures)(of(embeddings), labels).mean()
    (gradient,) = torch.autograd.grad(value, embeddings)
    return value.item(), gradient


def test_there_are_cases() -> None:
    assert len(CASES) == 5


@pytest.mark.usefixtures("double")
@every_case
def test_agrees_with_the_official_code_in_float64(case: dict[str, Any]) -> None:
    value, gradient = measured(case)
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-9)
    torch.testing.assert_close(gradient, torch.tensor(case["expected"]["grad_features"]), rtol=0, atol=1e-8)


@every_case
def test_agrees_with_the_official_code_in_float32(case: dict[str, Any]) -> None:
    value, gradient = measured(case)
    assert value == pytest.approx(case["expected"]["loss"], rel=1e-5)
    torch.testing.assert_close(gradient, torch.tensor(case["expected"]["grad_features"]), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("views", [1, 3])
def test_the_formula_as_a_loop(views: int) -> None:
    embeddings = F.normalize(torch.randn(9, views, 5, generator=torch.Generator().manual_seed(0)), dim=2)
    labels = [0, 0, 1, 2, 2, 2, 3, 1, 0]
    flat = [(vector, label) for rows, label in zip(embeddings.tolist(), labels, strict=True) for vector in rows]
    sum_over_anchors = 0.0
    for i, (anchor, label) in enumerate(flat):
        others = [
            (math.exp(sum(a * b for a, b in zip(anchor, other, strict=True)) / 0.1), its)
            for j, (other, its) in enumerate(flat)
            if j != i
        ]
        shares = [math.log(weight / sum(weight for weight, _ in others)) for weight, its in others if its == label]
        sum_over_anchors -= sum(shares) / len(shares) if shares else 0
    value = SupCon(COUNTS, base_temperature=0.05)(of(embeddings), torch.tensor(labels))
    assert value.tolist() == pytest.approx([0.1 / 0.05 * sum_over_anchors / len(flat)] * 9, rel=1e-12)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]])
def test_where_nothing_has_a_positive_there_is_nothing_to_learn(labels: list[int]) -> None:
    embeddings = F.normalize(torch.randn(len(labels), 1, 4), dim=2).requires_grad_()
    value = SupCon(COUNTS)(of(embeddings), torch.tensor(labels))
    value.mean().backward()
    assert value.tolist() == [0.0] * len(labels)
    assert embeddings.grad is not None
    assert not embeddings.grad.any()


def test_a_head_without_embeddings_is_named() -> None:
    with pytest.raises(InputError, match=r"SupCon needs embeddings.*--model\.head Projection"):
        SupCon(COUNTS)(Output(torch.zeros(2, 3), torch.zeros(2, 3)), torch.tensor([0, 1]))
