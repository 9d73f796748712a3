"""The old and the new head together, against the public implementation, and the choice of their temperatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from quiet import quiet_trainer
from torch import Tensor
from torch.nn import functional as F

from ltr.backbones import ResNet20
from ltr.callbacks import TemperatureEnsemble
from ltr.contracts import Backbone, Output
from ltr.counts import per_class
from ltr.data import LongTailed, Synthetic
from ltr.errors import InputError
from ltr.methods import Method, Tuning
from ltr.schedules import Cosine

CASES = json.loads((Path(__file__).parents[1] / "references" / "temperature_ensemble.json").read_text())["cases"]

pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")

Make = Callable[..., Trainer]


class Frozen(Backbone):
    """The pixels themselves."""

    freeze = "features"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def tuned(data: LongTailed, scale: float = 4.0) -> Tuning:
    """Return a tuned method whose old head is the more confident one, and which has seen the training split."""
    method = Tuning(Frozen(3 * 64), data.counts, schedule=Cosine(), reset=True)
    quiet_trainer(max_epochs=1, limit_val_batches=0).fit(method, datamodule=data)
    generator = torch.Generator().manual_seed(0)
    features = data.prepare(data.splits["train"].images).flatten(1)
    means = torch.stack([features[data.splits["train"].labels == label].mean(0) for label in range(len(data.counts))])
    with torch.no_grad():
        for head, size in ((method.head, 1.0), (method.old_head, scale)):
            noise = 0.02 * torch.randn(means.shape, generator=generator)
            head.fc.weight.copy_(size * 0.02 * (means + 10 * noise))
            head.fc.bias.zero_()
    method.old_known.fill_(True)
    return method.eval()


def logits_of(method: Tuning, data: LongTailed, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of the new and of the old head on a split, and its labels."""
    with torch.no_grad():
        features = data.prepare(data.splits[name].images).flatten(1)
        return method.head(features).logits, method.old_head(features).logits, data.splits[name].labels


def class_mean(values: Tensor, labels: Tensor) -> float:
    """Return the mean over the classes that occur, one at a time."""
    return float(torch.stack([values[labels == label].mean() for label in labels.unique()]).mean())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_agrees_with_the_public_code(case: dict[str, Any]) -> None:
    new, old = torch.tensor(case["logits"]), torch.tensor(case["logits_old"])
    classes = new.shape[1]
    method = Tuning(Frozen(classes), [5] * classes)
    with torch.no_grad():
        method.old_head.fc.weight.copy_(torch.eye(classes))
        method.old_head.fc.bias.zero_()
        ensemble = TemperatureEnsemble(case["params"]["temperature_new"], case["params"]["temperature_old"])
        found = ensemble.adjust(method, Output(new, old))
    expected = torch.tensor(case["expected"]["probabilities"])
    torch.testing.assert_close(found.logits.exp(), expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.logits.softmax(1), expected, rtol=1e-5, atol=1e-7)
    labels = torch.tensor(case["labels"])
    hits = per_class(labels[found.logits.argmax(1) == labels], len(case["expected"]["correct_per_class"]))
    assert hits.tolist() == case["expected"]["correct_per_class"]
    assert found.features is old


def test_acts_in_evaluations_and_leaves_with_its_trainer(trainer: Make) -> None:
    data = Synthetic()
    method = tuned(data)
    plain = torch.cat([answer.output.logits for answer in trainer().predict(method, datamodule=data)])
    answers = trainer(callbacks=[TemperatureEnsemble(2.0, 5.0)]).predict(method, datamodule=data)
    new, old, _ = logits_of(method, data, "test")
    torch.testing.assert_close(plain, new)
    expected = ((new / 2).softmax(1) + (old / 5).softmax(1)) / 2
    torch.testing.assert_close(torch.cat([answer.output.logits for answer in answers]).softmax(1), expected)
    assert not method.adjustments


def test_matched_heads_are_equally_confident(trainer: Make) -> None:
    data = Synthetic()
    method, ensemble = tuned(data), TemperatureEnsemble(1.3, temperatures="matched")
    trainer(callbacks=[ensemble]).test(method, datamodule=data, verbose=False)
    new, old, labels = logits_of(method, data, "train")
    wanted = class_mean((new / 1.3).softmax(1).amax(1), labels)
    assert class_mean((old / ensemble.t_old).softmax(1).amax(1), labels) == pytest.approx(wanted, abs=1e-5)
    assert abs(class_mean(old.softmax(1).amax(1), labels) - wanted) > 0.05, "they were not equally confident before"
    assert ensemble.t_new == 1.3
    assert ensemble.t_old > 1
    assert ensemble.settings == {"t_new": 1.3, "t_old": ensemble.t_old, "temperatures": "matched"}


def test_matching_twice_is_matching_once(trainer: Make) -> None:
    data = Synthetic()
    method, ensemble = tuned(data), TemperatureEnsemble(temperatures="matched")
    run = trainer(callbacks=[ensemble])
    run.test(method, datamodule=data, verbose=False)
    first = ensemble.t_old
    run.predict(method, datamodule=data)
    assert ensemble.t_old == first


def test_fitted_temperatures_are_the_best_on_images_that_nobody_saw(trainer: Make) -> None:
    data = Synthetic(largest=60, val_per_class=4)
    method, ensemble = tuned(data), TemperatureEnsemble(temperatures="fitted")
    trainer(callbacks=[ensemble]).test(method, datamodule=data, verbose=False)
    new, old, labels = logits_of(method, data, "val")

    def objective(t_new: float, t_old: float) -> float:
        probabilities = ((new / t_new).softmax(1) + (old / t_old).softmax(1)) / 2
        return class_mean(F.nll_loss(probabilities.log(), labels, reduction="none"), labels)

    best = objective(ensemble.t_new, ensemble.t_old)
    assert best < objective(1, 1) - 1e-3
    factors = [2 ** (step / 4) for step in range(-8, 9)]
    grid = [objective(ensemble.t_new * a, ensemble.t_old * b) for a in factors for b in factors]
    assert best <= min(grid) + 1e-5


def test_fitting_needs_a_validation_split(trainer: Make) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=r"there is no validation split: .*--data\.val_per_class"):
        trainer(callbacks=[TemperatureEnsemble(temperatures="fitted")]).test(
            tuned(data), datamodule=data, verbose=False
        )


def test_fitting_needs_images_that_were_not_seen(trainer: Make) -> None:
    data, method = Synthetic(val_per_class=1), tuned(Synthetic())
    with pytest.raises(InputError, match=r"trained on 5 of the 5 images of the .*temperatures: matched"):
        trainer(callbacks=[TemperatureEnsemble(temperatures="fitted")]).test(method, datamodule=data, verbose=False)


@pytest.mark.parametrize("tuning", [False, True])
def test_without_an_old_head_there_is_no_ensemble(trainer: Make, tuning: bool) -> None:
    data = Synthetic()
    data.setup("fit")
    method = Tuning(Frozen(192), data.counts) if tuning else Method(ResNet20(width=2), data.counts)
    with pytest.raises(InputError, match="needs an old head, which this checkpoint does not have"):
        trainer(callbacks=[TemperatureEnsemble()]).test(method, datamodule=data, verbose=False)


def test_a_training_goes_on_without_it(trainer: Make) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, schedule=Cosine())
    trainer(callbacks=[TemperatureEnsemble(temperatures="matched")]).fit(method, datamodule=data)
    assert "test" in method.reports
