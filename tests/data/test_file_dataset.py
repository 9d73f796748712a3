"""What every set of image files owes, shown on folders."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltr.data import CropFlip, FolderLT
from ltr.data.images import ImageFiles, decode
from ltr.errors import InputError

Run = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder of noisy images, of which every class has a colour."""
    generator = np.random.RandomState(0)
    for split, counts in {"train": (9, 5, 3), "test": (3, 3, 3)}.items():
        for label, count in enumerate(counts):
            folder = tmp_path / "set" / split / f"class {label}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.randint(0, 128, (10, 12, 3)) + 127 * np.eye(3, dtype=int)[label]
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{split} {number}.png")
    return tmp_path / "set"


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_images_are_those_in_memory(workers: int, home: Path) -> None:
    held, streamed = FolderLT(str(home), size=8), FolderLT(str(home), size=8, memory=0, workers=workers)
    for data in (held, streamed):
        data.setup()
        data.batch_size = 4
        data.set_epoch(1, 2)
    assert isinstance(streamed.splits["train"].images, ImageFiles)
    for loader in ("train_dataloader", "test_dataloader", "predict_dataloader"):
        torch.manual_seed(1)
        first = list(getattr(held, loader)())
        after = torch.rand(())
        torch.manual_seed(1)
        second = list(getattr(streamed, loader)())
        assert torch.equal(torch.rand(()), after), "the workers leave the random numbers of the training alone"
        assert len(first) == len(second) == len(getattr(streamed, loader)())
        for one, other in zip(first, second, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)
            assert torch.equal(one.indices, other.indices)
    assert held.fingerprints == streamed.fingerprints


@pytest.mark.slow
def test_a_streamed_training_is_that_in_memory(home: Path, ltr: Run) -> None:
    words = (
        f"--config ce.yaml --data FolderLT --data.root {home} --data.size 8 --model.backbone ResNet20 "
        "--model.backbone.width 2 --trainer.max_epochs 2 --model.schedule Cosine --model.schedule.warmup 0 "
        "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
    )
    assert ltr("fit --name held", words) == 0
    assert ltr("fit --name streamed", words, "--data.memory 0 --data.workers 1") == 0
    states = [
        torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in ("held", "streamed")
    ]
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())
    assert (
        ltr("fit --name tuned --config gml.yaml --model.backbone.checkpoint streamed --trainer.max_epochs 1", words)
        == 0
    )
    assert ltr("test --ckpt_path tuned --data.memory 0") == 0


def test_every_process_takes_the_steps_of_the_smallest_shard(home: Path) -> None:
    class Longer(list[int]):
        def __len__(self) -> int:
            return 4

    data = FolderLT(str(home), size=8, memory=0, workers=0)
    data.setup()
    loader = data.loader("train", Longer([5, 1, 2, 9, 0]), 2)
    assert [batch.indices.tolist() for batch in loader] == [[5, 1], [2, 9]]


