"""Batches and losses of many heads, over seeds and learning rates at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ltr import seeds
from ltr.contracts import Batch, Loss
from ltr.data.loaders import InMemoryLoader
from ltr.errors import InputError
from ltr.seeds import Stream


def stacked(groups: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the parameters (seeds, losses, ...) of each learning rate to (seeds, rates, losses, ...)."""
    return {name: torch.stack([group[name] for group in groups], 1) for name in groups[0]}


def batches(loaders: Sequence[InMemoryLoader], streams: Sequence[Stream], epoch: int) -> Iterator[Batch]:
    """Yield the batches of an epoch for all seeds at once: features (seeds, B, D) and labels (seeds, B).

    Args:
        loaders: one for each seed, over cached features.
        streams: the random generators of a run with each seed.
        epoch: from 0.
    """
    epochs = [batches_of(*pair, epoch) for pair in zip(loaders, streams, strict=True)]
    for batch_per_seed in zip(*epochs, strict=True):
        yield Batch(*(torch.stack(fields) for fields in zip(*batch_per_seed, strict=True)))


def batches_of(loader: InMemoryLoader, stream: Stream, epoch: int) -> Iterator[Batch]:
    """Yield the batches of an epoch in a run with the seed of the stream."""
    with stream.drawn():
        seeds.reseed(stream.seed, epoch)
    steps = iter(loader)
    while True:
        with stream.drawn():
            batch = next(steps, None)
        if batch is None:
            return
        yield batch


def together(
    head: nn.Module, heads: Mapping[str, Tensor], losses: Sequence[Loss], batch: Batch, streams: Sequence[Stream]
) -> Tensor:
    """Return () the sum over all heads of their mean losses, so that each gets its own gradient.

    Args:
        head: a head of the class of all of them.
        heads: their parameters, (seeds, rates, losses, ...) by name.
        losses: one for each entry of the third dimension.
        batch: cached features (seeds, B, D) and labels (seeds, B).
        streams: the random generators of a run with each seed.

    Raises:
        InputError: for a loss that cannot be computed for several heads at once.
    """
    values = [
        means(head, {name: value[:, :, index] for name, value in heads.items()}, loss, batch, streams)
        for index, loss in enumerate(losses)
    ]
    return torch.stack(values).sum()


def means(head: nn.Module, heads: Mapping[str, Tensor], loss: Loss, batch: Batch, streams: Sequence[Stream]) -> Tensor:
    """Return (seeds, rates) the mean losses of heads (seeds, rates, ...) with the same loss."""

    def mean(parameters: dict[str, Tensor], features: Tensor, labels: Tensor) -> Tensor:
        return loss(functional_call(head, parameters, (features,)), labels).mean()

    over_rates = vmap(mean, in_dims=(0, None, None), randomness="same")
    features, labels = batch.features, batch.labels
    assert features is not None

    def at_once() -> Tensor:
        value: Tensor = vmap(over_rates, randomness="error")(dict(heads), features, labels)
        return value

    def in_turns() -> Tensor:
        values = []
        for index, stream in enumerate(streams):
            with stream.drawn():
                parameters = {name: value[index] for name, value in heads.items()}
                values.append(over_rates(parameters, features[index], labels[index]))
        return torch.stack(values)

    # In turns if the loss has random numbers, which each seed draws for itself, or shapes that depend on the labels.
    for compute in (at_once, in_turns):
        try:
            return compute()
        except RuntimeError as error:
            if "vmap" not in str(error):
                raise
            cause = error
    raise InputError(
        f"{type(loss).__name__} cannot be computed for several heads at once: leave it out of the grid, and tune with "
        "it alone."
    ) from cause
