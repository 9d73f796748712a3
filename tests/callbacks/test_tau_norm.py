"""Tau-normalised weights, against the official numbers and as a slow loop."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr.backbones import ResNet20
from ltr.callbacks import TauNorm
from ltr.callbacks.classifier import linear_classifier
from ltr.callbacks.tau_norm import tau_normalised
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.heads import LWS, Cosine, Projection
from ltr.methods import Method

CASES = json.loads((Path(__file__).parents[1] / "references" / "tau_normalised_weights.json").read_text())["cases"]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agrees_with_the_official_code(case: dict[str, Any]) -> None:
    found = tau_normalised(torch.tensor(case["weight"]), case["params"]["tau"])
    torch.testing.assert_close(found, torch.tensor(case["expected"]["weight"]), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
def test_the_formula_as_a_loop(tau: float, bias: bool) -> None:
    method = Method(ResNet20(width=2), [9, 5, 1])
    with torch.no_grad():
        method.head.fc.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
    features = torch.randn(6, method.backbone.dim)
    found = TauNorm(tau, bias=bias).adjust(method, Output(torch.zeros(6, 3), features))
    weight, offsets = method.head.fc.weight.tolist(), [0.5, -1.0, 2.0]
    for row, logits in zip(features.tolist(), found.logits.tolist(), strict=True):
        for c in range(3):
            product = sum(a * b for a, b in zip(weight[c], row, strict=True))
            length = math.sqrt(sum(a * a for a in weight[c]))
            assert logits[c] == pytest.approx(product / length**tau + bias * offsets[c], rel=1e-4, abs=1e-5)
    assert found.features is features


def test_a_row_of_zeros_stays_one() -> None:
    weight = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    assert tau_normalised(weight, 1.0).tolist() == [[0.0, 0.0], pytest.approx([0.6, 0.8])]


def test_zero_changes_nothing_in_an_evaluation(trainer) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    plain, same, other = (
        torch.cat([answer.output.logits for answer in trainer(callbacks=callbacks).predict(method, datamodule=data)])
        for callbacks in ([], [TauNorm(0.0)], [TauNorm(1.0)])
    )
    torch.testing.assert_close(same, plain)
    assert not torch.allclose(other, plain)
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())
    assert TauNorm(0.5).settings == {"tau": 0.5, "bias": True}


def test_a_linear_classifier_beside_a_projection_is_one() -> None:
    method = Method(ResNet20(width=2), [9, 5, 1], head=Projection)
    features = torch.randn(6, method.backbone.dim)
    weight = tau_normalised(method.head.state_dict()["fc.weight"], 1.0)
    found = TauNorm(1.0, bias=False).adjust(method, method.head(features)).logits
    torch.testing.assert_close(found, features @ weight.T)
    cosine = Method(ResNet20(width=2), [9, 5, 1], head=partial(Projection, classifier=Cosine))
    with pytest.raises(InputError, match="this one is Cosine"):
        linear_classifier(cosine)


@pytest.mark.parametrize("head", [Cosine, LWS])
def test_other_heads_are_refused(trainer, head) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=rf"and this one is {head.__name__}\. Leave out `TauNorm`"):
        trainer(callbacks=[TauNorm()]).test(Method(ResNet20(width=2), data.counts, head=head), datamodule=data)
