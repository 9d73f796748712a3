"""The classifier that a callback works on."""

from __future__ import annotations

from lightning.pytorch import LightningModule
from torch import nn

from ltr.errors import InputError
from ltr.heads import Linear
from ltr.methods import Method


def linear_classifier(method: LightningModule) -> nn.Linear:
    """Return the linear classifier of a method.

    Args:
        method: the method.

    Raises:
        InputError: if the rows of its weights do not mean what those of a linear layer do.
    """
    assert isinstance(method, Method)
    head = method.head.classifier
    if not isinstance(head, Linear):
        raise InputError(f"the rows of a Linear head are needed, and this head is {type(head).__name__}.")
    return head.fc
