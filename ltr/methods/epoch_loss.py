"""The mean loss of an epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from ltr import distributed
from ltr.errors import InputError

CHECK_EVERY = 50  # steps on a GPU


class EpochLoss:
    """The mean loss of an epoch; stops the training if a batch has a loss that is not finite.

    The losses stay on their device until they are needed, since reading one waits for a GPU.
    """

    def __init__(self) -> None:
        self.values: list[Tensor] = []
        self.sizes: list[int] = []
        self.checked = 0

    def add(self, value: Tensor, size: int, *, epoch: int) -> None:
        """Add the mean loss of a batch.

        Args:
            value: (), the mean.
            size: samples in the batch.
            epoch: for the error.

        Raises:
            InputError: as `check` does.
        """
        self.values.append(value.detach())
        self.sizes.append(size)
        # Reading a value waits for a GPU, and costs nothing on a CPU.
        if value.device.type == "cpu" or len(self.values) % CHECK_EVERY == 0:
            self.check(epoch=epoch)

    def check(self, *, epoch: int) -> None:
        """Check the values since the last check.

        Raises:
            InputError: naming the first batch whose loss is not finite.
        """
        fresh = self.values[self.checked :]
        if fresh:
            finite = torch.stack(fresh).isfinite()
            if not finite.all():
                first = int(finite.logical_not().nonzero()[0])
                raise InputError(
                    f"the loss became {fresh[first].item()} in batch {self.checked + first} of epoch {epoch}: lower "
                    "the learning rate, or look at the data. The checkpoint of the last whole epoch is kept."
                )
        self.checked = len(self.values)

    def mean(self) -> float:
        """Return the mean over the samples of all processes."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        values = torch.stack(self.values).cpu().double()
        sums = torch.stack([(values * sizes).sum(), sizes.sum()])
        if distributed.active():
            sums = distributed.total(sums.to(self.values[0].device))
        return float(sums[0] / sums[1])
