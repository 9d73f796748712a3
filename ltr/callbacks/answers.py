"""What a network answers to a whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ltr import distributed
from ltr.contracts import Answer
from ltr.data import LongTailed
from ltr.methods.method import Adjustment, Method


class Answers(Callback):
    """Keep the answers of a test or a prediction until its end."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the answers of a batch."""
        answer: Answer = outputs
        self.answers.append((answer.output.logits.float().cpu(), answer.labels.cpu(), answer.indices.cpu()))

    on_predict_batch_end = on_test_batch_end

    def gathered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (N, C), labels (N,) and positions (N,) of all processes in the order of the split.

        Every process has to call this.
        """
        logits, labels, indices = in_order(self.answers)
        self.answers.clear()
        return logits, labels, indices


def in_order(batches: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """Join what was kept of the batches of all processes, in the order of the split; every process has to call this.

    Args:
        batches: tensors (B, ...) on the CPU, of which the last are the positions in the split.
    """
    shards = distributed.gather([torch.cat(parts) for parts in zip(*batches, strict=True)])
    joined = [torch.cat(parts) for parts in zip(*shards, strict=True)]
    order = joined[-1].argsort()
    return [part[order] for part in joined]


@torch.no_grad()
def logits_of(method: Method, data: LongTailed, name: str, adjustments: Sequence[Adjustment]) -> Tensor:
    """Ask a network about a split apart from its evaluation, each process about a part of it.

    Args:
        method: the network.
        data: its data.
        name: the split.
        adjustments: which of its adjustments act.

    Returns:
        (N, C) logits on the CPU, in the order of the split.
    """
    loader = data.plain(name)
    logits = torch.zeros(len(loader.labels), len(method.counts), device=method.device)
    with method.trainer.precision_plugin.forward_context():
        for batch in loader:
            output = method.answer(method.prepared(batch))
            for adjustment in adjustments:
                output = adjustment.adjust(method, output)
            logits[batch.indices] = output.logits.float()
    return distributed.total(logits).cpu()
