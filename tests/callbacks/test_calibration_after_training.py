"""Temperatures, and scales and biases, fitted to images that no training has seen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from pixels import network
from quiet import quiet_trainer
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax
from torch import Tensor

from ltr.backbones import ResNet20
from ltr.callbacks import LogitAdjustment, TemperatureScaling, VectorScaling
from ltr.callbacks.fitting import image_weights
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method

Make = Callable[..., Trainer]
KINDS = [TemperatureScaling, VectorScaling]


def gaussians(images: int = 300, *, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return exact log-posteriors (N, C), a factor too large, and labels of classes with few to many images."""
    counts = (torch.tensor([0.5, 0.3, 0.15, 0.05]) * images).long()
    labels = torch.arange(4).repeat_interleave(counts)
    corners = torch.tensor([[0.0, 0], [0, 2], [2, 0], [2, 2]], dtype=torch.float64)
    points = corners[labels] + torch.randn(len(labels), 2, dtype=torch.float64)
    exact = (counts / counts.sum()).log() - (points[:, None] - corners).square().sum(2) / 2
    return factor * exact.log_softmax(1), labels


def nll(logits: Any, labels: Tensor, weighting: str) -> float:
    """Return the weighted negative log-likelihood, computed apart from torch."""
    weights = image_weights(labels, weighting).numpy()  # type: ignore[arg-type]
    return float(-(weights * log_softmax(logits, axis=1)[np.arange(len(labels)), labels.numpy()]).sum())


@pytest.mark.parametrize("weighting", ["classes", "images"])
def test_the_temperature_is_that_of_scipy(weighting: Any) -> None:
    logits, labels = gaussians(factor=3.0)
    found = TemperatureScaling(weighting=weighting).fit(logits, labels)
    best = minimize_scalar(
        lambda log: nll(logits.numpy() / math.exp(log), labels, weighting), bounds=(-3, 3), options={"xatol": 1e-10}
    )
    assert found.shape == (1,)
    assert float(found.log()) == pytest.approx(best.x, abs=1e-6)


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_logits_that_are_too_large_are_brought_back(factor: float) -> None:
    logits, labels = gaussians(20000, factor=factor)
    assert float(TemperatureScaling(weighting="images").fit(logits, labels)) == pytest.approx(factor, rel=0.05)
    every = TemperatureScaling(weighting="images", per_class=True).fit(logits, labels)
    assert every.tolist() == pytest.approx([factor] * 4, rel=0.15)


def test_the_temperatures_of_the_classes_are_those_of_scipy() -> None:
    logits, labels = gaussians(factor=2.0)
    predictions = logits.argmax(1).numpy()
    common = float(TemperatureScaling().fit(logits, labels).log())

    def posterior(logs: Any) -> float:
        prior = ((logs - common) ** 2).sum() / (2 * 0.4**2)
        return nll(logits.numpy() / np.exp(logs)[predictions][:, None], labels, "classes") + prior

    best = minimize(
        posterior, np.zeros(4), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 9999}
    )
    found = TemperatureScaling(per_class=True, spread=0.4).fit(logits, labels)
    assert found.log().tolist() == pytest.approx(best.x.tolist(), abs=1e-5)


def test_a_class_with_few_images_cannot_run_away() -> None:
    logits, labels = gaussians(factor=2.0)
    common = float(TemperatureScaling(weighting="images").fit(logits, labels))
    # A fifth class, as which one image alone is predicted, with all confidence and by mistake.
    logits = torch.cat([logits, torch.full((len(labels), 1), -50.0, dtype=torch.float64)], 1)
    logits[0, 4] = logits[0, :4].max() + 30
    alone, sure = (
        TemperatureScaling(weighting="images", per_class=True, spread=spread).fit(logits, labels) for spread in (5, 0.5)
    )
    assert alone[4] > 10 * common, "by itself the image takes its temperature far away"
    assert common < sure[4] < 5 * common
    logits[0, 4] = -50
    found = TemperatureScaling(weighting="images", per_class=True).fit(logits, labels)
    assert float(found[4]) == pytest.approx(common, rel=1e-3), "a class without images has the common temperature"