def test_packed_images_are_read_again(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = FolderLT(str(home), size=8, cache=str(tmp_path / "packed"))
    first.setup()
    assert len(list((tmp_path / "packed").glob("*.pixels"))) == 2

    def never(*_: object) -> None:
        raise AssertionError("an image was decoded although it is packed")

    with monkeypatch.context() as patch:
        patch.setattr("ltr.data.images.decode", never)
        again = FolderLT(str(home), size=8, cache=str(tmp_path / "packed"))
        again.setup()
    for name in ("train", "test"):
        assert torch.equal(first.splits[name].images, again.splits[name].images)
    changed = home / "train" / "class 0" / "train 0.png"
    Image.new("RGB", (12, 12), (1, 2, 3)).save(changed)
    renewed = FolderLT(str(home), size=8, cache=str(tmp_path / "packed"))
    renewed.setup()
    assert not torch.equal(first.splits["train"].images, renewed.splits["train"].images)
    assert (renewed.splits["train"].images[:, 2] == 3).all(2).all(1).any(), "a file that has changed is read anew"


def test_a_cache_of_images_that_are_not_held_in_memory_is_not_ignored_in_silence(home: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"more than `--data\.memory 0`: they are decoded in every epoch and not kept"):
        FolderLT(str(home), memory=0, cache=str(tmp_path / "packed")).setup()


def test_what_is_in_the_files_is_read_only_where_it_is_kept(home: Path) -> None:
    data = FolderLT(str(home), tail="exp", imbalance=9)
    assert data.counts == (9, 3, 1)
    data.setup()
    assert len(data.splits["train"].images) == 13


def test_the_network_sees_the_middle_and_the_training_a_crop(home: Path) -> None:
    data = FolderLT(str(home), size=10, crop=6, batch_size=17)
    data.setup()
    stored = data.splits["test"].images
    assert stored.shape[2:] == (10, 10)
    plain = data.prepare(stored)
    assert plain.shape[2:] == (6, 6)
    expected = (stored[:, :, 2:8, 2:8] / 255 - torch.tensor(data.mean)[:, None, None]) / torch.tensor(data.std)[
        :, None, None
    ]
    torch.testing.assert_close(plain, expected)
    assert data.prepare(stored, augment=True).shape[2:] == (6, 6)
    with pytest.raises(InputError, match="must be at least 1 and not exceed size"):
        FolderLT(str(home), size=10, crop=11)


def test_a_validation_split_of_the_set_is_followed(home: Path) -> None:
    assert FolderLT(str(home)).monitored == ["test"]
    (home / "val" / "class 1").mkdir(parents=True)
    (home / "test" / "class 1" / "test 0.png").rename(home / "val" / "class 1" / "val 0.png")
    data = FolderLT(str(home))
    assert data.monitored == ["val", "test"]
    assert data.description["official"]
    data.setup()
    assert len(data.splits["val"].labels) == 1
    with pytest.raises(InputError, match="has a validation split"):
        FolderLT(str(home), val_per_class=1)


def test_unreadable_files_are_all_counted_and_left_out_only_when_asked(home: Path) -> None:
    for number in (1, 2):
        (home / "train" / "class 0" / f"train {number}.png").write_bytes(b"no image")
    short = home / "test" / "class 2" / "test 0.png"
    Image.effect_noise((40, 40), 50).save(short.with_suffix(".jpg"))
    short.with_suffix(".jpg").write_bytes(short.with_suffix(".jpg").read_bytes()[:-200])
    with pytest.raises(
        InputError, match=r"train \d\.png is damaged or not an image: .* The same goes for 1 more file\."
    ):
        FolderLT(str(home)).setup()
    streamed = FolderLT(str(home), memory=0, workers=1)
    streamed.setup()
    with pytest.raises(InputError, match=r"train \d\.png is damaged or not an image"):
        list(streamed.train_dataloader())
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        data = FolderLT(str(home), unreadable="skip")
    assert [str(note.message) for note in notes] == [
        "2 files that are not images are left out: train/class 0/train 1.png, train/class 0/train 2.png.",
        "1 file that is not an image is left out: test/class 2/test 0.jpg.",
    ]
    assert data.counts == (7, 5, 3)
    data.setup()


@pytest.mark.filterwarnings("ignore:1 file that is not an image")
def test_a_class_of_which_no_test_image_can_be_read_has_none(home: Path) -> None:
    for path in (home / "test" / "class 1").iterdir():
        path.write_bytes(b"damaged") if path.stem == "test 0" else path.unlink()
    data = FolderLT(str(home / "test"), test_share=1, unreadable="skip")
    assert not data.trainable
    assert (data.counts, data.val_counts, data.imbalance) == ((3, 0, 3), [0, 0, 0], 3)


@pytest.mark.filterwarnings("ignore:1 file that is not an image")
def test_a_drawn_split_is_the_same_with_and_without_damaged_files(home: Path) -> None:
    whole = home / "train"
    (whole / "class 0" / "damaged.png").write_bytes(b"no image")
    every, readable = (FolderLT(str(whole), test_share=0.4, unreadable=how) for how in ("refuse", "skip"))
    for split in ("train", "test"):
        left = [name for name in every.listings[split].names if "damaged" not in name]
        assert readable.listings[split].names == left


def test_a_drawn_split_is_kept_where_one_says(home: Path, tmp_path: Path) -> None:
    whole, kept = home / "train", tmp_path / "run" / "split.csv"
    before = sorted(whole.rglob("*"))
    data = FolderLT(str(whole), test_share=0.4, test_split=str(kept))
    data.setup()
    assert sorted(whole.rglob("*")) == before, "the folder of the images is not written to"
    assert kept.read_text().splitlines()[0] == "image,split"
    Image.new("RGB", (12, 12)).save(whole / "class 0" / "another.png")
    later = FolderLT(str(whole), test_share=0.4, test_split=str(kept))
    assert later.listings["test"].names == data.listings["test"].names
    with pytest.warns(UserWarning, match=r"of its \d+ images were drawn for it: pass `--data.test_share 1`"):
        later.setup("test")
    later.setup()
    later.setup("test")


def test_a_test_on_all_images_is_one_of_a_set_without_splits(home: Path) -> None:
    with pytest.raises(InputError, match=r"has a test split, so `--data\.test_share 1` does not test on all"):
        FolderLT(str(home), test_share=1)


def test_a_drawn_split_stays_what_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = home / "train"
    first = FolderLT(str(whole), test_share=0.4)
    first.setup()
    kept = whole / "ltr_split_0.4_0.csv"
    assert kept.read_text().splitlines()[0] == "image,split"
    Image.new("RGB", (12, 12)).save(whole / "class 0" / "another.png")
    later = FolderLT(str(whole), test_share=0.4)
    later.setup()
    assert later.fingerprints["test"] == first.fingerprints["test"]
    assert set(later.listings["train"].names) - set(first.listings["train"].names) == {"class 0/another.png"}
    assert FolderLT(str(whole), test_share=0.4, subset_seed=1).listings["test"].names != first.listings["test"].names
    for damaged in ("", "image\n", "image,split\nx\n"):
        kept.write_text(damaged)
        with pytest.raises(InputError, match="is damaged or not a split that was kept: delete it"):
            FolderLT(str(whole), test_share=0.4)
    kept.write_text("image,split\nelsewhere.png,test\n")
    with pytest.raises(InputError, match=r"ltr_split_0\.4_0\.csv names no image of this set"):
        FolderLT(str(whole), test_share=0.4)
    kept.unlink()

    def full(*_: object) -> None:
        raise InputError("no space is left")

    monkeypatch.setattr("ltr.files.write_csv", full)
    with pytest.warns(UserWarning, match="the split could not be kept"):
        FolderLT(str(whole), test_share=0.4).setup()


def test_names_that_are_numbers_are_those_of_a_set_that_was_written_out(home: Path) -> None:
    for split in ("train", "test"):
        for number, path in enumerate(sorted((home / split).rglob("*.png"))):
            path.rename(path.with_name(f"{number:05}.png"))
    data = FolderLT(str(home))
    data.setup()
    assert data.splits["train"].indices.tolist() != sorted(data.splits["train"].indices), "in the order of the drawing"
    assert sorted(data.splits["train"].indices) == list(range(17))


def test_a_split_of_other_classes_is_one_for_few_shot_learning(home: Path) -> None:
    for path in (home / "test").iterdir():
        path.rename(path.with_name(f"new {path.name}"))
    with pytest.raises(InputError, match="few-shot learning"):
        FolderLT(str(home))


@pytest.mark.parametrize(("dtype", "value"), [(np.uint16, 40000), (np.int32, 40000), (np.float32, 40000 / 65535)])
def test_grey_of_many_bits(dtype: type, value: float, tmp_path: Path) -> None:
    path = tmp_path / "grey.tiff"
    Image.fromarray(np.full((4, 4), value, dtype)).save(path)
    assert (decode(str(path), 2) == round(40000 / 257)).all()


def test_the_usual_augmentation_depends_on_the_crop(home: Path) -> None:
    augment = FolderLT(str(home), size=64).augment
    assert isinstance(augment, CropFlip)
    assert augment.padding == 8
    assert type(FolderLT(str(home), size=64, crop=56).augment).__name__ == "ResizedCrop"


def test_synthetic_images_are_trained_on_and_told_apart(home: Path, tmp_path: Path, ltr: Run) -> None:
    made = tmp_path / "made" / "class 2"
    made.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (20, 20), (7, 7, 7)).save(made / f"{number}.png")
    data = FolderLT(str(home), size=8, synthetic=str(tmp_path / "made"))
    assert data.counts == (9, 5, 7)
    assert (data.counts.real, data.counts.synthetic) == ((9, 5, 3), (0, 0, 4))
    assert data.groups["few"] == [0, 1, 2]
    data.setup()
    split = data.splits["train"]
    assert (split.images == 7).flatten(1).all(1).sum() == 4
    assert split.labels[-4:].tolist() == [2] * 4
    assert len(data.splits["test"].labels) == 9
    assert data.description["synthetic"] == [0, 0, 4]
    real = FolderLT(str(home), size=8)
    real.setup()
    assert real.fingerprints["train"] != data.fingerprints["train"]
    words = (
        f"--config ce.yaml --data FolderLT --data.root {home} --data.size 8 --data.synthetic {tmp_path / 'made'} "
        "--model.loss BalancedSoftmax --model.backbone ResNet20 --model.backbone.width 2 --trainer.max_epochs 1 "
        "--model.schedule Cosine --model.schedule.warmup 0 --trainer.accelerator cpu --trainer.precision 32-true"
    )
    assert ltr("fit --name more", words) == 0
    assert ltr("test --ckpt_path more") == 0
    found = json.loads(Path("checkpoints/more/test/metrics.json").read_text())
    assert found["counts"] == [9, 5, 3], "what results are sorted and grouped by are real images"
    assert found["data"]["synthetic"] == [0, 0, 4]
    assert torch.load("checkpoints/more/test/predictions.pt", weights_only=True)["counts"] == found["counts"]
    state = torch.load("checkpoints/more/last.ckpt", weights_only=True)["state_dict"]
    assert state["counts"].tolist() == [9, 5, 7], "what losses are made from are all images"


