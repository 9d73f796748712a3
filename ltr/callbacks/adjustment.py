"""What may vary at test time, as callbacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ltr.contracts import Output
from ltr.data import LongTailed
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

    def prepare(self, method: Method, data: LongTailed) -> None:
        """Compute what the adjustment needs, once the weights are there.

        Raises:
            InputError: where the adjustment has no meaning for the method or the data.
        """

    def before(self, method: Method) -> list[Adjustment]:
        """Return the adjustments that act before this one."""
        place: int = method.adjustments.index(self)
        return method.adjustments[:place]

    def _begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepare for an evaluation; those within a training are not adjusted."""
        if isinstance(pl_module, Method) and trainer.state.fn != "fit":
            self.prepare(pl_module, pl_module.data)

    on_validation_start = on_test_start = on_predict_start = _begin

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take a place in the evaluation path."""
        if isinstance(pl_module, Method) and stage != "fit":
            pl_module.adjustments.append(self)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the evaluation path."""
        if isinstance(pl_module, Method) and self in pl_module.adjustments:
            pl_module.adjustments.remove(self)
