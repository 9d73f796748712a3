"""The batches and the losses of many heads, over seeds and learning rates at once."""

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
    """Return parameters (seeds, losses, ...) of each learning rate as one (seeds, rates, losses, ...) by name."""
    return {name: torch.stack([group[name] for group in groups], 1) for name in groups[0]}


def batches(loaders: Sequence[InMemoryLoader], streams: Sequence[Stream], epoch: int) -> Iterator[Batch]:
    """Yield the batches of an epoch, of all seeds at once: features (seeds, B, D) and labels (seeds, B).

    Args:
        loaders: one for each seed, over cached features.
        streams: what a run of each seed draws.
        epoch: of the run, from 0.
    """
    each = [drawn(*pair, epoch) for pair in zip(loaders, streams, strict=True)]
    for together in zip(*each, strict=True):
        yield Batch(*(torch.stack(parts) for parts in zip(*together, strict=True)))


def drawn(loader: InMemoryLoader, stream: Stream, epoch: int) -> Iterator[Batch]:
    """Yield the batches of an epoch as a run of the stream's seed draws them."""
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
    """Return () the sum over all heads of their mean losses, so that each has the gradient it would have alone.

    Args:
        head: of the kind of all of them.
        heads: their parameters, (seeds, rates, losses, ...) by name.
        losses: one for each of the third dimension.
        batch: cached features (seeds, B, D) and labels (seeds, B).
        streams: what a run of each seed draws.

    Raises:
        InputError: for a loss that cannot be computed for several heads at once.
    """
    values = []
    for position, loss in enumerate(losses):
        own = {name: value[:, :, position] for name, value in heads.items()}
        values.append(means(head, own, loss, batch, streams))
    return torch.stack(values).sum()


def means(head: nn.Module, heads: Mapping[str, Tensor], loss: Loss, batch: Batch, streams: Sequence[Stream]) -> Tensor:
    """Return (seeds, rates) the mean losses of heads (seeds, rates, ...) of one loss."""

    def mean(own: dict[str, Tensor], features: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = loss(functional_call(head, own, (features,)), labels).mean()
        return value

    over_rates = vmap(mean, in_dims=(0, None, None), randomness="same")
    features, labels = batch.features, batch.labels
    assert features is not None

    def at_once() -> Tensor:
        value: Tensor = vmap(over_rates, randomness="error")(dict(heads), features, labels)
        return value

    def in_turns() -> Tensor:
        values = []
        for place, stream in enumerate(streams):
            with stream.drawn():
                values.append(
                    over_rates({name: value[place] for name, value in heads.items()}, features[place], labels[place])
                )
        return torch.stack(values)

    # In turns where a loss draws, as every seed does for itself, or where its shapes depend on the labels.
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
