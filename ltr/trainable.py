"""Which weights of a network are trained, and which of its parts are in training mode."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from torch import nn

from ltr.errors import InputError

KINDS = ("bias", "norm")


def chosen(network: nn.Module, words: Collection[str], prefix: str) -> set[str]:
    """Return the names of the weights of a network that words choose.

    Args:
        network: the network.
        words: `bias` for all biases, `norm` for the weights of the normalisation layers, or beginnings of names, in
            whole parts (`backbone.layer3`, not `backbone.lay`).
        prefix: what the names of the words begin with and those in the network do not, with a dot.

    Raises:
        InputError: for a word that chooses nothing.
    """
    found = {word: {name for name in names(network) if fits(network, name, word, prefix)} for word in words}
    for word, fitting in found.items():
        if not fitting:
            some = (names(network) or [""])[0].partition(".")[0]
            raise InputError(
                f"`--model.train` names {word}, which is nothing of this backbone: pass `bias`, `norm`, or the "
                f"beginning of the name of a weight, such as {prefix}{some}."
            )
    return set().union(*found.values())


def names(network: nn.Module) -> list[str]:
    """Return the names of the weights of a network."""
    return [name for name, _ in network.named_parameters()]


def fits(network: nn.Module, name: str, word: str, prefix: str) -> bool:
    """Return whether a word chooses the weight of a name."""
    if word not in KINDS:
        return f"{prefix}{name}.".startswith(f"{word}.")
    part, _, last = name.rpartition(".")
    # Libraries have many layers of their own, with `Norm` in the names of their classes.
    return last.endswith("bias") if word == "bias" else "Norm" in type(network.get_submodule(part)).__name__


def train_only(network: nn.Module, chosen: Collection[str]) -> None:
    """Let the weights of some names be trained, and freeze all others."""
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in chosen)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and afterwards each part of it into the mode that it had."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def start_parts(network: nn.Module) -> None:
    """Switch to training mode the parts of which all weights are trained, with what they contain.

    All else is left in its mode: dropout within a frozen part, or a batch norm of which only the bias is trained.
    """
    weights = [*network.parameters()]
    if weights and all(weight.requires_grad for weight in weights):
        nn.Module.train(network)
        return
    for part in network.children():
        start_parts(part)
