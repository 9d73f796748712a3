"""The keys of the last batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltr.errors import InputError
from ltr.losses.paco import Memory


class KeyQueue(nn.Module):
    """Keep the latest keys and their labels, first in, first out; all of it is in checkpoints.

    Batches of any size go in. Places that were never filled have the label -1.

    Args:
        size: K, how many keys are kept.
        dim: P, size of a key.
    """

    embeddings: Tensor
    labels: Tensor
    pushed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1:
            raise InputError(f"a queue of {size} keys keeps none: give it at least one place.")
        self.register_buffer("embeddings", torch.zeros(size, dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("pushed", torch.tensor(0))

    @property
    def memory(self) -> Memory:
        """The keys as they lie, in no order of time."""
        return Memory(self.embeddings, self.labels)

    @torch.no_grad()
    def push(self, keys: Tensor, labels: Tensor) -> None:
        """Replace the oldest keys.

        Args:
            keys: (N, P), the oldest first; of more than the queue holds, the last ones stay.
            labels: (N,) class indices.
        """
        size, new = len(self.labels), len(labels)
        kept = min(size, new)
        places = (self.pushed + torch.arange(new - kept, new, device=labels.device)) % size
        self.embeddings[places] = keys[new - kept :].to(self.embeddings)
        self.labels[places] = labels[new - kept :]
        self.pushed += new
