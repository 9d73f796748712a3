"""Sampling balanced by class activation maps: the maps as a loop, how often images are reworked, in a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor, distributed

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import CAMSampling, cam
from ltr.callbacks.cam import activation_maps, foregrounds
from ltr.contracts import Backbone, Batch
from ltr.data import Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import Cosine
from ltr.losses import CrossEntropy
from ltr.methods import Method, Tuning
from ltr.schedules import Cosine as CosineSchedule

Make = Callable[..., Trainer]


class Watch(Callback):
    """Look at a training that has begun, and at the images of its steps."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.modes = [part.training for part in module.modules()]
        self.start = {key: value.clone() for key, value in module.state_dict().items()}

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Batch, index: int) -> None:
        self.images.append(batch.images)


class Pixels(Backbone):
    """A backbone without feature maps."""

    dim = 3 * 64

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def tuning(run_file: Path, data: Synthetic, **options: Any) -> Tuning:
    """Return a second stage that goes on with the whole network of the run."""
    backbone = Pretrained(str(run_file), ResNet20(width=2), "none")
    return Tuning(backbone, data.counts, cache=False, loss=CrossEntropy, **options)


def test_the_activation_map_as_a_loop() -> None:
    maps, weights = torch.randn(4, 5, 3, 2), torch.randn(4, 5)
    found = activation_maps(maps, weights, torch.Size([9, 8]))
    for one, weight, result in zip(maps.tolist(), weights.tolist(), found, strict=True):
        weighted = list(zip(weight, one, strict=True))
        said = [[sum(w * plane[y][x] for w, plane in weighted) for x in range(2)] for y in range(3)]
        low, high = min(map(min, said)), max(map(max, said))
        scaled = np.array([[(value - low) / (high - low) for value in row] for row in said], dtype=np.float32)
        expected = np.asarray(Image.fromarray(scaled).resize((8, 9), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)


def test_a_flat_map_is_all_foreground() -> None:
    flat = activation_maps(torch.ones(1, 2, 3, 3), torch.ones(1, 2), torch.Size([6, 6]))
    assert torch.equal(flat, torch.zeros(1, 6, 6))


@pytest.mark.parametrize(("threshold", "crop"), [(0.75, None), (1.5, None), (0.75, 4)])
def test_the_foregrounds_are_those_of_the_network_that_was_loaded(
    run_file: Path, trainer: Make, threshold: float, crop: int | None
) -> None:
    border = 0 if crop is None else (8 - crop) // 2
    data, watch, callback = Synthetic(eval_batch_size=7), Watch(), CAMSampling(threshold)
    data.crop = crop
    trainer(1, callbacks=[callback, watch]).fit(tuning(run_file, data), datamodule=data)
    network = Method(ResNet20(width=2), data.counts)
    network.load_state_dict(torch.load(run_file)["state_dict"])
    network.eval()
    seen: list[Tensor] = []
    network.backbone.layer3.register_forward_hook(lambda *passed: seen.append(passed[-1].detach()))
    split = data.splits["train"]
    assert callback.masks is not None
    assert callback.masks.shape == (sum(data.counts), 8, 8)
    for image, label, mask in zip(split.images, split.labels, callback.masks, strict=True):
        network(data.prepare(image[None]))
        assert not border or not mask[:border].any(), "what the network does not see is no foreground"
        mask = mask[border : 8 - border, border : 8 - border]
        map_ = activation_maps(seen[-1], network.head.fc.weight[label][None], mask.shape)[0]
        sure = (map_ - threshold * map_.mean()).abs() > 1e-4
        assert torch.equal(mask[sure], (map_ >= threshold * map_.mean())[sure])
    assert all(watch.modes), "the training goes on in training mode"
    for key, value in torch.load(run_file)["state_dict"].items():
        if key.startswith("backbone."):
            assert torch.equal(watch.start[key.replace("backbone.", "backbone.backbone.")], value), key


def test_how_often_an_image_is_reworked(monkeypatch: pytest.MonkeyPatch, within_four_sigma) -> None:
    counts = torch.tensor([90, 30, 10, 1])
    callback = CAMSampling()
    callback.masks, callback.chances = torch.ones(1, 2, 2, dtype=torch.bool), cam.rework_chances(counts)
    monkeypatch.setattr(cam, "move", lambda images, *_: 255 - images)
    labels = torch.arange(4).repeat_interleave(5000)
    batch = Batch(torch.zeros(20000, 3, 2, 2, dtype=torch.uint8), labels, torch.zeros(20000, dtype=torch.int64))
    reworked = callback.move_foregrounds(batch).images[:, 0, 0, 0] == 255
    for label, count in enumerate(counts.tolist()):
        found = reworked[labels == label].sum()
        share = (90 + 1 - count) / (90 + 1)
        assert within_four_sigma(torch.stack([found, 5000 - found]), torch.tensor([share, 1 - share])), count


def test_only_the_images_of_training_steps_are_reworked(trainer: Make) -> None:
    data, watch, callback = Synthetic(augment=Plain(), largest=40, imbalance=40), Watch(), CAMSampling()
    calls: list[int] = []
    original = callback.move_foregrounds

    def rework(batch: Batch) -> Batch:
        calls.append(len(batch.labels))
        return original(batch)

    callback.move_foregrounds = rework  # type: ignore[method-assign]
    method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
    trainer(2, callbacks=[callback, watch]).fit(method, datamodule=data)
    assert sum(calls) == 2 * sum(data.counts)
    plain = data.prepare(data.splits["train"].images)
    shown = torch.cat(watch.images)
    known = (shown[:, None] == plain[None]).flatten(2).all(2).any(1)
    assert 0.2 < known.double().mean() < 0.9, "some are as they were, some are not"
    assert not method.pre_augment_hooks, "the method is left as it was"


def test_a_failed_training_does_not_change_the_next_one(trainer: Make) -> None:
    hooks: list[int] = []

    class Count(Callback):
        def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
            assert isinstance(module, Method)
            hooks.append(len(module.pre_augment_hooks))

    class Fail(Callback):
        def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
            raise RuntimeError("enough")

    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, schedule=CosineSchedule())
    with pytest.raises(RuntimeError, match="enough"):
        trainer(1, callbacks=[CAMSampling(), Count(), Fail()]).fit(method, datamodule=data)
    trainer(1, callbacks=[Count()]).fit(method, datamodule=data)
    assert hooks == [1, 0]


