"""The answers of an evaluation, collected once for all callbacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ltr import files
from ltr.backbones import ResNet20
from ltr.callbacks import Evaluation
from ltr.callbacks.answers import AnswersCallback
from ltr.data import Synthetic
from ltr.errors import InputError
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


class Broken(AnswersCallback):
    """Fail once all other files of an evaluation are written."""

    def after_test(self, method: Method, logits: Tensor, labels: Tensor, indices: Tensor) -> None:
        """Write a value that cannot be written."""
        files.write_json(Path(method.trainer.default_root_dir) / "metrics.json", {"tau": float("inf")})

    after_predict = after_test


@pytest.mark.parametrize("verb", ["test", "predict"])
def test_an_evaluation_is_written_whole_or_not_at_all(trainer: Make, tmp_path: Path, verb: str) -> None:
    data = Synthetic()

    def evaluate(method: Method, *others: AnswersCallback) -> dict[str, bytes]:
        run = trainer(callbacks=[Evaluation(tmp_path), *others])
        getattr(run, verb)(method, datamodule=data)
        return content()

    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    first, second = (Method(ResNet20(width=2), data.counts) for _ in range(2))
    before = evaluate(first)
    with pytest.raises(InputError, match="tau has NaN or an infinite number"):
        evaluate(second, Broken())
    assert content() == before
    assert evaluate(second) != before


@pytest.mark.parametrize("verb", ["test", "predict", "validate"])
def test_a_network_that_gives_nan_is_not_measured(trainer: Make, tmp_path: Path, verb: str) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts)
    with torch.no_grad():
        method.head.fc.weight[1] = torch.nan
    with pytest.raises(InputError, match="the network gives NaN for"):
        getattr(trainer(callbacks=[Evaluation(tmp_path)]), verb)(method, datamodule=data)
    assert not [*tmp_path.iterdir()]
