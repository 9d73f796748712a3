"""What may vary at test time, as callbacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ltr.contracts import Output
from ltr.methods import Method


class Adjustment(Callback, ABC):
    """Change the outputs of a network wherever it is evaluated: validation, test, prediction; never in training.

    Several adjustments act in the order of the list of callbacks.
    """

    @abstractmethod
    def adjust(self, method: Method, output: Output) -> Output:
        """Return the output with adjusted logits (B, C)."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a result must say of the adjustment."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take a place in the evaluation path."""
        if isinstance(pl_module, Method) and stage != "fit":
            pl_module.adjustments.append(self)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the evaluation path."""
        if isinstance(pl_module, Method) and self in pl_module.adjustments:
            pl_module.adjustments.remove(self)