def test_a_resumed_run_keeps_its_foregrounds(run_file: Path, trainer: Make, tmp_path: Path) -> None:
    data, first, again, path = Synthetic(), CAMSampling(), CAMSampling(), tmp_path / "half"
    start = trainer(1, callbacks=[first])
    start.fit(tuning(run_file, data), datamodule=data)
    start.save_checkpoint(path)
    content = torch.load(path, weights_only=True)["callbacks"]["CAMSampling"]
    assert content["masks"].numel() == -(-sum(data.counts) * 64 // 8), "eight pixels in a byte"
    model = tuning(run_file, data)
    trainer(2, callbacks=[again]).fit(model, datamodule=data, ckpt_path=path)
    assert torch.equal(again.masks, first.masks)
    trainer(1, callbacks=[again]).fit(Method(model.backbone, data.counts, schedule=CosineSchedule()), datamodule=data)
    assert not torch.equal(again.masks, first.masks), "another training finds its own"


def test_masks_of_any_size_survive_a_checkpoint() -> None:
    first, again = CAMSampling(), CAMSampling()
    again.load_state_dict(first.state_dict())
    assert again.masks is None
    first.masks = torch.rand(3, 5, 7) < 0.5
    again.load_state_dict(first.state_dict())
    assert torch.equal(again.masks, first.masks)


def test_other_heads_are_refused(trainer: Make) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts, head=Cosine, schedule=CosineSchedule())
    with pytest.raises(InputError, match=r"must be a Linear head, and this one is Cosine\. Leave out `CAMSampling`"):
        trainer(1, callbacks=[CAMSampling()]).fit(method, datamodule=data)


def test_a_backbone_without_maps_is_refused(trainer: Make) -> None:
    data = Synthetic()
    method = Method(Pixels(), data.counts, schedule=CosineSchedule())
    with pytest.raises(InputError, match="works between the stages of a network, which Pixels does not name"):
        trainer(1, callbacks=[CAMSampling()]).fit(method, datamodule=data)


@pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")
def test_cached_features_are_refused(run_file: Path, trainer: Make) -> None:
    data = Synthetic()
    model = Tuning(Pretrained(str(run_file), ResNet20(width=2)), data.counts)
    with pytest.raises(InputError, match=r"not cached features: pass `--model\.cache false`"):
        trainer(1, callbacks=[CAMSampling()]).fit(model, datamodule=data)


def masks_of(run_file: str) -> Tensor:
    """Return the foregrounds of the training split by the network of the run."""
    data = Synthetic(eval_batch_size=7)
    data.setup()
    method = Method(ResNet20(width=2), data.counts)
    method.load_state_dict(torch.load(run_file)["state_dict"])
    method.preprocessing = data.preprocessing
    method.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    return foregrounds(method, method.head.fc, data, 0.75)


def work(rank: int, run_file: str, folder: str) -> None:
    """Write what one of two processes finds."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(masks_of(run_file), f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


def test_two_processes_find_what_one_does(in_two_processes, run_file: Path, tmp_path: Path) -> None:
    in_two_processes(work, str(run_file), str(tmp_path))
    alone = masks_of(str(run_file))
    assert 0.1 < alone.double().mean() < 0.9
    for rank in range(2):
        together = torch.load(tmp_path / f"{rank}.pt")
        assert together.dtype == torch.bool
        assert torch.equal(together, alone)
