"""Retraining the classifier of a trained network on its frozen features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import AdamW

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import EMA
from ltr.data import CropFlip, Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import LWS
from ltr.losses import CDT, CrossEntropy
from ltr.methods import Method, Tuning
from ltr.optimizers import SAM
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
# Lightning wonders at modules in evaluation mode; that a frozen backbone stays in it is the point.
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")


class Watch(Callback):
    """Look at a training once it has begun, and at the losses of its batches."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] = {}
        self.start: dict[str, Tensor] = {}
        self.losses: list[float] = []
        self.threads = 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Method)
        self.features = dict(module.bank.features)
        self.start = {key: value.clone() for key, value in module.state_dict().items()}

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        self.losses.append(outputs["loss"].item())
        self.threads = torch.get_num_threads()


def tuning(run_file: Path, data: Synthetic, **options: Any) -> Tuning:
    """Return a tuning of the run, on its five classes."""
    return Tuning(Pretrained(str(run_file), ResNet20(width=2)), data.counts, **options)


def file_of(run_file: Path) -> dict[str, Tensor]:
    """Return the tensors of the run."""
    content: dict[str, Tensor] = torch.load(run_file)["state_dict"]
    return content


WAYS: list[dict[str, Any]] = [{}, {"views": 2}, {"cache": False}, {"reset": True}]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_only_the_new_head_moves(run_file: Path, trainer: Make, options: dict[str, Any]) -> None:
    data, watch = Synthetic(augment=CropFlip(1)), Watch()
    model = tuning(run_file, data, **options)
    trainer(2, callbacks=[watch]).fit(model, datamodule=data)
    file, state = file_of(run_file), model.state_dict()
    for key, value in file.items():
        if key.startswith("backbone."):
            assert torch.equal(state[key.replace("backbone.", "backbone.backbone.")], value), key
    for part in ("fc.weight", "fc.bias"):
        assert torch.equal(state[f"old_head.{part}"], file[f"head.{part}"])
        assert not torch.equal(state[f"head.{part}"], watch.start[f"head.{part}"])
        started_from_the_old = torch.equal(watch.start[f"head.{part}"], file[f"head.{part}"])
        assert started_from_the_old == (not options.get("reset", False))
    assert bool(state["old_known"])


def test_tuning_lowers_the_loss(run_file: Path, trainer: Make) -> None:
    data, watch = Synthetic(batch_size=64), Watch()
    trainer(20, callbacks=[watch]).fit(tuning(run_file, data), datamodule=data)
    assert len(watch.losses) == 20
    assert watch.losses[-1] < 0.9 * watch.losses[0]


def test_cached_features_are_those_of_the_network(run_file: Path, trainer: Make) -> None:
    data, watch = Synthetic(val_per_class=1, eval_batch_size=7), Watch()
    model = tuning(run_file, data)
    trainer(1, callbacks=[watch]).fit(model, datamodule=data)
    model.eval()
    assert set(watch.features) == {"train", "val", "test"}
    for name, features in watch.features.items():
        assert features.dtype == torch.float32
        with torch.no_grad():
            expected = model.backbone(data.prepare(data.splits[name].images))
        torch.testing.assert_close(features, expected[None], rtol=1e-4, atol=1e-5)


def test_views_are_augmented_and_drawn_again_by_the_seed(run_file: Path, trainer: Make) -> None:
    banks = []
    for _ in range(2):
        data, watch = Synthetic(augment=CropFlip(2)), Watch()
        torch.rand(5)
        trainer(1, callbacks=[watch]).fit(tuning(run_file, data, views=3), datamodule=data)
        banks.append(watch.features)
    train = banks[0]["train"]
    assert train.shape == (3, sum(Synthetic().counts), 8)
    assert not torch.equal(train[0], train[1])
    assert torch.equal(train, banks[1]["train"]), "a resumed run sees the same views"
    assert banks[0]["test"].shape[0] == 1


