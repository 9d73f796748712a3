"""The classifiers."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from ltr.contracts import Head
from ltr.errors import InputError
from ltr.heads import LWS, Cosine, Linear, Projection

FEATURES = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [Linear, Cosine, LWS])
def test_output(kind: type[Head]) -> None:
    output = kind(8, 5)(FEATURES)
    assert output.logits.shape == (6, 5)
    assert output.features is FEATURES
    assert output.embeddings is None
    assert output.experts is None


def test_linear_is_linear() -> None:
    head = Linear(8, 5)
    expected = FEATURES @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(FEATURES).logits, expected)
    assert set(head.state_dict()) == {"fc.weight", "fc.bias"}
    assert set(Linear(8, 5, bias=False).state_dict()) == {"fc.weight"}


def test_linear_starts_kaiming_normal() -> None:
    torch.manual_seed(0)
    weight = Linear(64, 2000).fc.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.02)


def test_cosine_is_the_scaled_angle() -> None:
    head = Cosine(8, 5, scale=7)
    expected = [[7 * torch.cosine_similarity(h, w, 0).item() for w in head.weight] for h in FEATURES]
    torch.testing.assert_close(head(FEATURES).logits, torch.tensor(expected))


def test_cosine_does_not_hear_lengths() -> None:
    head = Cosine(8, 5)
    before = head(FEATURES).logits
    with torch.no_grad():
        head.weight.mul_(3)
    torch.testing.assert_close(head(10 * FEATURES).logits, before)
    assert before.abs().max() <= 30
    assert head(torch.zeros(1, 8)).logits.isfinite().all()


def test_cosine_may_keep_the_length_of_the_feature() -> None:
    head = Cosine(8, 5, scale=None)
    expected = [[(h @ w / w.norm()).item() for w in head.weight] for h in FEATURES]
    torch.testing.assert_close(head(FEATURES).logits, torch.tensor(expected))


def test_lws_scales_the_whole_logit() -> None:
    head = LWS(8, 5)
    torch.testing.assert_close(head(FEATURES).logits, head.fc(FEATURES))
    with torch.no_grad():
        head.scale.copy_(torch.tensor([0.5, 1, 2, 3, -1]))
    weight, bias, scale = head.fc.weight.tolist(), head.fc.bias.tolist(), head.scale.tolist()
    for feature, logits in zip(FEATURES.tolist(), head(FEATURES).logits.tolist(), strict=True):
        for label in range(5):
            product = sum(a * b for a, b in zip(weight[label], feature, strict=True))
            assert logits[label] == pytest.approx(scale[label] * (product + bias[label]), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("freeze", "learned"), [(True, {"scale"}), (False, {"scale", "fc.weight", "fc.bias"})])
def test_lws_learns_its_scales(freeze: bool, learned: set[str]) -> None:
    head = LWS(8, 5, freeze=freeze)
    assert {name for name, parameter in head.named_parameters() if parameter.requires_grad} == learned


@pytest.mark.parametrize("mlp", [True, False])
def test_projection_fills_embeddings_beside_a_linear_classifier(mlp: bool) -> None:
    head = Projection(8, 5, size=3, mlp=mlp)
    output = head(FEATURES)
    state = head.state_dict()
    torch.testing.assert_close(output.logits, FEATURES @ state["fc.weight"].T + state["fc.bias"])
    assert output.features is FEATURES
    assert output.embeddings is not None
    assert output.embeddings.shape == (6, 1, 3)
    weights = [value for name, value in head.state_dict().items() if name.startswith("projection.")]
    assert len(weights) == (4 if mlp else 2)
    hidden = FEATURES
    if mlp:
        hidden = (hidden @ weights[0].T + weights[1]).clamp(min=0)
    projected = hidden @ weights[-2].T + weights[-1]
    expected = projected / projected.square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(output.embeddings[:, 0], expected)


@pytest.mark.parametrize("classifier", [Linear, Cosine, LWS])
def test_a_projection_adds_nothing_but_embeddings(classifier: type[Head]) -> None:
    head, alone = Projection(8, 5, classifier=classifier), classifier(8, 5)
    assert isinstance(head.classifier, classifier)
    assert head.added == alone.added
    alone.load_state_dict({key: value for key, value in head.state_dict().items() if "projection" not in key})
    expected, found = alone(FEATURES), head(FEATURES)
    assert torch.equal(found.logits, expected.logits)
    assert found.scale == expected.scale


@pytest.mark.parametrize("classifier", [Linear, Cosine])
def test_a_file_does_not_tell_that_a_classifier_is_wrapped(classifier: type[Head]) -> None:
    """Deep copies, as an average of the weights is, and modules around the head included."""
    network = nn.ModuleDict({"head": Projection(8, 5, classifier=classifier)})
    state = deepcopy(network).state_dict()
    names = {f"head.{key}" for key in classifier(8, 5).state_dict()}
    assert {key for key in state if "projection" not in key} == names
    other = nn.ModuleDict({"head": Projection(8, 5, classifier=classifier)})
    other.load_state_dict(state)
    assert torch.equal(other["head"](FEATURES).logits, network["head"](FEATURES).logits)
    assert torch.equal(other["head"](FEATURES).embeddings, network["head"](FEATURES).embeddings)


def test_projections_do_not_nest() -> None:
    with pytest.raises(InputError, match="a Projection goes around a classifier, not around another Projection"):
        Projection(8, 5, classifier=Projection)
