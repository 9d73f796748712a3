"""The second stage of MiSLAS: its recipe from the command line, and its parts against a step by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tiny import small
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD

from ltr.backbones import Pretrained, ResNet20
from ltr.data import Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import LWS
from ltr.losses import LabelAwareSmoothing
from ltr.methods import Tuning
from ltr.samplers import ClassAware

Make = Callable[..., Trainer]
# Lightning wonders at modules in evaluation mode; that a frozen backbone stays in it is the point.
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")


class Watch(Callback):
    """Keep the model as the training begins, and its batches and losses."""

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.losses: list[float] = []
        self.begin: Tuning | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.begin = copy.deepcopy(module)  # type: ignore[assignment]

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any, batch, index: int) -> None:
        self.batches.append((batch.images.clone(), batch.labels.clone()))
        self.losses.append(outputs["loss"].item())


def second_stage(run_file: Path, data: Synthetic, *, shift_bn: bool = True, **options: Any) -> Tuning:
    """Return the second stage of the recipe, with epsilon 0 where nothing is said, on a run of five classes."""
    defaults: dict[str, Any] = {
        "head": lambda dim, classes: LWS(dim, classes, freeze=False),
        "loss": lambda counts: LabelAwareSmoothing(counts, head=0.0, tail=0.0),
        "optimizer": lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=2e-4),
        "rates": {"head.fc": 0.2},
        "cache": False,
    }
    backbone = Pretrained(str(run_file), ResNet20(width=2), shift_bn=shift_bn)
    return Tuning(backbone, data.counts, **(defaults | options))


def moved(model: Tuning, watch: Watch) -> set[str]:
    """Return the names of the tensors that a training has changed."""
    assert watch.begin is not None
    before = watch.begin.state_dict()
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


HEAD = {"head.fc.weight", "head.fc.bias", "head.scale"}


@pytest.mark.parametrize("shift_bn", [True, False])
def test_statistics_move_where_asked_and_weights_of_the_head_alone(
    run_file: Path, trainer: Make, shift_bn: bool
) -> None:
    data, watch = Synthetic(sampler=lambda labels: ClassAware(labels, whole=False)), Watch()
    model = second_stage(run_file, data, shift_bn=shift_bn)
    trainer(3, callbacks=[watch], check_val_every_n_epoch=2).fit(model, datamodule=data)
    statistics = {name for name, _ in model.backbone.named_buffers(prefix="backbone")}
    assert len(statistics) == 3 * 19, "the batch norms of a ResNet-20"
    assert moved(model, watch) == (HEAD | statistics if shift_bn else HEAD)
    if shift_bn:  # in the first epoch, and after the evaluation within the training too
        assert watch.begin is not None
        before, after = (part.backbone.backbone.bn1.num_batches_tracked for part in (watch.begin, model))
        assert after - before == len(watch.batches) == 9


def test_the_first_loss_is_the_cross_entropy_of_the_old_network(run_file: Path, trainer: Make) -> None:
    data, watch = Synthetic(augment=Plain()), Watch()
    trainer(1, callbacks=[watch]).fit(second_stage(run_file, data), datamodule=data)
    old = watch.begin
    assert old is not None
    images, labels = watch.batches[0]
    old.backbone.backbone.train()
    with torch.no_grad():
        logits = old.old_head(old.backbone(images)).logits
    assert watch.losses[0] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)


def test_a_step_is_the_one_by_hand(run_file: Path, trainer: Make) -> None:
    data, watch = Synthetic(batch_size=64, augment=Plain()), Watch()
    model = second_stage(run_file, data)
    trainer(1, callbacks=[watch]).fit(model, datamodule=data)
    begin = watch.begin
    assert begin is not None
    ((images, labels),) = watch.batches
    with torch.no_grad():
        features = begin.backbone.backbone.train()(images)
    weight, bias, scale = (begin.head.state_dict()[key].requires_grad_() for key in ("fc.weight", "fc.bias", "scale"))
    F.cross_entropy(scale * (features @ weight.T + bias), labels).backward()
    for name, start, rate in (("fc.weight", weight, 0.02), ("fc.bias", bias, 0.02), ("scale", scale, 0.1)):
        assert start.grad is not None
        expected = start.detach() - rate * (start.grad + 2e-4 * start.detach())
        torch.testing.assert_close(model.state_dict()[f"head.{name}"], expected, rtol=1e-4, atol=1e-6, msg=name)
        assert (expected - start).abs().max() > 1e-4, "it is a step"


def test_shifted_features_are_not_cached(run_file: Path, trainer: Make) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=r"pass `--model\.cache false`, or freeze the backbone with its batch norm"):
        trainer(1).fit(second_stage(run_file, data, cache=True), datamodule=data)


@pytest.mark.parametrize("freeze", ["all", "none"])
def test_only_frozen_features_are_shifted(run_file: Path, freeze: Any) -> None:
    with pytest.raises(InputError, match=r"shift_bn updates the statistics .*`--model\.backbone\.freeze features`"):
        Pretrained(str(run_file), ResNet20(width=2), freeze, shift_bn=True)


def test_shifting_reaches_the_batch_norm_alone(run_file: Path) -> None:
    model = second_stage(run_file, Synthetic()).train()
    training = {name for name, module in model.backbone.named_modules() if module.training}
    assert len(training) == 19
    assert all("bn" in name for name in training)
    assert not any(module.training for module in model.eval().modules())


def test_the_recipe_trains_what_it_says(tiny, ltr, capsys) -> None:
    assert tiny("--name start --trainer.max_epochs 1") == 0
    capsys.readouterr()
    words = (
        f"fit --config mislas.yaml --model.backbone.checkpoint start {small('--model.backbone.backbone')} "
        "--data Synthetic --data.imbalance 4 --data.batch_size 16 "
        "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false --name stage2"
    )
    assert ltr(words, "--trainer.max_epochs 2") == 0
    start, end = (torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True) for name in ("start", "stage2"))
    for key, value in start["state_dict"].items():
        if key.startswith("backbone."):
            same = torch.equal(value, end["state_dict"][key.replace("backbone.", "backbone.backbone.", 1)])
            assert same == ("running" not in key and "num_batches" not in key), key
        if key.startswith("head."):
            assert not torch.equal(value, end["state_dict"][key]), key
    assert (end["state_dict"]["head.scale"] != 1).all()
    groups = end["optimizer_states"][0]["param_groups"]
    assert [group["initial_lr"] for group in groups] == pytest.approx([0.1, 0.02])
    assert [len(group["params"]) for group in groups] == [1, 2], "the scale, and the weights it scales"
