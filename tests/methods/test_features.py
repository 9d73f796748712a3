"""Features that are kept on disk are those that are computed, and are found again by what they are of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from quiet import quiet_trainer
from torch import Tensor, distributed

from ltr.backbones import Pretrained, ResNet20
from ltr.callbacks import Views
from ltr.data import Synthetic
from ltr.data.transforms import CropFlip
from ltr.methods import Method, Tuning, feature_store
from ltr.methods.feature_store import FOLDER, blocks
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")


class Watch(Callback):
    """Keep the features of a training, and count the images that the backbone sees."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] = {}
        self.seen = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        def count(_: object, given: tuple[Tensor, ...]) -> None:
            self.seen += len(given[0])

        assert isinstance(pl_module, Method)
        pl_module.backbone.register_forward_pre_hook(count)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Method)
        self.features = dict(pl_module.bank.features)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "features"))
    monkeypatch.setattr(feature_store, "BLOCK", 16)
    return tmp_path / "features"


@pytest.fixture
def tune(run_file: Path, trainer: Make) -> Callable[..., Watch]:
    def run(*, change: float = 0, augment: Any = None, precision: Any = "32-true", **options: Any) -> Watch:
        if change:
            content = torch.load(run_file)
            content["state_dict"]["backbone.conv1.weight"] += change
            torch.save(content, run_file)
        data, watch = Synthetic(augment=augment or CropFlip(2)), Watch()
        model = Tuning(Pretrained(str(run_file), ResNet20(width=2)), data.counts, **options)
        trainer(1, callbacks=[watch], precision=precision).fit(model, datamodule=data)
        return watch

    return run


def same(first: Watch, second: Watch) -> bool:
    return all(torch.equal(first.features[name], second.features[name]) for name in ("train", "test"))


def files(home: Path) -> list[Path]:
    return sorted(home.glob("*/*.features"))


def test_blocks_cover_a_split_without_a_single_image_at_the_end() -> None:
    assert blocks(2 * 256 + 1) == [range(256), range(256, 513)]
    assert blocks(257) == [range(257)]
    assert blocks(258) == [range(256), range(256, 258)]
    assert blocks(1) == [range(1)]


def test_kept_features_equal_those_computed_anew_bit_for_bit(tune, home: Path, monkeypatch) -> None:
    first = tune()
    size = sum(len(first.features[name][0]) for name in ("train", "test"))
    assert first.seen == size
    assert len(files(home)) == sum(len(blocks(len(first.features[name][0]))) for name in ("train", "test"))
    second = tune()
    assert second.seen == 0
    assert same(first, second)
    monkeypatch.setenv(FOLDER, "")
    third = tune()
    assert third.seen == size
    assert same(first, third)


def test_an_extraction_that_was_stopped_goes_on_where_it_was(tune, home: Path) -> None:
    first = tune()
    for path in files(home)[::2]:
        path.unlink()
    again = tune()
    assert 0 < again.seen < first.seen
    assert same(first, again)


def test_a_damaged_file_is_noted_and_computed_again(tune, home: Path) -> None:
    first = tune()
    path = files(home)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged: the features are computed again"):
        again = tune()
    assert 0 < again.seen <= 17
    assert same(first, again)
    assert tune().seen == 0


def test_other_weights_and_another_precision_have_features_of_their_own(tune, home: Path) -> None:
    first = tune()
    assert tune(precision="bf16-mixed").seen == first.seen
    other = tune(change=0.1)
    assert other.seen == first.seen
    assert not same(first, other)
    assert len({path.parent for path in files(home)}) == 3


@pytest.mark.usefixtures("home")
def test_augmented_views_are_kept_too(tune) -> None:
    first = tune(views=2)
    second = tune(views=2)
    assert second.seen == 0
    assert same(first, second)
    assert not torch.equal(first.features["train"][0], first.features["train"][1])
    assert tune(views=2, augment=CropFlip(1)).seen > 0


def test_a_network_that_is_trained_keeps_none(home: Path, trainer: Make) -> None:
    data = Synthetic()
    model = Method(ResNet20(width=2), data.counts, schedule=Cosine())
    training = trainer(1)
    training.fit(model, datamodule=data)
    assert model.extract_features(data, "train").shape == (sum(data.counts), 8)
    assert not home.exists()


