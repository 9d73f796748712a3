"""A backbone with trained weights, which a training may leave unchanged."""

from __future__ import annotations

from typing import Literal, Self

from ltr.contracts import Backbone

Freeze = Literal["features", "all", "none"]


class Freezable(Backbone):
    """A backbone whose weights are frozen or a start.

    A frozen one stays in evaluation mode, so its running statistics do not change. A subclass builds its layers and
    then calls `set_freeze`.
    """

    @property
    def frozen(self) -> bool:
        """Whether the weights are frozen."""
        return self.freeze != "none"

    def set_freeze(self, freeze: Freeze) -> None:
        """Freeze the weights, or let them be trained.

        Args:
            freeze: `features` trains the head only, `all` trains nothing, `none` trains everything.
        """
        before, self.freeze = self.frozen, freeze
        if self.frozen or before:  # else some parts may be fixed by design
            self.requires_grad_(not self.frozen)
        self.train()  # now, because Lightning keeps the modes of a new network

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, except for frozen parts."""
        return super().train(mode and not self.frozen)
