"""The classifiers."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from ltr.contracts import Head
from ltr.errors import InputError
from ltr.heads import LWS, Cosine, ExpertHeads, Linear, Projection

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


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_projection_fills_embeddings_beside_a_linear_classifier(layers: int) -> None:
    head = Projection(8, 5, size=3, hidden=layers)
    output = head(FEATURES)
    state = head.state_dict()
    torch.testing.assert_close(output.logits, FEATURES @ state["fc.weight"].T + state["fc.bias"])
    assert output.features is FEATURES
    assert output.embeddings is not None
    assert output.embeddings.shape == (6, 1, 3)
    weights = [value for name, value in head.state_dict().items() if name.startswith("projection.")]
    assert len(weights) == 2 * layers + 2
    hidden = FEATURES
    for layer in range(layers):
        hidden = (hidden @ weights[2 * layer].T + weights[2 * layer + 1]).clamp(min=0)
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
    with pytest.raises(InputError, match="a Projection wraps a classifier, not another Projection"):
        Projection(8, 5, classifier=Projection)


def test_a_projection_with_a_hidden_layer_of_its_own() -> None:
    head = Projection(8, 5, size=3, units=20, norm=True)
    first, norm, _, last = head.projection
    hidden = FEATURES @ first.weight.T + first.bias
    assert hidden.shape[1] == 20
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
    projected = hidden.clamp(min=0) @ last.weight.T + last.bias
    expected = projected / projected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(FEATURES).embeddings[:, 0], expected)


def test_lengths_are_those_of_what_a_feature_is_multiplied_with() -> None:
    """The gradient of a logit with respect to the feature is the row of its class."""

    def slow(head: Head) -> list[list[float]]:
        size = head.dim // head.experts
        rows = []
        for label in range(head.classes):
            feature = torch.randn(1, head.dim, requires_grad=True)
            head(feature).logits[0, label].backward()
            rows.append([float(part.norm()) * head.experts for part in feature.grad[0].split(size)])
        return [list(row) for row in zip(*rows, strict=True)]

    scaled = LWS(8, 5)
    scaled.scale.data.uniform_(-2, 2)
    for head in (Linear(8, 5), scaled, Projection(8, 5), ExpertHeads(12, 5, experts=3, head=Linear)):
        assert head.lengths().tolist() == [pytest.approx(row) for row in slow(head)]


def test_cosines_have_no_lengths() -> None:
    assert Cosine(8, 5).lengths() is None
    assert Projection(8, 5, classifier=Cosine).lengths() is None
    assert ExpertHeads(12, 5, experts=3).lengths() is None
