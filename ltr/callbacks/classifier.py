"""The classifier that a callback works on."""

from __future__ import annotations

from lightning.pytorch import LightningModule
from torch import nn

from ltr.errors import InputError
from ltr.heads import Linear
from ltr.methods import Method


def linear_classifier(method: LightningModule, user: str) -> nn.Linear:
    """Return the linear classifier of a method.

    Args:
        method: the method.
        user: who needs it, for the error.

    Raises:
        InputError: where its head has none whose rows mean what those of a linear one do.
    """
    assert isinstance(method, Method)
    head = method.head.classifier
    if not isinstance(head, Linear):
        raise InputError(f"{user} is for the rows of a Linear head, and this head is {type(head).__name__}.")
    return head.fc
