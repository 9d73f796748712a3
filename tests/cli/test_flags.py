"""Flags of the trainer work with every method."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from tiny import small
from torch import nn

from ltr import backbones
from ltr.contracts import Backbone

SMALL = (
    "--data Synthetic --data.batch_size 16 --data.largest 100 --trainer.fast_dev_run 2 --trainer.accelerator cpu "
    "--trainer.enable_progress_bar false"
)
PLAIN = small("--model.backbone")
EXPERTS = small("--model.backbone.backbone")
TEACHER = f"--model.teacher.checkpoint start {small('--model.teacher.backbone')}"
FROZEN = f"--model.backbone.checkpoint start {EXPERTS}"
METHODS = {
    "ce": PLAIN,
    "ldam_drw": PLAIN,
    "lade": PLAIN,
    "mixup": PLAIN,
    "ride": EXPERTS,
    "sade": EXPERTS,
    "paco": PLAIN,
    "gpaco": PLAIN,
    "bbn": PLAIN,
    "rsg": PLAIN,
    "proco": PLAIN,
    "supcon": PLAIN,
    "distillation": f"{PLAIN} {TEACHER}",
    "gml": FROZEN,
}
FLAGS = {
    "bf16": "--trainer.precision bf16-mixed --trainer.deterministic true --trainer.gradient_clip_val 1.0 "
    "--trainer.accumulate_grad_batches 2",
    "float64": "--trainer.precision 64-true",
}


@pytest.fixture
def fit(ltr, trained):
    """Return what trains a recipe for two steps, from a first stage where it needs one."""

    def run(recipe: str, flags: str) -> int:
        words = METHODS[recipe]
        if "start" in words:
            trained("--name start --data.largest 100 --data.imbalance 100 --trainer.max_epochs 1")
        status: int = ltr(f"fit --config {recipe}.yaml {SMALL} {words} {flags}")
        torch.use_deterministic_algorithms(False)
        return status

    return run


@pytest.mark.filterwarnings("ignore:.*accumulated over 2 batches", "ignore:.*CUBLAS")
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("recipe", METHODS)
def test_flags_work_with_a_method(recipe: str, flag: str, fit) -> None:
    assert fit(recipe, FLAGS[flag]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["ce", "ride", "paco", "proco", "bbn", "rsg", "distillation"])  # one of each step
def test_a_method_can_be_compiled(recipe: str, fit, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def trace(module: nn.Module, **options: Any) -> None:
        compiled.append(module)
        assert options == {"dynamic": False}
        nn.Module.compile.wrapped(module, backend="eager", fullgraph=True, **options)  # type: ignore[attr-defined]

    wrapped = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", functools.update_wrapper(trace, wrapped))
    trace.wrapped = wrapped  # type: ignore[attr-defined]
    torch.compiler.reset()
    assert fit(recipe, "--model.compile true --trainer.precision 32-true") == 0
    assert any(isinstance(module, Backbone) for module in compiled)


@pytest.mark.slow_but_one
@pytest.mark.parametrize("name", ["ResNet32", "ResNet10"])
def test_a_network_is_one_graph(name: str) -> None:
    torch.compiler.reset()
    network = getattr(backbones, name)()
    found = torch._dynamo.explain(network)(torch.randn(2, 3, 32, 32))
    assert (found.graph_break_count, found.graph_count) == (0, 1), found.break_reasons
