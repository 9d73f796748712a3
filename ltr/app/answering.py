"""A trained network that is asked about single images, as every evaluation asks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ltr.callbacks import TemperatureEnsemble
from ltr.callbacks.temperature_ensemble import averaged
from ltr.contracts import Preprocessing
from ltr.errors import InputError
from ltr.methods import Method, Tuning

COOLEST, WARMEST = 0.1, 10.0  # temperatures that may be asked for


class Answer(NamedTuple):
    """What a network says of some images, before any temperature.

    Attributes:
        logits: (B, C) of its head.
        old: (B, C) of the head that a tuning replaced; None where there was none.
    """

    logits: Tensor
    old: Tensor | None

    def columns(self, t_new: float, t_old: float) -> dict[str, Tensor]:
        """Return the probabilities (B, C) of each head and of both together, by what they are called.

        Args:
            t_new: temperature of the head.
            t_old: temperature of the head that was replaced, where there was one.

        Raises:
            InputError: where these are no temperatures.
        """
        for temperature in (t_new, t_old):
            if not COOLEST <= temperature <= WARMEST:
                raise InputError(
                    f"a temperature lies between {COOLEST:g} and {WARMEST:g}; it cannot be {temperature:g}."
                )
        new = self.logits / t_new
        if self.old is None:
            return {"Head": new.softmax(1)}
        old = self.old / t_old
        return {"Old head": old.softmax(1), "New head": new.softmax(1), "Ensemble": averaged(new, old).softmax(1)}


@dataclass(frozen=True)
class Network:
    """A trained network, in evaluation mode.

    Attributes:
        name: of its run, or its file.
        method: the network with its weights.
        look: what it must be shown.
        classes: their names, or their numbers.
        named: whether these are names.
        trainer: knows the device and the precision.
        unused: adjustments of its own that do not act here.
    """

    name: str
    method: Method
    look: Preprocessing
    classes: list[str]
    named: bool
    trainer: Trainer
    unused: list[str]

    @property
    def tuned(self) -> bool:
        """Whether it has a head that a tuning replaced."""
        return isinstance(self.method, Tuning) and bool(self.method.old_known)

    def seen(self, images: Tensor) -> Tensor:
        """Return the part of images (B, 3, size, size) uint8 that the network sees."""
        return self.look.cropped(images)

    @torch.no_grad()
    def answer(self, images: Tensor) -> Answer:
        """Answer images (B, 3, size, size) uint8 as `ltr predict` does: normalised, in its precision.

        Raises:
            InputError: where what it says is no number.
        """
        plugin, device = self.trainer.precision_plugin, self.trainer.strategy.root_device
        ready = plugin.convert_input(self.look(images.to(device)))
        with plugin.forward_context():
            output = self.method.adjusted(self.method(ready))
            old = TemperatureEnsemble.old_logits(self.method, output.features).cpu() if self.tuned else None
        answer = Answer(output.logits.float().cpu(), old)
        if not all(logits.isfinite().all() for logits in answer if logits is not None):
            raise InputError("what this network says is no number: its weights, or its normalisation, are damaged.")
        return answer
