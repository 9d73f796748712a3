"""Two streams of images through two branches of one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ltr.backbones import ResNet20
from ltr.contracts import Batch
from ltr.data import CropFlip, MultiView, Synthetic
from ltr.errors import InputError
from ltr.losses import GML, BalancedSoftmax
from ltr.methods import BBN
from ltr.mixes import Mixup
from ltr.samplers import Bilateral
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
COUNTS = [30, 9, 3]
IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(2))
LABELS = torch.tensor([0, 2, 0, 1, 1, 2, 0, 0])


def alone(model: BBN, image: Tensor, branch: str) -> Tensor:
    """Return the feature of one image in one branch."""
    maps = image[None]
    for stage in model.backbone.shared:
        maps = getattr(model.backbone, stage)(maps)
    feature: Tensor = getattr(model.backbone, branch)(maps)[0].mean((1, 2))
    return feature


@torch.no_grad()
@pytest.mark.parametrize("share", [1.0, 0.75, 0.2])
def test_a_step_pair_by_pair(share: float) -> None:
    """Zhou et al., equations 3 and 4, one pair at a time."""
    model = BBN(ResNet20(width=2), COUNTS, loss=BalancedSoftmax).eval()
    model.share = share
    found = model.training_step(Batch(IMAGES, LABELS, LABELS), 0)
    prior = (torch.tensor(COUNTS) / sum(COUNTS)).log()
    total, right = 0.0, 0
    for pair in range(4):
        uniform, reverse = alone(model, IMAGES[2 * pair], "cb_block"), alone(model, IMAGES[2 * pair + 1], "rb_block")
        feature = torch.cat([2 * share * uniform, 2 * (1 - share) * reverse])
        logits = model.head.fc.weight @ feature + model.head.fc.bias
        first, second = int(LABELS[2 * pair]), int(LABELS[2 * pair + 1])
        value = -(logits + prior).log_softmax(0)
        total += float(share * value[first] + (1 - share) * value[second])
        right += int(logits.argmax()) == (first if share >= 0.5 else second)
    assert found.item() == pytest.approx(total / 4, rel=1e-5)
    assert int(model.recalls["train"].hits.sum()) == right
    assert model.epoch_loss.sizes == [4], "a pair counts once"
    assert model.epoch_loss.mean() == pytest.approx(total / 4, rel=1e-5)


def test_an_evaluation_shows_one_image_to_both_branches() -> None:
    model = BBN(ResNet20(width=2), COUNTS).eval()
    feature = torch.cat([alone(model, IMAGES[0], branch) for branch in ("cb_block", "rb_block")])
    torch.testing.assert_close(model(IMAGES).logits[0], model.head.fc(feature))
    assert model(IMAGES).features.shape == (8, 16)


def test_the_streams_have_statistics_of_their_own() -> None:
    """The shared part is passed twice, as in the official code, so that its batch norm never averages over both."""
    model = BBN(ResNet20(width=2), COUNTS).train()
    model.training_step(Batch(IMAGES, LABELS, LABELS), 0)
    passes = {
        name: int(module.bn1.num_batches_tracked)
        for name, module in model.backbone.named_children()
        if name in ("cb_block", "rb_block")
    }
    assert passes == {"cb_block": 1, "rb_block": 1}
    assert int(model.backbone.bn1.num_batches_tracked) == 2


def data(**options: Any) -> Synthetic:
    return Synthetic(**{"sampler": Bilateral, "batch_size": 16} | options)


def method(**options: Any) -> BBN:
    return BBN(ResNet20(width=2), Synthetic().counts, **{"schedule": Cosine()} | options)


def test_the_share_falls_with_the_square_of_the_time(trainer: Make) -> None:
    shares, batches = [], []

    class Watch(Callback):
        def on_train_batch_end(
            self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
        ) -> None:
            if index == 0:
                shares.append(module.share)
            batches.append(len(batch.labels))

    trainer(4, callbacks=[Watch()]).fit(method(), datamodule=data())
    assert shares == [1, 15 / 16, 12 / 16, 7 / 16]
    assert sum(batches) == 4 * 2 * sum(Synthetic().counts)


def test_what_holds_no_pairs_is_refused(trainer: Make) -> None:
    with pytest.raises(InputError, match=r"needs pairs of images: pass `--data.sampler Bilateral`"):
        trainer(1).fit(method(), datamodule=Synthetic())
    with pytest.raises(InputError, match=r"an even `--data.batch_size`, not 15"):
        trainer(1).fit(method(), datamodule=data(batch_size=15))
    with pytest.raises(InputError, match="BBN pairs single images"):
        trainer(1).fit(method(), datamodule=data(augment=MultiView([CropFlip(), CropFlip()])))
    with pytest.raises(InputError, match="leave out the mix"):
        method(mix=Mixup)
    with pytest.raises(InputError, match="GML has no meaning for a pair with two labels"):
        method(loss=GML)


def test_both_branches_learn(trainer: Make) -> None:
    model = method()
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    trainer(3).fit(model, datamodule=data())
    for branch in ("cb_block", "rb_block"):
        name = f"{branch}.conv1.weight"
        assert not torch.equal(model.backbone.state_dict()[name], before[name])