def test_synthetic_images_of_an_unknown_class_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of synthetic images: make it with `ltr synthesise`"):
        FolderLT(str(home), synthetic=str(tmp_path / "nowhere"))
    (tmp_path / "made" / "class 9").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "made" / "class 9" / "0.png")
    with pytest.raises(InputError, match="the folder class 9, which is not a class of the set"):
        FolderLT(str(home), synthetic=str(tmp_path / "made"))


@pytest.mark.parametrize(
    ("dtype", "white"), [(np.float32, 1), (np.float32, 255), (np.uint16, 4095), (np.int32, 255), (np.uint16, 65535)]
)
def test_grey_values_of_any_usual_range_keep_their_order(dtype: type, white: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256).reshape(16, 16)
    Image.fromarray((ramp * white).astype(dtype)).save(tmp_path / "ramp.tif")
    decoded = decode(str(tmp_path / "ramp.tif"), 16)[0].double() / 255
    assert (decoded - torch.from_numpy(ramp)).abs().max() < 0.01


def test_floats_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    Image.fromarray(np.array([[np.nan, 1], [np.inf, 0.5]], np.float32)).save(tmp_path / "nan.tif")
    assert decode(str(tmp_path / "nan.tif"), 2)[0].tolist() == [[0, 255], [0, 128]]


