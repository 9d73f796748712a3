"""Two processes give the loss and the gradient of one, however the batch is divided between them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

COUNTS = [120, 40, 12, 4, 2, 1]
LOSSES = ["CrossEntropy", "BalancedSoftmax", "ClassBalanced", "CostSensitive", "DBM", "GML", "LADE", "PaCo", "SupCon"]
HEADS = {"DBM": "Cosine", "PaCo": "Projection", "SupCon": "Projection"}  # where it is not a linear classifier
EXPERTS = {"RIDE": {}, "PerExpert": {"losses": ["GML"]}}  # losses of several experts, and what they are made of
SPREAD = [index % 6 for index in range(24)]
BATCHES = {  # labels, and how many of them the first process has
    "12/12": (SPREAD, 12),
    "17/7": (SPREAD, 17),
    "23/1": (SPREAD, 23),
    "absent classes": ([0, 2, 2, 5] * 6, 9),
    "classes on one process only": (sorted(SPREAD), 14),
}


def step(loss: str, labels: Tensor, features: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Take the training step of a head on features; return the value and the gradients of this process."""
    from ltr import heads, losses
    from ltr.contracts import Backbone, Batch
    from ltr.methods import Method

    torch.manual_seed(0)
    backbone = Backbone()
    backbone.dim = backbone.experts = features.shape[1]
    parts: dict[str, Any] = {
        name: [getattr(losses, part) for part in kinds] for name, kinds in EXPERTS.get(loss, {}).items()
    }
    many = partial(heads.ExpertHeads, experts=backbone.experts, head=heads.Linear)
    head = many if loss in EXPERTS else getattr(heads, HEADS.get(loss, "Linear"))
    if loss == "RIDE":
        parts = {"loss": partial(losses.LDAM, scale=1.0)}  # which needs the scale of a linear head
    method = Method(backbone, COUNTS, head=head, loss=partial(getattr(losses, loss), **parts))
    method.loss.set_epoch(9, 10)
    value = method.training_step(Batch(features[:0], labels, labels, features), 0)
    value.backward()
    return value.detach(), [parameter.grad for parameter in method.head.parameters() if parameter.grad is not None]


def cases() -> list[tuple[str, str, Tensor, Tensor, int]]:
    """Return loss, name, labels, features and size of the first shard of every case."""
    features = 2 * torch.randn(24, 5, generator=torch.Generator().manual_seed(7))
    return [
        (loss, name, torch.tensor(labels), features, first)
        for loss in (*LOSSES, *EXPERTS)
        for name, (labels, first) in BATCHES.items()
    ]


def work(rank: int, folder: str) -> None:
    """Run every case in one of two processes; write what a data-parallel training would step along."""
    torch.set_default_dtype(torch.float64)
    alone = {(loss, name): step(loss, labels, features) for loss, name, labels, features, _ in cases()}
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results: dict[tuple[str, str], Any] = {}
    for loss, name, labels, features, first in cases():
        shard = slice(0, first) if rank == 0 else slice(first, None)
        value, gradients = step(loss, labels[shard], features[shard])
        for tensor in (value, *gradients):
            distributed.all_reduce(tensor)
            tensor /= 2
        results[loss, name] = {"alone": alone[loss, name], "together": (value, gradients)}
    distributed.barrier()
    distributed.destroy_process_group()
    torch.save(results, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def results(in_two_processes, tmp_path_factory: pytest.TempPathFactory) -> list[dict[tuple[str, str], Any]]:
    """Run all cases in the two processes."""
    folder: Path = tmp_path_factory.mktemp("processes")
    in_two_processes(work, str(folder))
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", list(BATCHES))
@pytest.mark.parametrize("loss", [*LOSSES, *EXPERTS])
def test_two_processes_are_as_one(results: list[dict[tuple[str, str], Any]], loss: str, name: str, rank: int) -> None:
    result = results[rank][loss, name]
    (value, gradients), (expected, wanted) = result["together"], result["alone"]
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for gradient, exact in zip(gradients, wanted, strict=True):
        assert exact.abs().max() > 1e-4
        torch.testing.assert_close(gradient, exact, rtol=1e-10, atol=1e-13)