def test_a_network_that_is_trained_goes_back_to_training_mode(run_file: Path, trainer: Make) -> None:
    data, backbone = Synthetic(), Pretrained(str(run_file), ResNet20(width=2), freeze="none")
    model = Tuning(backbone, data.counts, initial="means", cache=False)
    trainer(1).fit(model, datamodule=data)
    before = torch.load(run_file)["state_dict"]
    statistics = [name for name in before if name.startswith("backbone.") and name.endswith("running_mean")]
    trained = {f"backbone.{name}": value for name, value in backbone.backbone.state_dict().items()}
    assert not any(torch.equal(trained[name], before[name]) for name in statistics)


def test_without_a_place_to_keep_them_training_goes_on(tune, home: Path) -> None:
    home.write_text("a file, where a folder should be")
    with pytest.warns(UserWarning, match=f"features are not kept: .* `{FOLDER}=FOLDER` names another folder"):
        assert tune().features["train"].shape[2] == 8


@pytest.mark.usefixtures("home")
def test_a_test_reads_what_the_training_kept(tune, run_file: Path, trainer: Make, monkeypatch) -> None:
    size = len(tune().features["test"][0])

    def tested(*adjustments: Callback) -> Watch:
        torch.manual_seed(0)
        data, watch = Synthetic(augment=CropFlip(2)), Watch()
        model = Tuning(Pretrained(str(run_file), ResNet20(width=2)), data.counts)
        model.backbone.load()
        answers = trainer(callbacks=[watch, *adjustments], precision="32-true").predict(model, datamodule=data)
        watch.features["logits"] = torch.cat([answer.output.logits for answer in answers])
        return watch

    kept, views = tested(), tested(Views("centre", flip=True))
    assert kept.seen == 0
    assert views.seen == 2 * size, "mirror images are not kept"
    monkeypatch.setenv(FOLDER, "")
    computed = tested()
    assert computed.seen == size
    torch.testing.assert_close(kept.features["logits"], computed.features["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("home")
def test_a_run_of_a_run_has_its_features(tune, run_file: Path, trainer: Make) -> None:
    tune()
    data, watch = Synthetic(augment=CropFlip(2)), Watch()
    twice = Pretrained(str(run_file), Pretrained("not read", ResNet20(width=2)))
    model = Tuning(twice, data.counts)
    trainer(1, callbacks=[watch], precision="32-true").fit(model, datamodule=data)
    assert watch.seen == 0


@pytest.mark.usefixtures("home")
def test_many_kept_features_are_noted(tune, monkeypatch) -> None:
    tune()  # without a note, which would be an error
    monkeypatch.setattr(feature_store, "LARGE", 0)
    with pytest.warns(
        UserWarning, match="the features that are kept in .* take 0 GB: delete it, or its oldest folders"
    ):
        tune(change=0.1)
    tune(change=0)  # computes nothing


def extracted() -> list[Tensor]:
    """Return the training features of a network, plain and augmented."""
    torch.manual_seed(0)
    data = Synthetic(augment=CropFlip(2))
    data.setup()
    model = Method(Pretrained("none", ResNet20(width=2)), data.counts)
    model.trainer, model.preprocessing = quiet_trainer(max_epochs=1), data.preprocessing
    return [model.extract_features(data, "train", draw=draw) for draw in (None, (3, 1, 0))]


def work(rank: int, folder: str) -> None:
    """Compute them alone, then with another process, which keep them, and read these alone; write all."""
    feature_store.BLOCK = 16
    os.environ[FOLDER] = ""
    results = {"alone": extracted()}
    os.environ[FOLDER] = f"{folder}/features"
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results["together"] = extracted()
    distributed.barrier()
    distributed.destroy_process_group()
    results["read"] = extracted()
    torch.save(results, f"{folder}/{rank}.pt")


def test_two_processes_are_as_one(in_two_processes, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(feature_store, "BLOCK", 16)
    in_two_processes(work, str(tmp_path))
    assert len(files(tmp_path / "features")) == 2 * len(blocks(sum(Synthetic().counts)))
    for rank in range(2):
        results = torch.load(tmp_path / f"{rank}.pt")
        for name in ("together", "read"):
            for found, expected in zip(results[name], results["alone"], strict=True):
                assert expected.abs().sum() > 0
                assert torch.equal(found, expected), name