def test_what_is_no_file_is_named_and_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "train" / "class 0" / "pipe.png")
    with pytest.raises(InputError, match=r"pipe\.png is not a file, but a folder, a pipe or a device"):
        FolderLT(str(home)).setup()
    with pytest.warns(UserWarning, match="1 file that is not an image is left out: train/class 0/pipe"):
        assert FolderLT(str(home), unreadable="skip").counts == (9, 5, 3)
    with pytest.raises(InputError, match="/dev/zero is not a file"):
        decode("/dev/zero", 8)


def test_an_image_of_too_many_pixels_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match=r"large\.png has more than 178,956,970 pixels: make it smaller"):
        decode(str(tmp_path / "large.png"), 8)
    with pytest.raises(InputError, match=r"gone\.png cannot be read \(No such file or directory\)"):
        decode(str(tmp_path / "gone.png"), 8)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "longer"])
def test_a_damaged_cache_is_told_and_made_anew(damage: str, home: Path, tmp_path: Path) -> None:
    first = FolderLT(str(home), size=8, cache=str(tmp_path / "packed"))
    first.setup()
    for path in (tmp_path / "packed").iterdir():
        whole = path.read_bytes()
        flipped = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
        path.write_bytes({"cut": whole[:-9], "flipped": flipped, "emptied": b"", "longer": whole + b"x"}[damage])
    again = FolderLT(str(home), size=8, cache=str(tmp_path / "packed"))
    with pytest.warns(UserWarning, match=r"\.pixels is damaged: the images are decoded again"):
        again.setup()
    assert all(torch.equal(split.images, again.splits[name].images) for name, split in first.splits.items())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FolderLT(str(home), size=8, cache=str(tmp_path / "packed")).setup()


