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

COOLEST, WARMEST = 0.1, 10.0  # temperatures that the page allows


class Look(NamedTuple):
    """What a network must be shown.

    Attributes:
        size: height and width to which the middle square of an image is brought.
        crop: height and width of the middle of it that the network sees; None for the whole.
        mean: means of the channels of pixels in [0, 1].
        std: their standard deviations.
    """

    size: int
    crop: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Prediction(NamedTuple):
    """The logits of a network for some images, before any temperature.

    Attributes:
        logits: (B, C) of its head.
        old: (B, C) of the head that a tuning replaced; None where there was none.
    """

    logits: Tensor
    old: Tensor | None

    def columns(self, t_new: float, t_old: float) -> dict[str, Tensor]:
        """Return the probabilities (B, C) of each head and of their ensemble, by title.

        Args:
            t_new: temperature of the head.
            t_old: temperature of the head that was replaced, where there was one.

        Raises:
            InputError: if a temperature is out of range.
        """
        for temperature in (t_new, t_old):
            if not COOLEST <= temperature <= WARMEST:
                raise InputError(f"a temperature must be between {COOLEST:g} and {WARMEST:g}, not {temperature:g}.")
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
    def predict(self, images: Tensor) -> Prediction:
        """Return the logits for images (B, 3, size, size) uint8, as `ltr predict` computes them.

        Raises:
            InputError: if a logit is not finite.
        """
        plugin, device = self.trainer.precision_plugin, self.trainer.strategy.root_device
        ready = plugin.convert_input(self.look(images.to(device)))
        with plugin.forward_context():
            output = self.method.adjusted(self.method(ready))
            old = TemperatureEnsemble.old_logits(self.method, output.features).cpu() if self.tuned else None
        prediction = Prediction(output.logits.float().cpu(), old)
        if not all(logits.isfinite().all() for logits in prediction if logits is not None):
            raise InputError("the logits of this network are not finite: its weights or its normalisation are damaged.")
        return prediction
