"""Many heads on the same features, trained in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from ltr import seeds
from ltr.contracts import Batch, EpochAware, Loss, LossFactory, Sampler
from ltr.data.loaders import InMemoryLoader
from ltr.errors import InputError
from ltr.methods import Tuning
from ltr.seeds import Stream


class Block(NamedTuple):
    """Heads that are trained in one pass: one for each seed, learning rate and loss.

    Attributes:
        seeds: of the heads.
        lrs: learning rates.
        losses: names of the losses.
    """

    seeds: list[int]
    lrs: list[float]
    losses: list[str]

    @property
    def heads(self) -> int:
        """How many heads these are."""
        return len(self.seeds) * len(self.lrs) * len(self.losses)

    def cut(self, most: int) -> Iterator[Block]:
        """Yield blocks of at most so many heads: learning rates are parted first, then seeds, then losses."""
        for field in ("lrs", "seeds", "losses"):
            entries = getattr(self, field)
            if self.heads > most and len(entries) > 1:
                at_once = max(most * len(entries) // self.heads, 1)
                for start in range(0, len(entries), at_once):
                    yield from self._replace(**{field: entries[start : start + at_once]}).cut(most)
                return
        yield self


def train(method: Tuning, block: Block, makers: Sequence[LossFactory], *, show: bool) -> dict[str, Tensor]:
    """Train heads in one pass.

    Args:
        method: the tuning; all heads start from its head.
        block: which heads.
        makers: build its losses from the counts (C,).
        show: show a progress bar.

    Returns:
        The parameters of the head by name, each (seeds, rates, losses, ...).
    """
    losses = [make(method.counts).to(method.device) for make in makers]
    for loss in losses:
        loss.name_classes(method.data.classes)
    several = (len(block.seeds), len(losses))
    groups = [
        {
            name: nn.Parameter(value.detach().expand(*several, *value.shape).clone(), value.requires_grad)
            for name, value in method.head.named_parameters()
        }
        for _ in block.lrs
    ]
    optimizer = method.optimizer(
        [{"params": list(group.values()), "lr": lr} for group, lr in zip(groups, block.lrs, strict=True)]
    )
    epochs, steps = method.epochs, int(method.trainer.num_training_batches)
    schedule = LambdaLR(optimizer, lambda epoch: method.schedule(epoch, epochs))
    streams = [Stream(seed) for seed in block.seeds]
    samplers = [method.data.train_sampler(stream.seed) for stream in streams]
    loaders = [loader(method, *pair) for pair in zip(samplers, streams, strict=True)]
    for epoch in tqdm(range(epochs), desc=f"{block.heads} heads", unit="epoch", disable=not show, dynamic_ncols=True):
        parts: list[EpochAware] = [*samplers, *losses]
        for part in parts:
            part.set_epoch(epoch, epochs)
        for batch in islice(batches(loaders, streams, epoch), steps):
            optimizer.zero_grad()
            with method.trainer.precision_plugin.train_step_context():
                value = together(method.head, stacked(groups), losses, batch, streams)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    return {name: value.detach() for name, value in stacked(groups).items()}


def loader(method: Tuning, sampler: Sampler, stream: Stream) -> InMemoryLoader:
    """Return a loader over the training features of a run with the seed of the stream."""
    features = method.bank.features["train"]
    if method.views > 0 and stream.seed != method.seed:
        with stream.drawn():
            features = method.training_features(method.data, stream.seed)
    return method.data.training_loader(sampler, features=features)


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