def test_a_cached_training_is_the_uncached_one(run_file: Path, trainer: Make) -> None:
    heads = []
    for cache in (True, False):
        data = Synthetic(augment=Plain())
        model = tuning(run_file, data, cache=cache, loss=CrossEntropy)
        trainer(3).fit(model, datamodule=data)
        heads.append(model.head.fc.weight.detach())
    torch.testing.assert_close(heads[0], heads[1], rtol=1e-3, atol=1e-4)


class Stopping(Callback):
    """Fail within a training."""

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        raise RuntimeError("stop here")


def test_nothing_is_left_behind(run_file: Path, trainer: Make) -> None:
    data, watch = Synthetic(), Watch()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model = tuning(run_file, data)
        trainer(1, callbacks=[watch]).fit(model, datamodule=data)
        assert watch.threads == 1, "a head is too small for two threads"
        assert torch.get_num_threads() == 2
        assert not model.bank.features
        failing = tuning(run_file, data)
        with pytest.raises(RuntimeError, match="stop here"):
            trainer(1, callbacks=[watch, Stopping()]).fit(failing, datamodule=data)
        assert torch.get_num_threads() == 2
        trainer(0).test(failing, datamodule=data, verbose=False)
        assert not failing.bank.features, "a test after a failed training goes through the network"
    finally:
        torch.set_num_threads(before)


def test_what_backbone_and_head_have_seen_is_kept(run_file: Path, trainer: Make) -> None:
    first, data = Synthetic(), Synthetic(subset_seed=1)
    method = Method(ResNet20(width=2), first.counts, schedule=Cosine())
    training = trainer(1)
    training.fit(method, datamodule=first)
    training.save_checkpoint(run_file)
    model = tuning(run_file, data)
    trainer(1).fit(model, datamodule=data)
    assert model.training_record.complete
    expected = {*first.contents("train").tolist(), *data.contents("train").tolist()}
    assert {*model.training_record.images.tolist()} == expected


def test_the_whole_network_is_what_is_saved(run_file: Path, trainer: Make, tmp_path: Path) -> None:
    data = Synthetic()
    model = tuning(run_file, data)
    trainer_of_it = trainer(1)
    trainer_of_it.fit(model, datamodule=data)
    trainer_of_it.test(model, datamodule=data, verbose=False)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "tuned.ckpt")
    run_file.unlink()
    other = tuning(run_file, data)
    other.load_state_dict(torch.load(tmp_path / "tuned.ckpt")["state_dict"])
    trainer(1).test(other, datamodule=Synthetic(), verbose=False)
    assert str(other.reports["test"]) == str(model.reports["test"])  # NaN where there is no class with many images
    images = data.splits["test"].images
    model.eval()
    other.eval()
    assert torch.equal(other.predict(images).logits, model.predict(images).logits)


def test_training_mode_reaches_the_new_head_only(run_file: Path) -> None:
    model = tuning(run_file, Synthetic()).train()
    assert model.head.training
    assert not any(module.training for part in (model.backbone, model.old_head) for module in part.modules())
    assert {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad} == {"head"}


def test_another_number_of_classes(run_file: Path, trainer: Make) -> None:
    data = Synthetic(classes=4)
    with pytest.raises(
        InputError, match=r"has 5 classes, the data have 4\. Start a new head with `--model.initial zero`"
    ):
        trainer(1).fit(tuning(run_file, data), datamodule=data)
    method = tuning(run_file, data, initial="zero")
    trainer(1).fit(method, datamodule=data)
    assert not method.old_known, "the classifier of other classes is left behind"


def test_a_file_without_a_classifier(run_file: Path, trainer: Make) -> None:
    torch.save({key: value for key, value in file_of(run_file).items() if key.startswith("backbone.")}, run_file)
    data = Synthetic()
    with pytest.raises(InputError, match=r"no classifier .*`--model\.reset true`"):
        trainer(1).fit(tuning(run_file, data), datamodule=data)
    model = tuning(run_file, data, reset=True)
    trainer(1).fit(model, datamodule=data)
    assert not bool(model.old_known), "there is no old head to build an ensemble with"


