"""The logits of a network for a whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from ltr import distributed, files
from ltr.contracts import Answer
from ltr.data import LongTailed
from ltr.methods.base import Adjustment, BaseMethod, check_defined
from ltr.methods.method import Method, MethodCallback


class Answers:
    """The answers of a test or a prediction, collected batch by batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, ...]] = []
        self.joined: list[Tensor] = []

    def add(self, answer: Answer, batch: int) -> None:
        """Keep the answers of batch number `batch`, unless another callback has added them.

        Raises:
            InputError: if the network gave NaN for an image.
        """
        if batch == len(self.batches):
            logits = answer.output.logits.float().cpu()
            check_defined(int(logits.isnan().any(1).sum()), "a batch")
            self.batches.append((logits, answer.labels.cpu(), answer.indices.cpu()))

    def gathered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (N, C), labels (N,) and positions (N,) of all processes in the order of the split.

        They must not be changed in place. Every process has to call this.
        """
        if not self.joined:
            self.joined = in_order(self.batches)
            self.batches.clear()
        logits, labels, indices = self.joined
        return logits, labels, indices


class AnswersCallback(MethodCallback):
    """Work on all answers of a test or a prediction at its end.

    All such callbacks of a trainer share one copy of the answers; on iNaturalist 2018 the logits alone take 0.8 GB.
    """

    answers: Answers

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Share one collector with the other callbacks of this kind."""
        super().setup(trainer, pl_module, stage)
        sharing = self.sharing(trainer)
        if self is sharing[0]:
            answers = Answers()
            for callback in sharing:
                callback.answers = answers

    @staticmethod
    def sharing(trainer: Trainer) -> list[AnswersCallback]:
        """Return the callbacks of this kind, in order."""
        return [other for other in getattr(trainer, "callbacks", []) if isinstance(other, AnswersCallback)]

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
        self.answers.add(outputs, batch_idx)

    on_predict_batch_end = on_test_batch_end

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Work on the answers of a test; the files of all callbacks of this kind appear together."""
        if self is (sharing := self.sharing(trainer))[0]:
            with files.together():
                for callback in sharing:
                    callback.after_test(self.method, *self.answers.gathered())

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Work on the answers of a prediction, as `on_test_end` does."""
        if self is (sharing := self.sharing(trainer))[0]:
            with files.together():
                for callback in sharing:
                    callback.after_predict(self.method, *self.answers.gathered())

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Free the answers."""
        self.answers = Answers()

    def after_test(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Work on the answers of a test, in every process.

        Args:
            method: the network.
            logits: (N, C) adjusted, float32, on the CPU, in the order of the split.
            labels: (N,) class indices.
            indices: (N,) positions in the split.
        """

    def after_predict(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Work on the answers of a prediction, in every process; see `after_test`."""


def in_order(batches: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """Join the tensors of the batches of all processes in the order of the split; every process has to call this.

    Args:
        batches: tensors (B, ...) on the CPU, the last of which are the positions in the split.
    """
    shards = distributed.gather([torch.cat(parts) for parts in zip(*batches, strict=True)])
    joined = [torch.cat(parts) for parts in zip(*shards, strict=True)]
    order = joined[-1].argsort()
    return [part[order] for part in joined]


@torch.no_grad()
def logits_of(method: BaseMethod, data: LongTailed, name: str, adjustments: Sequence[Adjustment]) -> Tensor:
    """Run a network on a split outside of its evaluation; each process works on a part of it.

    Returns:
        (N, C) logits on the CPU, after the adjustments, in the order of the split.
    """
    loader = data.plain(name)
    logits = torch.zeros(len(loader.labels), len(method.counts), device=method.device)
    with method.trainer.precision_plugin.forward_context():
        for batch in loader:
            output = method.answer(batch._replace(images=method.ready(batch.images, adjustments)))
            for adjustment in adjustments:
                output = adjustment.adjust(method, output)
            logits[batch.indices] = output.logits.float()
    return distributed.total(logits).cpu()
