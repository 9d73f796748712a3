"""The collective operations that exact losses and samplers need; in a single process they do nothing."""

from __future__ import annotations

import re

import torch
import torch.distributed as dist
from torch import Tensor

# What gloo, NCCL and the store of torch say when another process is gone.
GONE = re.compile(r"gloo/transport|by peer|Broken pipe|failed to recv|remote process exited")


def active() -> bool:
    """Tell whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def world() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if active() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if active() else 0


def total(value: Tensor) -> Tensor:
    """Sum a tensor over all processes, without gradient."""
    if active():
        value = value.detach().clone()
        dist.all_reduce(value)
    return value


def maximum(value: Tensor) -> Tensor:
    """Take the elementwise maximum over all processes, without gradient."""
    if active():
        value = value.detach().clone()
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return value


def mean(values: Tensor) -> Tensor:
    """Average values (B,) over the samples of all processes, without gradient."""
    return total(values.detach().sum()) / total(values.new_tensor(float(len(values))))


def ddp_weighted(value: Tensor, size: int) -> Tensor:
    """Weight the mean of this process so that the average over the processes is the mean over all their samples.

    Args:
        value: (), the mean over the samples of this process; 0 if it has none.
        size: number of samples of this process.
    """
    if not active():
        return value
    samples = value.new_tensor(float(size))
    return value * (samples * world() / total(samples).clamp(min=1))


def differentiable_total(value: Tensor) -> Tensor:
    """Sum a tensor over all processes; gradients flow back to each of them.

    The gradient is the sum over the processes. Averaged by DistributedDataParallel, it is the exact gradient of a loss
    that every process computed from the total.
    """
    if not active():
        return value
    from torch.distributed.nn.functional import all_reduce

    summed: Tensor = all_reduce(value)  # type: ignore[no-untyped-call]
    return summed


def logsumexp(values: Tensor) -> Tensor:
    """Return (C,) the log-sum-exp over the rows (B, C) of all processes; differentiable."""
    top = maximum(values.detach().amax(0))  # only for numerical stability, so without gradient
    return differentiable_total((values - top).exp().sum(0)).log() + top


def lengths(value: Tensor) -> list[int]:
    """Return the lengths B_r of the tensors (B_r, ...) of all processes, in rank order."""
    sizes = torch.zeros(world(), dtype=torch.int64, device=value.device)
    sizes[rank()] = len(value)
    shards: list[int] = total(sizes).tolist()
    return shards


def concatenate(value: Tensor) -> Tensor:
    """Join tensors (B_r, ...) of all processes along the first dimension, in rank order.

    The shards may differ in length. Gradients flow back as in `differentiable_total`.
    """
    if not active():
        return value
    shards = lengths(value)
    around = [value.new_zeros(sum(part), *value.shape[1:]) for part in (shards[: rank()], shards[rank() + 1 :])]
    padded = torch.cat([around[0], value, around[1]])
    return differentiable_total(padded) if value.requires_grad else total(padded)


def gather(value: object) -> list[object]:
    """Collect one picklable object of every process, in rank order."""
    if not active():
        return [value]
    gathered: list[object] = [None] * world()
    dist.all_gather_object(gathered, value)
    return gathered


def process_is_gone(error: BaseException) -> bool:
    """Return whether an error of a collective operation says that another process has ended."""
    return isinstance(error, RuntimeError) and GONE.search(str(error)) is not None
