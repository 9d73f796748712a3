"""Runs from Python are those of the command line, and leave the process as it was."""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY
from torch import Tensor
from torch.utils._pytree import tree_leaves

import ltr
from ltr import build, files, load
from ltr.__main__ import main
from ltr.callbacks import Run
from ltr.data import DigitsLT
from ltr.errors import InputError
from ltr.losses import CrossEntropy

pytestmark = pytest.mark.usefixtures("ltr")  # in an empty folder

RUN = Path("checkpoints/a")
# What TINY says.
PARTS = (
    "ce.yaml",
    {
        "data": "Synthetic",
        "data.imbalance": 4,
        "data.batch_size": 16,
        "model.backbone": "ResNetCIFAR",
        "model.backbone.depth": 8,
        "model.backbone.width": 4,
        "model.schedule": "Cosine",
        "model.schedule.warmup": 0,
        "trainer.max_epochs": 2,
        "trainer.check_val_every_n_epoch": 2,
        "trainer.enable_progress_bar": False,
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",
    },
)
GML = (
    "gml.yaml",
    {
        "data": "Synthetic",
        "data.imbalance": 4,
        "trainer.max_epochs": 3,
        "model.backbone.backbone": "ResNetCIFAR",
        "model.backbone.backbone.depth": 8,
        "model.backbone.backbone.width": 4,
        "model.backbone.checkpoint": "a",
        "trainer.accelerator": "cpu",
        "trainer.precision": "32-true",
        "trainer.enable_progress_bar": False,
    },
)


def tensors(run: Path) -> list[Tensor]:
    return [part for part in tree_leaves(torch.load(run / "last.ckpt")) if isinstance(part, Tensor)]


def metrics(evaluation: Path) -> dict[str, object]:
    """Return what a test has written, but for the seconds that it took, and the checksum with them."""
    found = json.loads((evaluation / "metrics.json").read_text())
    return {key: value for key, value in found.items() if key not in ("seconds", files.CHECKSUM)}


def test_it_is_the_run_of_the_command_line(tiny) -> None:
    assert tiny("--name a --seed_everything 3 --config recipes/autoaugment.yaml") == 0
    main(["test", "--ckpt_path", "a"])
    RUN.rename("shell")
    run = build(*PARTS, "recipes/autoaugment.yaml", {"seed_everything": 3}, name="a")
    assert run.curves == {}
    # What happens in between is nobody's business.
    build(*PARTS, {"seed_everything": 4}, name="b")
    torch.manual_seed(9)
    images = run.data.splits["test"].images
    assert run.model.eval()(run.data.prepare(images)).logits.shape == (20, 5)
    assert not RUN.exists()
    report = run.fit().test()
    assert (RUN / "config.yaml").read_text() == Path("shell/config.yaml").read_text()
    assert (RUN / "metrics.csv").read_text() == Path("shell/metrics.csv").read_text()
    assert all(torch.equal(*pair) for pair in zip(tensors(RUN), tensors(Path("shell")), strict=True))
    assert metrics(RUN / "test") == metrics(Path("shell/test"))
    assert report.recall == metrics(Path("shell/test"))["recall"]
    assert run.curves["test/top1"][1] == report.top1
    assert np.isnan(run.curves["test/top1"][0])


@pytest.mark.slow
def test_a_run_from_the_shell_answers_in_python_as_there(trained) -> None:
    trained("--name a")
    build(*GML, name="gml").fit()
    words = "--config ensemble.yaml --trainer.callbacks.temperatures matched --trainer.callbacks+=Retarget"
    main(["predict", "--ckpt_path", "gml", *words.split()])
    RUN.rename("away")
    said = torch.load("checkpoints/gml/predict/predictions.pt")["probabilities"]
    retarget = {"trainer.callbacks.temperatures": "matched", "trainer.callbacks+": "Retarget"}
    run = load("gml", "ensemble.yaml", retarget)
    assert not run.model.training
    images = run.data.splits["test"].images
    assert torch.equal(run.predict(images).probabilities, said)
    assert torch.equal(run.predict(images[3:4]).probabilities.argmax(1), said[3:4].argmax(1))
    assert run.test(evaluation="both").recall == run.test("ensemble.yaml", retarget, evaluation="again").recall
    assert metrics(Path("checkpoints/gml/both"))["adjustments"][1].keys() == {"Retarget"}


