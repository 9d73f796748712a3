"""The nearest class mean, against scikit-learn and as a slow loop."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from ltr.backbones import ResNet20
from ltr.callbacks import NCM
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.schedules import Cosine

WAYS = ["plain", "normalised", "centred"]


def placed(features: Tensor, way: str, train: Tensor) -> list[list[float]]:
    """Return features where they are compared, one number at a time."""
    rows: list[list[float]] = features.tolist()
    if way == "centred":
        centre = [sum(column) / len(train) for column in zip(*train.tolist(), strict=True)]
        rows = [[a - b for a, b in zip(row, centre, strict=True)] for row in rows]
    if way != "plain":
        rows = [[a / math.sqrt(sum(b * b for b in row)) for a in row] for row in rows]
    return rows


@pytest.mark.parametrize("way", WAYS)
def test_the_formula_as_a_loop(way: str) -> None:
    train, labels = 1 + torch.randn(30, 4), torch.arange(30) % 3
    features = 1 + torch.randn(8, 4)
    ncm = NCM(way)
    ncm.learn(train, labels, 3)
    found = ncm.adjust(Method(ResNet20(width=2), [10] * 3), Output(torch.zeros(8, 3), features)).logits
    trained = placed(train, way, train)
    for row, logits in zip(placed(features, way, train), found.tolist(), strict=True):
        for c in range(3):
            members = [vector for vector, label in zip(trained, labels.tolist(), strict=True) if label == c]
            mean = [sum(column) / len(members) for column in zip(*members, strict=True)]
            distance = sum((a - b) ** 2 for a, b in zip(row, mean, strict=True))
            assert logits[c] == pytest.approx(-distance, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_an_evaluation_compares_with_the_training_features(trainer, way: str) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, schedule=Cosine())
    trainer(2).fit(method, datamodule=data)
    answers = trainer(callbacks=[NCM(way)]).predict(method, datamodule=data)
    found = torch.cat([answer.output.logits for answer in answers]).argmax(1)
    method.eval()
    with torch.no_grad():
        train, test = (method.backbone(data.prepare(data.splits[name].images)) for name in ("train", "test"))
    reference = NearestCentroid().fit(placed(train, way, train), data.splits["train"].labels.numpy())
    assert found.tolist() == reference.predict(placed(test, way, train)).tolist()
    assert NCM(way).settings == {"features": way}


def test_half_precision_does_not_round_distances() -> None:
    train, labels = 10 + torch.randn(30, 4), torch.arange(30) % 3
    features, ncm, method = 10 + torch.randn(8, 4), NCM("plain"), Method(ResNet20(width=2), [10] * 3)
    ncm.learn(train, labels, 3)
    expected = ncm.adjust(method, Output(torch.zeros(8, 3), features)).logits
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ncm.adjust(method, Output(torch.zeros(8, 3), features)).logits, expected)


def test_a_class_without_images_has_no_mean() -> None:
    with pytest.raises(InputError, match="class 1 has no training image: drop it or give it some"):
        NCM().learn(torch.randn(4, 3), torch.tensor([0, 0, 2, 2]), 3)