def test_images_are_not_mirrored_where_that_is_asked_for(home: Path) -> None:
    assert FolderLT(str(home)).augment.mirrors
    assert not FolderLT(str(home), mirror=False).augment.mirrors
    assert not FolderLT(str(home), mirror=False, crop=8).augment.mirrors
    data = FolderLT(str(home), augment="none")
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    assert data.augment(images) is images
    with pytest.raises(InputError, match=r"CropFlip flips images, against `--data\.mirror false`: pass `--data\.aug"):
        FolderLT(str(home), mirror=False, augment=CropFlip())


def test_the_imbalance_in_results_is_that_of_the_images(home: Path) -> None:
    assert FolderLT(str(home), tail="exp", imbalance=9).description["imbalance"] == 9
    short = FolderLT(str(home), tail="exp", imbalance=2)  # asks for 9, 6 and 4 images
    assert (short.counts, short.description["imbalance"]) == ((9, 5, 3), 3)
    held_out = FolderLT(str(home), val_per_class=2)
    assert (held_out.counts, held_out.description["imbalance"]) == ((7, 3, 1), 7)


def test_a_class_that_looks_like_a_formula_keeps_its_split(tmp_path: Path) -> None:
    for label in ("=1+1", "plain"):
        for number in range(5):
            path = tmp_path / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (4, 4)).save(path)
    data = FolderLT(str(tmp_path), size=4, test_share=0.4)
    data.setup("fit")
    tested = set(data.listings["test"].names)
    for number in range(5, 9):
        Image.new("RGB", (4, 4)).save(tmp_path / "=1+1" / f"{number}.png")
    again = FolderLT(str(tmp_path), size=4, test_share=0.4)
    assert set(again.listings["test"].names) == tested


@pytest.mark.parametrize("row", ["plain/0.png,tset", "plain/0.png,", "plain/0.png"])
def test_a_kept_split_with_another_word_is_damaged(row: str, home: Path) -> None:
    (home / "train" / "ltr_split_0.2_0.csv").write_text(f"image,split\n{row}\n")
    with pytest.raises(InputError, match=r"ltr_split_0\.2_0\.csv is damaged"):
        FolderLT(str(home / "train"), size=4)