def test_temperatures_stay_in_their_range() -> None:
    labels = torch.tensor([0, 1, 2])
    right = torch.eye(3, dtype=torch.float64)
    for per_class in (False, True):
        scaling = TemperatureScaling(per_class=per_class)
        assert scaling.fit(right, labels).tolist() == pytest.approx([0.05] * (3 if per_class else 1), rel=1e-9)
        assert scaling.fit(right, labels.roll(1)).tolist() == pytest.approx([20] * (3 if per_class else 1))


@pytest.mark.parametrize("weighting", ["classes", "images"])
@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_vector_scaling_is_that_of_scipy(weighting: Any, spread: float) -> None:
    logits, labels = gaussians(factor=2.0)
    scaling = VectorScaling(spread, weighting=weighting)
    scaling.fit(logits, labels)

    def posterior(both: Any) -> float:
        return nll(np.exp(both[:4]) * logits.numpy() + both[4:], labels, weighting) + (both**2).sum() / (2 * spread**2)

    best = minimize(posterior, np.zeros(8), method="BFGS", options={"gtol": 1e-7})
    assert [*scaling.scale.log().tolist(), *scaling.bias.tolist()] == pytest.approx(best.x.tolist(), abs=1e-4)


def test_vector_scaling_finds_scales_and_biases_where_there_are_images() -> None:
    exact, labels = gaussians(20000)
    scale, bias = torch.tensor([0.5, 2.0, 1.0, 1.5]), torch.tensor([1.0, -1.0, 0.5, -0.5])
    wrong = VectorScaling(weighting="images")
    wrong.fit((exact - bias) / scale, labels)
    assert wrong.scale.tolist() == pytest.approx(scale.tolist(), abs=0.1)
    assert (wrong.bias - wrong.bias.mean()).tolist() == pytest.approx(bias.tolist(), abs=0.15)


def test_a_small_spread_changes_nothing() -> None:
    logits, labels = gaussians(factor=3.0)
    scaling = VectorScaling(1e-4)
    scaling.fit(logits, labels)
    assert scaling.scale.tolist() == pytest.approx([1] * 4, abs=1e-4)
    assert scaling.bias.tolist() == pytest.approx([0] * 4, abs=1e-4)


def test_classes_count_the_same_or_images_do() -> None:
    labels = torch.tensor([0, 0, 0, 3, 3, 1])
    assert image_weights(labels, "images").tolist() == [1] * 6
    assert image_weights(labels, "classes").tolist() == pytest.approx([2 / 3] * 3 + [1, 1, 2])


def test_a_temperature_changes_no_prediction_and_a_bias_does() -> None:
    logits, labels = gaussians(factor=3.0)
    method = Method(ResNet20(width=2), [30, 20, 10, 5])
    output = Output(logits.float(), logits)
    for temperature in (3.0, [3.0, 2.0, 0.5, 9.0]):
        scaled = TemperatureScaling(temperature).adjust(method, output).logits
        assert torch.equal(scaled.argmax(1), logits.argmax(1))
        own = torch.tensor(temperature).expand(4)[logits.argmax(1)]
        torch.testing.assert_close(scaled, logits.float() / own[:, None])
    scaling = VectorScaling()
    scaling.fit(logits, labels)
    assert not torch.equal(scaling.adjust(method, output).logits.argmax(1), logits.argmax(1))


def fitted(trainer: Make, method: Method, data: Synthetic, *callbacks: Any) -> list[list[float]]:
    """Return what the adjustments of a test say that they were fitted to be."""
    trainer(callbacks=list(callbacks)).test(method, datamodule=data, verbose=False)
    kinds = (TemperatureScaling, VectorScaling)
    said = [callback.settings for callback in callbacks if isinstance(callback, kinds)]
    return [[*item.get("temperatures", []), *item.get("scale", []), *item.get("bias", [])] for item in said]


