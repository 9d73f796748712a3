"""A set of one's own, in folders of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltr.counts import fingerprint
from ltr.data import FolderLT
from ltr.errors import InputError

COLOURS = {"apple": (200, 30, 30), "berry": (30, 30, 200), "cherry": (150, 0, 60)}


def draw(folder: Path, counts: dict[str, int], *, size: tuple[int, int] = (12, 12), kind: str = "png") -> None:
    """Write images of a class's colour, each a little brighter than the one before."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for at in range(count):
            colour = tuple(min(value + at, 255) for value in COLOURS[name])
            Image.new("RGB", size, colour).save(folder / name / f"{at:03}.{kind}")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    draw(tmp_path / "fruit" / "train", {"apple": 12, "berry": 6, "cherry": 2})
    draw(tmp_path / "fruit" / "test", {"apple": 3, "berry": 3, "cherry": 3})
    return tmp_path / "fruit"


def test_a_folder_is_as_long_tailed_as_it_is(home: Path) -> None:
    data = FolderLT(str(home), size=8)
    assert data.counts == (12, 6, 2)  # known before any image is read
    data.setup()
    assert data.classes == ["apple", "berry", "cherry"]
    assert data.splits["train"].images.shape == (20, 3, 8, 8)
    assert data.description["name"] == "fruit"
    assert data.description["imbalance"] == 6
    for label, colour in enumerate(COLOURS.values()):
        first = data.splits["test"].images[data.splits["test"].labels == label][0]
        assert torch.equal(first, torch.tensor(colour, dtype=torch.uint8)[:, None, None].expand(3, 8, 8))


def test_a_folder_can_be_made_long_tailed(home: Path) -> None:
    data = FolderLT(str(home), tail="exp", imbalance=12)
    assert data.counts == (12, 3, 1)
    data = FolderLT(str(home), tail="exp", imbalance=2)
    assert data.counts == (12, 6, 2), "a class has no more images than there are"


def test_val_stands_in_for_test(home: Path) -> None:
    (home / "test").rename(home / "val")
    data = FolderLT(str(home))
    data.setup()
    assert len(data.splits["test"].labels) == 9


def test_a_folder_without_splits_keeps_a_part_of_every_class(tmp_path: Path) -> None:
    draw(tmp_path, {"apple": 20, "berry": 9, "cherry": 2})
    first, again, other = (FolderLT(str(tmp_path), subset_seed=seed) for seed in (0, 0, 1))
    assert first.counts == (16, 7, 1)
    for data in (first, again, other):
        data.setup()
    assert np.bincount(first.listings["test"].labels).tolist() == [4, 2, 1]
    assert not set(first.listings["train"].names) & set(first.listings["test"].names)
    assert first.fingerprints == again.fingerprints
    assert first.fingerprints["test"] != other.fingerprints["test"]


def test_a_large_share_leaves_every_class_an_image_to_train_on(tmp_path: Path) -> None:
    draw(tmp_path, {"apple": 10, "berry": 2})
    assert FolderLT(str(tmp_path), test_share=0.75).counts == (2, 1)
    assert FolderLT(str(tmp_path), test_share=0.99).counts == (1, 1)


def test_the_fingerprint_is_one_of_the_names(home: Path, tmp_path: Path) -> None:
    data = FolderLT(str(home))
    data.setup()
    before = data.fingerprints
    home.rename(tmp_path / "elsewhere")
    moved = FolderLT(str(tmp_path / "elsewhere"))
    moved.setup()
    assert moved.fingerprints == before
    (tmp_path / "elsewhere" / "train" / "apple" / "000.png").rename(tmp_path / "elsewhere/train/apple/new.png")
    renamed = FolderLT(str(tmp_path / "elsewhere"))
    renamed.setup()
    assert renamed.fingerprints["train"] != before["train"]
    assert renamed.fingerprints["test"] == before["test"] == fingerprint(renamed.splits["test"].indices)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_of_any_mode_and_size(mode: str, home: Path) -> None:
    kind = "jpg" if mode == "CMYK" else "png"
    Image.new(mode, (31, 17)).save(home / "train" / "apple" / f"odd.{kind}")
    data = FolderLT(str(home), size=8)
    data.setup()
    assert data.splits["train"].images.shape == (21, 3, 8, 8)


def test_the_middle_of_a_long_image_is_kept_upright(tmp_path: Path) -> None:
    draw(tmp_path / "train", {"apple": 2, "berry": 2})
    draw(tmp_path / "test", {"apple": 1, "berry": 1})
    pixels = np.zeros((4, 12, 3), np.uint8)
    pixels[:2, 4:8] = 255
    turned = Image.fromarray(np.rot90(pixels))  # as a camera held sideways stores it
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "train" / "apple" / "000.png", exif=exif)
    data = FolderLT(str(tmp_path), size=4)
    data.setup()
    expected = torch.zeros(3, 4, 4, dtype=torch.uint8)
    expected[:, :2] = 255
    assert any(torch.equal(image, expected) for image in data.splits["train"].images)


@pytest.mark.parametrize("kind", ["jpg", "jpeg", "ppm", "bmp", "webp", "PNG"])
def test_kinds_of_files(kind: str, tmp_path: Path) -> None:
    draw(tmp_path, {"apple": 4, "berry": 4}, kind=kind)
    data = FolderLT(str(tmp_path))
    data.setup()
    assert sum(data.counts) == 6


def test_bad_folders_are_refused_with_a_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*nowhere: name that of your images"):
        FolderLT(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds 0 folders"):
        FolderLT(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="test_share is a part of every class"):
        FolderLT(str(home), test_share=1.5)
    (home / "train" / "void").mkdir()
    with pytest.raises(InputError, match=r"folders without an image .*: void"):
        FolderLT(str(home))
    (home / "train" / "void").rmdir()
    (home / "test" / "apple").rename(home / "test" / "appel")
    with pytest.raises(InputError, match=r"test has the class appel, which .*train does not have"):
        FolderLT(str(home))
    (home / "test").rename(tmp_path / "gone")
    with pytest.raises(InputError, match="neither `test/` nor `val/`"):
        FolderLT(str(home))


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    draw(tmp_path, {"apple": 4, "berry": 1})
    with pytest.raises(InputError, match="only one image of class berry"):
        FolderLT(str(tmp_path))


def test_a_damaged_image_is_named(home: Path) -> None:
    (home / "train" / "apple" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    with pytest.raises(InputError, match=r"000\.png is damaged or not an image"):
        FolderLT(str(home)).setup()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the network was trained on")  # of one colour, so equal in both splits
def test_a_network_is_trained_and_tested_on_a_folder(home: Path, ltr) -> None:
    words = "--model.backbone ResNet20 --model.backbone.width 2 --trainer.max_epochs 1 --model.schedule Cosine"
    more = "--model.schedule.warmup 0 --trainer.accelerator cpu --trainer.precision 32-true --data.size 8"
    assert ltr(f"fit --config ce.yaml --data FolderLT --data.root {home} --name mine {words} {more}") == 0
    assert ltr("test --ckpt_path mine") == 0
    assert ltr("predict --ckpt_path mine") == 0
