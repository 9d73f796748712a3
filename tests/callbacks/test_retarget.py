"""Predictions for other class distributions."""

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
from torch import Tensor

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import LogitAdjustment, Retarget, TauNorm
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
COUNTS = [90, 9, 1]
LOGITS = 2 * torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def adjusted(retarget: Retarget) -> Tensor:
    """Return the probabilities of LOGITS of a network trained on COUNTS, with a known prior."""
    method = Method(ResNet20(width=2), COUNTS)
    retarget.prepare(method, Synthetic())
    return retarget.adjust(method, Output(LOGITS, LOGITS)).logits.exp()


def measure(trainer: Make, method: Method, data: Synthetic, *callbacks: Any) -> None:
    """Run a test."""
    trainer(callbacks=list(callbacks)).test(method, datamodule=data, verbose=False)


def predicted(trainer: Make, method: Method, data: Synthetic, *callbacks: Any) -> Tensor:
    """Return the logits (N, C) of the test split."""
    answers = trainer(callbacks=list(callbacks)).predict(method, datamodule=data)
    return torch.cat([answer.output.logits for answer in answers])


@pytest.mark.parametrize(
    ("prior", "factor", "target"),
    [
        ([2, 1, 1], 10, [0.5, 0.25, 0.25]),
        ("uniform", 10, [1 / 3] * 3),
        ("forward", 16, [16 / 21, 4 / 21, 1 / 21]),
        ("backward", 4, [1 / 7, 2 / 7, 4 / 7]),
    ],
)
@pytest.mark.parametrize("assumed", ["train", "uniform"])
def test_the_formula_as_a_loop(prior: Any, factor: float, target: list[float], assumed: Any) -> None:
    retarget = Retarget(prior, factor=factor, assumed=assumed)
    source = [0.9, 0.09, 0.01] if assumed == "train" else [1 / 3] * 3
    for row, result in zip(LOGITS.tolist(), adjusted(retarget).tolist(), strict=True):
        joint = [math.exp(z) * t / s for z, t, s in zip(row, target, source, strict=True)]
        assert result == pytest.approx([value / sum(joint) for value in joint], rel=1e-5)
    assert retarget.settings["target"] == pytest.approx(target, abs=1e-8)


def test_the_uniform_prior_is_logit_adjustment() -> None:
    method, adjustment = Method(ResNet20(width=2), COUNTS), LogitAdjustment(1.0)
    adjustment.prepare(method, Synthetic())
    other = adjustment.adjust(method, Output(LOGITS, LOGITS))
    torch.testing.assert_close(adjusted(Retarget("uniform")), other.logits.softmax(1))


def test_em_estimates_from_the_predictions_for_the_test_images(trainer: Make) -> None:
    data = Synthetic(test_per_class=20)
    method, retarget = network(data), Retarget("em")
    posteriors = predicted(trainer, method, data).double().softmax(1).numpy()
    source = np.asarray(data.counts) / sum(data.counts)
    prior = source
    for _ in range(5000):
        joint = posteriors * prior / source
        prior = (joint / joint.sum(1, keepdims=True)).mean(0)
    measure(trainer, method, data, retarget)
    assert retarget.settings["target"] == pytest.approx(prior.tolist(), abs=0.005)
    assert retarget.settings["target"] != pytest.approx(source.tolist(), abs=0.05), "there is something to estimate"
    assert retarget.settings["images"] == "test, without labels"


def test_adjustments_before_act_first(trainer: Make) -> None:
    data = Synthetic(test_per_class=20)
    method, alone = network(data), Retarget("em")
    after = Retarget("em", assumed="uniform")
    probabilities = [
        predicted(trainer, method, data, *callbacks).softmax(1) for callbacks in ([alone], [LogitAdjustment(), after])
    ]
    torch.testing.assert_close(*probabilities, atol=1e-3, rtol=0)
    assert after.target.tolist() == pytest.approx(alone.target.tolist(), abs=1e-4)
    norm = Retarget("em")
    measure(trainer, method, data, TauNorm(), norm)
    assert norm.target.tolist() != pytest.approx(alone.target.tolist(), abs=1e-4)


@pytest.mark.parametrize("prior", ["em", "bbse"])
def test_labels_of_test_images_are_never_looked_at(prior: Any, trainer: Make) -> None:
    data = Synthetic(val_per_class=3)
    method, targets = network(data), []
    for shift in (0, 1):
        split = data.splits["test"]
        data.splits["test"] = split._replace(labels=(split.labels + shift) % 5)
        retarget = Retarget(prior)
        measure(trainer, method, data, retarget)
        targets.append(retarget.target)
    assert torch.equal(*targets)


def test_bbse_needs_images_that_the_network_has_not_seen(trainer: Make) -> None:
    with pytest.raises(InputError, match=r"there is no validation split: .*--data\.val_per_class.*`prior: em`"):
        measure(trainer, network(Synthetic()), Synthetic(), Retarget("bbse"))
    data = Synthetic(val_per_class=2)
    measure(trainer, network(data), data, Retarget("bbse"))
    with pytest.raises(InputError, match="the network was trained on 9 of the 9 images of the validation split"):
        measure(trainer, network(Synthetic()), data, Retarget("bbse"))


@pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")
def test_what_a_file_was_trained_on_is_not_known(trainer: Make, run_file: Path) -> None:
    data = Synthetic(val_per_class=2)
    method = Method(Pretrained(str(run_file), ResNet20(width=2)), data.counts, schedule=Cosine())
    trainer(1).fit(method, datamodule=data)
    with pytest.raises(InputError, match="not known whether the network was trained on the validation"):
        measure(trainer, method, data, Retarget("bbse"))


@pytest.mark.parametrize("prior", [[1.0, 1.0], [1.0, -1.0, 1.0]])
def test_numbers_that_are_no_prior(prior: list[float]) -> None:
    with pytest.raises(InputError, match="prior"):
        adjusted(Retarget(prior))


@pytest.mark.slow
def test_the_command_line_takes_priors_and_says_them(tiny, ltr) -> None:
    assert tiny("--name a --trainer.max_epochs 1 --trainer.check_val_every_n_epoch 1 --data.val_per_class 2") == 0
    for name, prior in {"bbse": "bbse", "known": "[1,1,1,1,6]"}.items():
        words = f"test --ckpt_path a --config retarget.yaml --trainer.callbacks.prior {prior} --evaluation {name}"
        assert ltr(words) == 0
        written = json.loads(Path(f"checkpoints/a/{name}/metrics.json").read_text())
        said = written["adjustments"][0]["Retarget"]
        assert sum(said["target"]) == pytest.approx(1)
    assert said == {"prior": [1, 1, 1, 1, 6], "assumed": "train", "target": [0.1, 0.1, 0.1, 0.1, 0.6]}
