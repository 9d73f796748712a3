"""A result says where it is from and what it cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import TINY, small

from ltr.machine import version
from ltr.methods import Method


def made(ltr, name: str) -> dict[str, object]:
    """Test a run; return the provenance in its metrics."""
    assert ltr(f"test --ckpt_path {name}") == 0
    found: dict[str, object] = json.loads(Path(f"checkpoints/{name}/test/metrics.json").read_text())
    return found["provenance"] | {"oracle_best": found["oracle_best"]}


def test_what_a_plain_run_says(tiny, ltr) -> None:
    assert tiny("--name plain") == 0
    said = made(ltr, "plain")
    assert (said["epochs"], said["passes"], said["views"], said["experts"]) == (2, 2.0, 1, 1)
    assert (said["augmentation"], said["starts_from"]) == ("CropFlip", [])
    assert said["version"] == version()
    rows = Path("checkpoints/plain/metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("test/top1")
    assert said["oracle_best"] == max(float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column])


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("--config sam.yaml", 4.0),  # every step looks twice
        ("--config recipes/three_views.yaml", 6.0),
        ("--config bbn.yaml", 4.0),  # two streams
    ],
)
def test_passes_are_what_the_network_saw(ltr, words: str, passes: float) -> None:
    small = TINY.replace("--config ce.yaml", f"--config ce.yaml {words}")
    assert ltr(f"fit {small} --name run") == 0
    assert made(ltr, "run")["passes"] == pytest.approx(passes, rel=0.1)  # streams of whole batches


GML = (
    "--config gml.yaml --model.backbone.checkpoint start --trainer.max_epochs 2 --trainer.accelerator cpu "
    "--trainer.enable_progress_bar false --trainer.precision 32-true"
)


@pytest.mark.slow_but_one
@pytest.mark.parametrize("words", [TINY, GML], ids=["training", "tuning"])
def test_a_resumed_run_has_cost_what_an_undisturbed_one_has(
    words: str, tiny, ltr, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(more: str) -> None:
        assert ltr(f"fit {words} {more}") == 0

    assert tiny("--name start") == 0
    fit("--name whole")
    ends = Method.on_train_epoch_end

    def break_off(method: Method) -> None:
        ends(method)
        method.trainer.should_stop = True

    with monkeypatch.context() as patch:
        patch.setattr(Method, "on_train_epoch_end", break_off)
        fit("--name broken")
    assert made(ltr, "broken")["epochs"] == 1
    fit("--name broken --ckpt_path last")
    assert made(ltr, "broken") == made(ltr, "whole")


@pytest.mark.slow
def test_a_tuning_says_what_it_starts_from(tiny, ltr) -> None:
    assert tiny("--name first") == 0
    words = "--data Synthetic --data.imbalance 4 --model.backbone.checkpoint first"
    words += f" {small('--model.backbone.backbone')} --trainer.max_epochs 3 --trainer.accelerator cpu --name second"
    assert ltr(f"fit --config gml.yaml {words}") == 0
    said = made(ltr, "second")
    assert (said["starts_from"], said["augmentation"], said["passes"]) == (["first"], "none", 1.0)


def test_an_adjusted_test_has_no_oracle(tiny, ltr) -> None:
    assert tiny("--name plain") == 0
    assert ltr("test --ckpt_path plain --config logit_adjustment.yaml") == 0
    assert json.loads(Path("checkpoints/plain/test/metrics.json").read_text())["oracle_best"] is None
