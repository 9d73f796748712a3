"""How a loss is held against the official code, and the inputs that the tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from ltr.contracts import Loss, Output

TOY = torch.tensor([100, 10, 1])
LOGITS = torch.tensor([[2.0, 0, -1], [0.5, 0.5, 0], [1, 0, 0.5], [0, 1, -1]])
LABELS = torch.tensor([0, 0, 1, 2])
LONG_TAIL = [int(500 * 0.01 ** (label / 99)) for label in range(100)]


class Tolerance(NamedTuple):
    """How far from the official numbers: relative for the loss, relative or absolute for a gradient."""

    loss: float
    gradient: float


def read(name: str) -> list[dict[str, Any]]:
    """Return the cases of a reference file."""
    text = (Path(__file__).parents[1] / "references" / f"{name}.json").read_text()
    cases: list[dict[str, Any]] = json.loads(text)["cases"]
    return cases


def cases(name: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Return the parametrization of a test over the cases of a reference file."""
    found = [case for case in read(name) if where(case)]
    return pytest.mark.parametrize("case", found, ids=[case["name"] for case in found])


def agree(
    loss: Loss,
    case: dict[str, Any],
    tolerance: Tolerance,
    *,
    expected: dict[str, Any] | None = None,
    scale: float = 1.0,
) -> None:
    """Compare the mean of a loss, and every gradient that is listed, with what is expected of a case.

    Args:
        loss: the loss, built from the counts of the case.
        case: a case of a reference file.
        tolerance: how close they must be.
        expected: other numbers than those of the official code.
        scale: what the logits of the case are multiplied by, as a cosine head does.
    """
    expected = expected or case["expected"]
    given = {name: torch.tensor(case[name], requires_grad=True) for name in ("logits", "features") if name in case}
    output = Output(scale * given["logits"], given.get("features", given["logits"]), scale=scale)
    value = loss(output, torch.tensor(case["labels"])).mean()
    value.backward()
    if "loss" in expected:
        torch.testing.assert_close(value, torch.tensor(expected["loss"]), rtol=tolerance.loss, atol=0)
    for name, leaf in given.items():
        if f"grad_{name}" in expected:
            wanted = torch.tensor(expected[f"grad_{name}"], dtype=leaf.dtype)
            torch.testing.assert_close(leaf.grad, wanted, rtol=tolerance.gradient, atol=tolerance.gradient)


def counts(case: dict[str, Any]) -> Tensor:
    """Return the training images per class of a case."""
    return torch.tensor(case["counts"])


def toy(loss: Loss) -> Tensor:
    """Return the values of four samples of three classes with 100, 10 and 1 images."""
    values: Tensor = loss(Output(LOGITS, LOGITS), LABELS)
    return values


def batch(classes: int = 100, size: int = 20) -> tuple[Output, Tensor]:
    """Draw an output, for `LONG_TAIL` counts, and labels from all over them."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(size, classes, generator=generator)
    return Output(logits, torch.randn(size, 6, generator=generator)), torch.arange(size) * 5 % classes