def test_what_is_fitted_is_of_the_validation_split_and_of_what_acts_before(trainer: Make) -> None:
    data = Synthetic(val_per_class=4, test_per_class=10)
    method = network(data)
    with torch.no_grad():
        logits = method(data.prepare(data.splits["val"].images)).logits.double()
    labels, adjustment = data.splits["val"].labels, LogitAdjustment()
    adjustment.prepare(method, data)
    adjusted = adjustment.adjust(method, Output(logits, logits)).logits
    expected = TemperatureScaling().fit(logits, labels).tolist()
    assert fitted(trainer, method, data, TemperatureScaling()) == [pytest.approx(expected, rel=1e-4)]
    expected = TemperatureScaling().fit(adjusted.double(), labels).tolist()
    found = fitted(trainer, method, data, LogitAdjustment(), TemperatureScaling())
    assert found == [pytest.approx(expected, rel=1e-4)]
    scaling = VectorScaling()
    scaling.fit(logits, labels)
    expected = [*scaling.scale.tolist(), *scaling.bias.tolist()]
    assert fitted(trainer, method, data, VectorScaling()) == [pytest.approx(expected, abs=1e-4)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_images_are_never_fitted_to(kind: Any, trainer: Make) -> None:
    data = Synthetic(val_per_class=4)
    method, found = network(data), []
    for shift in (0, 1):
        split = data.splits["test"]
        data.splits["test"] = split._replace(images=255 - split.images, labels=(split.labels + shift) % 5)
        found.append(fitted(trainer, method, data, kind()))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_the_network_has_seen_are_refused(kind: Any, trainer: Make) -> None:
    with pytest.raises(InputError, match=r"there is no validation split: .*--data\.val_per_class"):
        fitted(trainer, network(Synthetic()), Synthetic(), kind())
    with pytest.raises(InputError, match="the network was trained on 9 of the 9 images of the validation split"):
        fitted(trainer, network(Synthetic()), Synthetic(val_per_class=2), kind())


@pytest.mark.parametrize("kind", KINDS)
def test_logits_that_are_not_finite_are_refused(kind: Any, trainer: Make) -> None:
    data = Synthetic(val_per_class=2)
    method = network(data)
    with torch.no_grad():
        method.head.fc.bias[1] = -math.inf
    with pytest.raises(InputError, match="logits of the validation split are not finite"):
        fitted(trainer, method, data, kind())


def test_a_given_temperature_needs_no_images(trainer: Make) -> None:
    data = Synthetic()
    assert fitted(trainer, network(data), data, TemperatureScaling(2.0)) == [[2]]
    assert fitted(trainer, network(data), data, TemperatureScaling([1, 2, 3, 4, 5])) == [[1, 2, 3, 4, 5]]
    with pytest.raises(InputError, match="3 temperatures for 5 classes"):
        fitted(trainer, network(data), data, TemperatureScaling([1, 2, 3]))


@pytest.mark.slow
def test_the_command_line_fits_and_says_so(tiny, ltr) -> None:
    assert tiny("--name a --trainer.max_epochs 1 --trainer.check_val_every_n_epoch 1 --data.val_per_class 2") == 0
    for name, words in {
        "scaled": "",
        "each": "--trainer.callbacks.per_class true",
        "known": "--trainer.callbacks.temperature 2.5",
    }.items():
        assert ltr(f"test --ckpt_path a --config temperature_scaling.yaml --evaluation {name} {words}") == 0
    assert ltr("test --ckpt_path a --config post_hoc_vector_scaling.yaml --evaluation vector") == 0
    said = {
        name: next(iter(json.loads(Path(f"checkpoints/a/{name}/metrics.json").read_text())["adjustments"][0].values()))
        for name in ("scaled", "each", "known", "vector")
    }
    assert len(said["scaled"]["temperatures"]) == 1
    assert len(said["each"]["temperatures"]) == len(said["vector"]["scale"]) == len(said["vector"]["bias"]) == 5
    assert said["known"] == {"temperatures": [2.5], "fitted": False}


def test_two_processes_find_what_one_does(trainer: Make, tmp_path: Path, in_two_processes) -> None:
    data = Synthetic(test_per_class=9, val_per_class=4)
    expected = fitted(trainer, network(data), data, TemperatureScaling(per_class=True), VectorScaling())
    in_two_processes(half, str(tmp_path))
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found == [pytest.approx(values, abs=1e-5) for values in expected], f"process {rank} differs"


def half(rank: int, folder: str) -> None:
    """Test in one of two processes."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    data = Synthetic(test_per_class=9, val_per_class=4)

    def make(callbacks: list[Any]) -> Trainer:
        return quiet_trainer(
            callbacks=callbacks,
        )

    found = fitted(make, network(data), data, TemperatureScaling(per_class=True), VectorScaling())
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
