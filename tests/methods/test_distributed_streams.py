"""Two processes and the methods that make more, or less, of a batch than its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

COUNTS = [120, 40, 12, 4, 2, 1]
SHARDS = {"12/12": (12, False), "18/6": (18, False), "rare classes on one process": (14, True)}
CASES = [(kind, shards) for kind in ("BBN", "RSG", "RSG, generating") for shards in SHARDS]


def model(kind: str) -> Any:
    """Return a method without batch norm, whose statistics are of one process."""
    from ltr.contracts import Backbone
    from ltr.losses import ClassBalanced
    from ltr.methods import BBN, RSG

    class Plain(Backbone):
        stages = ("first", "last")
        dim = 5

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
            self.last = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1))

    torch.manual_seed(0)
    if kind == "BBN":
        made: Any = BBN(Plain(), COUNTS, loss=ClassBalanced)
        made.share = 0.7
    else:
        made = RSG(Plain(), COUNTS, head_share=0.34, centres=2)
        nn.init.normal_(made.generator.centres)
        made.generator.set_epoch(int("generating" in kind), 1 if "generating" in kind else 2)
    return made


def batch(sort: bool) -> tuple[Tensor, Tensor]:
    """Return images and labels."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(6, (24,), generator=generator)
    return torch.randn(24, 3, 4, 4, generator=generator), labels.sort().values if sort else labels


def gradients(made: Any, value: Tensor) -> dict[str, Tensor]:
    """Return the gradient of every parameter, 0 where there is none."""
    made.zero_grad()
    value.backward()
    return {
        key: torch.zeros_like(value) if value.grad is None else value.grad.clone()
        for key, value in made.named_parameters()
    }


def expected(kind: str, images: Tensor, labels: Tensor, parts: list[slice]) -> tuple[Tensor, dict[str, Tensor]]:
    """Return value and gradients in one process: of the whole batch, or of what each part generates by itself."""
    from ltr.contracts import Batch

    made = model(kind)
    if kind == "BBN":
        value = made.training_step(Batch(images, labels, labels), 0)
        return value.detach(), gradients(made, value)
    sums, sizes = [torch.zeros(())] * 4, [0] * 4
    for part in parts:
        maps = made.backbone.first(images[part])
        rare = made.generator(maps, labels[part])
        output = made.head(made.backbone.pool(made.backbone.last(torch.cat([maps, rare.maps]))))
        values = made.loss(output, torch.cat([labels[part], rare.labels]))
        numbers = (len(values), len(maps), rare.pairs, len(rare.labels))
        means = (values.mean(), rare.centre, rare.contrast, rare.transfer)
        sums = [total + number * mean for total, number, mean in zip(sums, numbers, means, strict=True)]
        sizes = [size + number for size, number in zip(sizes, numbers, strict=True)]
    terms = zip((1, 0.1, 0.1, 0.01), sums, sizes, strict=True)
    value = sum(weight * total / max(size, 1) for weight, total, size in terms)
    return value.detach(), gradients(made, value)


def work(rank: int, folder: str) -> None:
    """Run every case in one of two processes; write what a data-parallel training would step along."""
    from ltr.contracts import Batch

    torch.set_default_dtype(torch.float64)
    wanted = {}
    for kind, name in CASES:
        first, sort = SHARDS[name]
        wanted[kind, name] = expected(kind, *batch(sort), [slice(0, first), slice(first, None)])
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results: dict[tuple[str, str], Any] = {}
    for kind, name in CASES:
        first, sort = SHARDS[name]
        images, labels = batch(sort)
        shard = slice(0, first) if rank == 0 else slice(first, None)
        made = model(kind)
        value = made.training_step(Batch(images[shard], labels[shard], labels[shard]), 0)
        found = {"value": value.detach(), **gradients(made, value)}
        for tensor in found.values():
            distributed.all_reduce(tensor)
            tensor /= 2
        results[kind, name] = found, {"value": wanted[kind, name][0], **wanted[kind, name][1]}
    distributed.barrier()
    distributed.destroy_process_group()
    torch.save(results, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def results(in_two_processes, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """Run all cases in the two processes."""
    folder: Path = tmp_path_factory.mktemp("processes")
    in_two_processes(work, str(folder))
    loaded: dict[tuple[str, str], Any] = torch.load(folder / "0.pt")
    return loaded


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_mean_is_one_over_both_processes(results: dict[tuple[str, str], Any], kind: str, name: str) -> None:
    found, wanted = results[kind, name]
    assert max(float(value.abs().max()) for key, value in wanted.items() if key != "value") > 1e-3
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-11, msg=key)
