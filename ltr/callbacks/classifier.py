"""The classifier that a callback works on."""

from __future__ import annotations

from torch import nn

from ltr.errors import InputError
from ltr.heads import Linear
from ltr.methods.base import BaseMethod


def linear_classifier(method: BaseMethod) -> nn.Linear:
    """Return the linear classifier of a method.

    Raises:
        InputError: if its classifier is of another kind.
    """
    head = method.head.classifier
    if not isinstance(head, Linear):
        raise InputError(f"the classifier must be a Linear head, and this one is {type(head).__name__}.")
    return head.fc
