"""The answers of an evaluation, collected once for all callbacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ltr.backbones import ResNet20
from ltr.callbacks.answers import AnswersCallback
from ltr.data import Synthetic
from ltr.methods import Method

Make = Callable[..., Trainer]


class Keep(AnswersCallback):
    """Keep what it is given."""

    def after_test(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Keep the answers of a test."""
        self.found = (logits, labels, indices)

    after_predict = after_test


@pytest.mark.parametrize("verb", ["test", "predict"])
def test_all_callbacks_share_one_copy_in_the_order_of_the_split(trainer: Make, verb: str) -> None:
    data = Synthetic(eval_batch_size=7)
    method = Method(ResNet20(width=2), data.counts)
    first, second = Keep(), Keep()
    run = trainer(callbacks=[first, second])
    for _ in range(2):  # a second evaluation starts anew
        getattr(run, verb)(method, datamodule=data)
        assert all(one is other for one, other in zip(first.found, second.found, strict=True))
        logits, labels, indices = first.found
        split = data.splits["test"]
        assert torch.equal(labels, split.labels)
        assert indices.tolist() == list(range(len(labels)))
        with torch.no_grad():
            torch.testing.assert_close(logits, method.eval()(data.prepare(split.images)).logits, rtol=1e-4, atol=1e-5)
        assert not first.answers.joined
        assert not first.answers.batches
