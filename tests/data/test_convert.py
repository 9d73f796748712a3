"""A set in another layout is the same set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from ltr.data import AnnotatedLT, FolderLT, LongTailed, Synthetic, TableLT
from ltr.data.convert import write
from ltr.errors import InputError

Run = Callable[..., int]
SAME = "--data.size 8 --data.tail exp --data.imbalance 4"
CROPS = "--data.augment CropFlip"
TRAINING = (
    "--config ce.yaml --model.backbone ResNet20 --model.backbone.width 2 --trainer.max_epochs 2 "
    "--model.schedule Cosine --model.schedule.warmup 0 --trainer.accelerator cpu --trainer.precision 32-true "
    "--trainer.enable_progress_bar false"
)


def same(one: LongTailed, other: LongTailed) -> bool:
    """Tell whether two sets have the same images in the same order."""
    for data in (one, other):
        data.setup()
    assert one.splits.keys() == other.splits.keys()
    assert one.counts == other.counts
    return all(
        torch.equal(split.images, other.splits[name].images) and torch.equal(split.labels, other.splits[name].labels)
        for name, split in one.splits.items()
    )


def test_a_set_written_to_folders_is_trained_on_as_it_was(ltr: Run, tmp_path: Path) -> None:
    assert ltr("convert --data Synthetic --data.tail none --output written") == 0
    original = Synthetic(imbalance=4)
    mean, std = original.mean, original.std
    folder = FolderLT("written", size=8, tail="exp", imbalance=4, mean=mean, std=std)
    assert same(original, folder)
    assert original.fingerprints == folder.fingerprints
    assert original.classes == folder.classes
    assert ltr("fit --name original --data Synthetic --data.imbalance 4", CROPS, TRAINING) == 0
    colours = f"--data.mean {list(mean)} --data.std {list(std)}".replace(", ", ",")
    assert ltr("fit --name folder --data FolderLT --data.root written", SAME, colours, CROPS, TRAINING) == 0
    curves = [(tmp_path / "checkpoints" / name / "metrics.csv").read_text() for name in ("original", "folder")]
    assert curves[0] == curves[1]
    states = [
        torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in ("original", "folder")
    ]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize(
    ("layout", "kind", "root"), [("table", TableLT, "table.csv"), ("annotations", AnnotatedLT, "")]
)
def test_a_set_as_a_list(layout: str, kind: type, root: str, ltr: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert ltr(f"convert --data Synthetic --data.imbalance 4 --to {layout} --output written") == 0
    assert "images of 5 classes" in capsys.readouterr().out
    original = Synthetic(imbalance=4)
    found = kind(f"written/{root}", size=8)
    found.setup()
    original.setup()
    assert found.classes == original.classes
    assert found.counts == original.counts
    assert torch.equal(found.splits["test"].images, original.splits["test"].images)
    assert found.fingerprints == original.fingerprints


def test_files_are_copied_to_folders_and_listed_where_they_are(ltr: Run, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in range(2):
            home = tmp_path / "mine" / split / f"class {label}"
            home.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (30 + number, 20), (90 * number, 200 * label, 0)).save(home / f"{split} {number}.jpg")
    assert ltr("convert --data FolderLT --data.root mine --to annotations --output listed") == 0
    entries = json.loads((tmp_path / "listed/train.json").read_text())["annotations"]
    assert {(entry["im_height"], entry["im_width"]) for entry in entries} == {(20, 30), (20, 31), (20, 32)}
    assert all(Path(entry["fpath"]).is_relative_to(tmp_path / "mine/train") for entry in entries)
    assert ltr("convert --data FolderLT --data.root mine --output copied") == 0
    copies = sorted((tmp_path / "copied/test/class 1").iterdir())
    originals = [path.read_bytes() for path in (tmp_path / "mine/test/class 1").iterdir()]
    assert sorted(path.read_bytes() for path in copies) == sorted(originals)
    first, second = FolderLT(str(tmp_path / "mine")), FolderLT(str(tmp_path / "copied"))
    first.setup()
    second.setup()
    assert first.fingerprints == second.fingerprints


def test_names_that_look_like_a_formula_stay_what_they_are_in_a_table(ltr: Run, tmp_path: Path) -> None:
    classes = ["+pos", "-neg", "=sum", "@home", "ok"]
    for number, name in enumerate(classes):
        for split in ("train", "test"):
            (tmp_path / "mine" / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "mine" / split / name / "0.png")
    assert ltr("convert --data FolderLT --data.root mine --to table --output written") == 0
    assert ",'=sum,train" in (tmp_path / "written/table.csv").read_text(), "no spreadsheet runs it"
    assert TableLT("written/table.csv").classes == FolderLT("mine").classes == classes


@pytest.mark.parametrize("name", [" a", "a "])
def test_a_name_with_blanks_at_its_ends_stands_in_no_table(name: str, tmp_path: Path) -> None:
    for path in (f"train/{name}/0.png", f"test/{name}/0.png", "train/a/0.png", "test/a/0.png"):
        (tmp_path / "mine" / path).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "mine" / path)
    with pytest.raises(InputError, match=f"a table keeps no blanks at the ends of a name, such as '{name}'"):
        write(FolderLT(str(tmp_path / "mine")), tmp_path / "written", "table")
    assert not (tmp_path / "written").exists()


def test_a_name_that_is_not_in_utf8_stands_in_no_table(ltr: Run, tmp_path: Path, capsys) -> None:
    for name in ("mine/train/a", "mine/train/b", "mine/test/a", "mine/test/b"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0.png")
    try:
        os.rename(b"mine/train/a/0.png", b"mine/train/a/caf\xe9.png")
    except OSError:
        pytest.skip("the file system has names in UTF-8 only")
    assert ltr("convert --data FolderLT --data.root mine --to table --output written") == 2
    assert r"caf\xe9.png is not in UTF-8, as a table is: rename it, or convert to folders." in capsys.readouterr().err
    assert ltr("convert --data FolderLT --data.root mine --output written") == 0


def test_a_damaged_image_is_named_and_no_half_of_a_set_written(ltr: Run, tmp_path: Path, capsys) -> None:
    for name in ("mine/train/a", "mine/train/b", "mine/test/a", "mine/test/b"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0.png")
    whole = (tmp_path / "mine/test/b/0.png").read_bytes()
    (tmp_path / "mine/test/b/0.png").write_bytes(b"damaged")
    words = "convert --data FolderLT --data.root mine --to annotations --output written"
    assert ltr(words) == 2
    assert "mine/test/b/0.png is damaged or not an image: repair or remove it, or leave" in capsys.readouterr().err
    (tmp_path / "mine/test/b/0.png").write_bytes(whole)
    assert ltr(words) == 0
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells, splits = [whole, whole, b"damaged", whole], ["train", "train", "test", "test"]
    parquet.write_table(arrow.table({"image": cells, "label": [*"abab"], "split": splits}), "inside.parquet")
    assert ltr("convert --data TableLT --data.root inside.parquet --output copied") == 2
    assert "test/2 is damaged or not an image: repair or remove it, or leave such files" in capsys.readouterr().err


def test_synthetic_images_are_refused(ltr: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("mine/train/a", "mine/train/b", "mine/test/a", "mine/test/b", "more/a"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / f"{name.count('b')}.png")
    for layout in ("folders", "table", "annotations"):
        words = "--data FolderLT --data.root mine --data.synthetic more"
        assert ltr("convert", words, f"--to {layout} --output written") == 2
        assert "leave out `--data.synthetic`, and pass it to the training." in capsys.readouterr().err
    assert not (tmp_path / "written").exists()


def test_bad_arguments_are_told(ltr: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert ltr("convert --data FolderLT --data.root nowhere --output x") == 2
    assert "there is no folder nowhere" in capsys.readouterr().err
    assert ltr("convert --output x") == 2
    assert "name the data" in capsys.readouterr().err
    assert ltr("convert --data Synthetic --to nonsense --output x") == 2
    assert "it cannot be nonsense" in capsys.readouterr().err


def test_sets_are_never_mixed(ltr: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ltr("convert --data Synthetic --data.imbalance 2 --output mine") == 0
    before = sorted(tmp_path.rglob("*"))
    for words in (
        "--data Synthetic --data.imbalance 8 --output mine",
        "--data FolderLT --data.root mine --output mine",
        "--data Synthetic --to table --output mine",
    ):
        capsys.readouterr()
        assert ltr("convert", words) == 2
        assert "mine holds files: name a new folder with `--output`, or delete it first." in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    assert ltr("convert --data FolderLT --data.root mine --to table --output mine") == 0
    assert ltr("convert --data FolderLT --data.root mine --to table --output mine") == 2, "its table is there already"
