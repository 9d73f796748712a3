"""Directions of classes, against the official code of LIFT, and heads that start from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ltr.backbones import ResNet20
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.heads import LWS, Cosine, Linear
from ltr.heads.directions import of_means, of_texts
from ltr.methods import Tuning

FILE = Path(__file__).parent.parent / "references" / "lift_initialisation.json"
CASES = {case["name"]: case for case in json.loads(FILE.read_text())["cases"]}


def test_class_means_are_those_of_lift() -> None:
    case = CASES["class_mean_initialisation"]
    found = of_means(torch.tensor(case["features"]), torch.tensor(case["labels"]), len(case["expected"]["weight"]))
    torch.testing.assert_close(found, torch.tensor(case["expected"]["weight"]))


@pytest.mark.parametrize("name", ["text_initialisation", "text_initialisation_ensemble"])
def test_texts_are_projected_as_in_lift(name: str) -> None:
    case = CASES[name]
    texts = torch.tensor(case["text_features"])
    texts = texts[None] if texts.dim() == 2 else texts
    found = of_texts(texts, torch.tensor(case["image_projection"]))
    torch.testing.assert_close(found, torch.tensor(case["expected"]["weight"]))


def test_a_text_in_the_space_of_the_features_is_its_own_direction() -> None:
    texts = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])
    torch.testing.assert_close(of_texts(texts, None), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))


def test_heads_start_from_directions() -> None:
    rows = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    for head in (Cosine(4, 3, scale=25.0), Linear(4, 3)):
        head.start_from(rows)
    cosine, linear = Cosine(4, 3, scale=25.0), Linear(4, 3)
    cosine.start_from(rows)
    linear.start_from(rows)
    torch.testing.assert_close(linear(features).logits, features @ rows.T)
    torch.testing.assert_close(cosine(features).logits, 25 * torch.nn.functional.normalize(features) @ rows.T)
    with pytest.raises(InputError, match="a LWS head has no weights to start from given directions"):
        LWS(4, 3).start_from(rows)


@pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")
def test_a_tuning_starts_from_class_means(run_file: Path, trainer) -> None:
    from ltr.backbones import Pretrained

    data = Synthetic()
    backbone = Pretrained(str(run_file), ResNet20(width=2))
    frozen = {"initial": "means", "head": Cosine, "optimizer": lambda params: torch.optim.SGD(params, lr=0.0)}
    model = Tuning(backbone, data.counts, **frozen)
    trainer(1).fit(model, datamodule=data)
    model.eval()
    split = data.splits["train"]
    with torch.no_grad():
        features = model.backbone(data.prepare(split.images))
    torch.testing.assert_close(model.head.weight, of_means(features, split.labels, 5), rtol=1e-4, atol=1e-5)
    assert bool(model.old_known), "the old head is kept beside it"
    with pytest.raises(InputError, match="ResNet20 does not read text"):
        trainer(1).fit(Tuning(backbone, data.counts, initial="text"), datamodule=Synthetic())


def test_what_has_no_meaning_is_refused(run_file: Path) -> None:
    from ltr.backbones import Pretrained

    backbone = Pretrained(str(run_file), ResNet20(width=2))
    with pytest.raises(InputError, match="a Cosine head cannot start from 0"):
        Tuning(backbone, [3, 2], head=Cosine, initial="zero")
    with pytest.raises(InputError, match="in place of the name of a class, once"):
        Tuning(backbone, [3, 2], initial="text", templates=["a photo."])