def test_features_that_change_are_not_cached(run_file: Path, trainer: Make) -> None:
    data = Synthetic()
    model = Tuning(Pretrained(str(run_file), ResNet20(width=2), "none"), data.counts)
    with pytest.raises(InputError, match="features that change cannot be cached"):
        trainer(1).fit(model, datamodule=data)


def test_views_that_are_not_cached_are_refused(run_file: Path) -> None:
    with pytest.raises(InputError, match=r"`--model\.views` are of cached features: pass 0, or leave out"):
        tuning(run_file, Synthetic(), cache=False, views=2)


def test_lws_starts_from_the_old_classifier_and_learns_scales_only(run_file: Path, trainer: Make) -> None:
    data, watch = Synthetic(), Watch()
    model = tuning(run_file, data, head=LWS, loss=CrossEntropy)
    trainer(2, callbacks=[watch]).fit(model, datamodule=data)
    file, state = file_of(run_file), model.state_dict()
    for part in ("fc.weight", "fc.bias"):
        assert torch.equal(state[f"head.{part}"], file[f"head.{part}"])
    assert watch.start["head.scale"].tolist() == [1] * 5
    assert (state["head.scale"] != 1).all()


def test_a_head_that_adds_to_a_classifier_is_not_reset(run_file: Path) -> None:
    with pytest.raises(InputError, match="LWS adds to a trained classifier, which cannot be reset"):
        tuning(run_file, Synthetic(), head=LWS, reset=True)


@pytest.mark.parametrize(
    "options",
    [{}, {"views": 3}, {"optimizer": SAM}, {"optimizer": AdamW, "loss": CDT}],
    ids=["plain", "views", "SAM", "AdamW, CDT"],
)
def test_steps_in_a_row_are_those_taken_one_by_one(run_file: Path, trainer: Make, options: dict[str, Any]) -> None:
    ends = []
    for steps in (1, 3, 100):
        data = Synthetic(batch_size=9, augment=CropFlip(1))
        model = tuning(run_file, data, steps_per_execution=steps, **options)
        run = trainer(3)
        run.fit(model, datamodule=data)
        ends.append((model.state_dict(), repr(model.measures), run.global_step))  # some of them are NaN
        assert model.bank.steps == 1
    assert ends[0][2] == 3 * -(-len(data.splits["train"].labels) // 9)
    for state, measures, step in ends[1:]:
        assert step == ends[0][2]
        assert measures == ends[0][1]
        for key, value in state.items():
            assert torch.equal(value, ends[0][0][key]), key


class Nosy(Callback):
    """Look at every batch."""

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, index: int) -> None:
        """Look."""


@pytest.mark.parametrize(
    ("settings", "options", "what"),
    [
        ({"callbacks": [Nosy()]}, {}, "Nosy"),
        ({"callbacks": [EMA()]}, {}, "EMA"),
        ({"accumulate_grad_batches": 2}, {"loss": CrossEntropy}, "accumulate_grad_batches"),
        ({"gradient_clip_val": 1.0}, {}, "gradient_clip_val"),
        ({"max_time": "00:01:00:00"}, {}, "Timer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_about_single_steps_is_refused_in_a_row(
    run_file: Path, trainer: Make, settings: dict[str, Any], options: dict[str, Any], what: str
) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=f"{what}.* acts on every single step"):
        trainer(1, **settings).fit(tuning(run_file, data, steps_per_execution=2, **options), datamodule=data)
    uncached = tuning(run_file, data, steps_per_execution=2, cache=False)
    with pytest.raises(InputError, match="needs the features of all images at once"):
        trainer(1).fit(uncached, datamodule=data)


@pytest.mark.parametrize(("recipe", "option", "value"), [("gml", "mix", "Mixup"), ("ride_routing", "loss", "GML")])
def test_an_option_that_a_method_fixes_is_none_of_its_own(recipe: str, option: str, value: str, ltr, capsys) -> None:
    assert ltr(f"fit --config {recipe}.yaml --model.{option} {value}") == 2
    assert f"has no option {option}" in capsys.readouterr().err