def test_a_run_that_was_just_trained_answers_with_what_is_kept() -> None:
    run = build(*PARTS, {"trainer.callbacks+": "EMA", "trainer.callbacks.decay": 0.6}, name="a")
    with pytest.raises(InputError, match="there is no checkpoint"):
        run.test()
    images = run.data.splits["test"].images
    with pytest.raises(InputError, match="there is no checkpoint"):
        run.predict(images)
    first = run.fit().predict(images)
    assert torch.equal(first.logits, load("a").predict(images).logits)
    with pytest.raises(InputError, match="trained already"):
        run.fit()


@pytest.mark.parametrize(
    "option",
    [
        {"config": "gmll.yaml"},
        {"model.loss": "GLM"},
        {"trainer.max_epochs": 0.5},
        {"ckpt_path": "last"},
        {"model.loss.tau": 1, "model.loss": "BalancedSoftmax"},  # the options of a class come after it
        {"model.optimizer.lr": -1},  # which torch refuses when the training begins
    ],
    ids=str,
)
def test_bad_input_gets_the_sentence_of_the_command_line(option: dict[str, object], tiny, capsys) -> None:
    assert tiny("--name a", *(f"--{key} {value}" for key, value in option.items())) == 2
    said = capsys.readouterr().err
    with pytest.raises(InputError) as error:
        build(*PARTS, option, name="a").fit()
    assert said == f"ltr: error: {error.value}\n"
    assert not RUN.exists()


@pytest.mark.slow
def test_an_existing_run_is_refused_or_replaced(tiny) -> None:
    assert tiny("--name a") == 0
    with pytest.raises(InputError, match="exists already"):
        build(*PARTS, name="a")
    build(*PARTS, {"seed_everything": 5}, name="a", overwrite=True).fit()
    assert load("a").test().counts == [20, 14, 10, 7, 5]
    assert metrics(RUN / "test")["seed"] == 5
    with pytest.raises(InputError, match=r"did you mean a\?"):
        load("aa")


def test_an_object_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.loss is given a Python object"):
        build(*PARTS, {"model.loss": CrossEntropy(torch.ones(5))})


@pytest.mark.slow
def test_the_process_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED")

    def state() -> list[object]:
        draws = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        levels = [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")]
        return [*draws, levels, list(warnings.filters), torch.get_num_threads(), dict(os.environ)]

    before = state()
    run = build(*PARTS, name="a")
    assert state() == before
    run.fit()
    assert state() == before
    build(*GML, name="gml").fit()  # which trains with one thread
    load("gml", "ensemble.yaml").test()
    assert state() == before
    with pytest.raises(InputError):
        build(*PARTS, {"model.optimizer.lr": -1}, name="b").fit()
    assert state() == before


def test_an_interrupted_training_ends_a_cell_and_not_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "on_train_start", stop)
    with pytest.raises(KeyboardInterrupt):
        build(*PARTS, name="a").fit()


def test_the_words_are_those_of_the_other_tests() -> None:
    words = TINY.split()
    said = {key.removeprefix("--"): value for key, value in zip(words[::2], words[1::2], strict=True)}
    assert said.pop("config") == PARTS[0]
    assert said == {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in PARTS[1].items()
    }


def test_importing_the_package_needs_nothing_heavy() -> None:
    code = "import sys, ltr; print([name for name in ('torch', 'lightning') if name in sys.modules])"
    home = Path(ltr.__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=home).stdout
    assert out == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        ltr.bild  # noqa: B018


def test_digits_are_there_before_the_training() -> None:
    run = build("ce.yaml", "data/digits.yaml", {"model.backbone": "ResNet20", "trainer.accelerator": "cpu"})
    assert isinstance(run.data, DigitsLT)
    assert run.folder == Path("checkpoints/ce")
    assert run.data.classes == [str(digit) for digit in range(10)]
    assert run.model.training_counts == run.data.counts
