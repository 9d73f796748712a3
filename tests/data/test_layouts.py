"""Folders and tables as people have them: each is read as it is meant, or asked about in a sentence."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltr.counts import Counts
from ltr.data import FolderLT, TableLT
from ltr.data.file_list import class_order, split_of
from ltr.data.locate import identities, locate
from ltr.data.splits import class_positions
from ltr.errors import InputError

Run = Callable[..., int]


def draw(folder: Path, counts: dict[str, int] | int, *, kind: str = ".png") -> None:
    """Write small images, in a folder per class or, for a number, in the folder itself."""
    for name, count in counts.items() if isinstance(counts, dict) else [("", counts)]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = folder / name / f"{number:02}.png"
            Image.new("RGB", (6, 6), (number, len(name), len(folder.name))).save(path)
            path.rename(path.with_suffix(kind))


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("Train", "Test"), ["train", "test"]),
        (("training", "testing"), ["train", "test"]),
        (("TRAIN", "VAL"), ["train", "test"]),
        (("train", "valid", "test"), ["train", "val", "test"]),
        (("train_images", "validation_images", "test_images"), ["train", "val", "test"]),
        (("train2017", "val2017"), ["train", "test"]),
    ],
)
def test_the_usual_names_of_splits_are_known_in_any_case(
    names: tuple[str, ...], splits: list[str], tmp_path: Path
) -> None:
    for number, name in enumerate(names):
        draw(tmp_path / name, {"cat": 3 + number, "dog": 3 + number})
    data = FolderLT(str(tmp_path))
    assert data.classes == ["cat", "dog"]
    assert data.counts == (3, 3)
    assert sorted(data.listings) == sorted(splits)


def test_a_name_is_that_of_a_split_only_as_a_whole() -> None:
    names = ("train", "Test_Images", "images-val", "devset", "trains", "test bench", "set", "cat")
    assert [split_of(name) for name in names] == ["train", "test", "val", None, None, None, None, None]


def test_what_may_be_a_split_or_a_class_is_asked(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "train", {"cat": 3, "dog": 3})
    with pytest.raises(InputError, match=r"has `train/`, but neither .*`--data\.root .*a/train` to hold out"):
        FolderLT(str(tmp_path / "a"))
    draw(tmp_path / "a" / "val", {"cat": 2, "dog": 2})
    draw(tmp_path / "a" / "Valid", {"cat": 2, "dog": 2})
    with pytest.raises(InputError, match=r"has `Valid/` and `val/` for one split: keep one"):
        FolderLT(str(tmp_path / "a"))
    draw(tmp_path / "b", {"bus": 3, "car": 3, "train": 3})
    assert FolderLT(str(tmp_path / "b")).classes == ["bus", "car", "train"], "a class of trains"
    draw(tmp_path / "c", {"bus": 3, "car": 3, "test": 3})
    with pytest.raises(InputError, match=r"has `test/` beside bus, car: move the folders of the training images"):
        FolderLT(str(tmp_path / "c"))


def kaggle(home: Path, *, endings: bool = False) -> Path:
    """Write a competition: ids without ending, a folder of images per table, a test table without labels."""
    draw(home / "train_images", 12, kind=".JPG")
    draw(home / "test_images", 12)
    dot = ".JPG" if endings else ""
    rows = [f"{number:02}{dot},{'left turn' if number % 3 else 'stop'}" for number in range(12)]
    (home / "train.csv").write_text("\n".join(["Id,Label", *rows]))
    (home / "test.csv").write_text("\n".join(["Id", *(f"{number:02}" for number in range(12))]))
    (home / "sample_submission.csv").write_text("Id,Label\n00,stop\n")
    return home


def test_a_competition_is_read_as_it_is_meant(tmp_path: Path) -> None:
    home = kaggle(tmp_path / "kaggle")
    with pytest.raises(InputError, match=r"holds 0 folders of classes.* if train\.csv has the labels, pass `--data"):
        FolderLT(str(home))
    with pytest.warns(UserWarning, match=r"test\.csv has no labels and is not used: pass it to `ltr predict --images`"):
        data = TableLT(str(home))
    assert data.classes == ["left turn", "stop"]
    assert data.counts == (6, 3)
    assert {Path(str(source)).parent.name for source in data.listings["train"].sources} == {"train_images"}
    assert all(len(name) == 2 for name in data.listings["test"].names), "named as in the table"
    data.setup("fit")
    assert TableLT(str(home)).counts == (6, 3), "what a training has said is not repeated"


def test_images_in_several_folders_are_asked_about(tmp_path: Path) -> None:
    home = kaggle(tmp_path)
    (home / "labels.csv").write_text((home / "train.csv").read_text())
    with pytest.raises(InputError, match=r"may be those in .*test_images, .*train_images: name their folder with"):
        TableLT(str(home / "labels.csv"))
    assert TableLT(str(home / "labels.csv"), images=str(home / "train_images")).counts == (6, 3)


def test_names_are_found_with_backslashes_and_in_other_cases(tmp_path: Path) -> None:
    draw(tmp_path / "Im", {"cat": 2})
    found = locate(["Im\\cat\\00.png", "Im/cat/01.PNG"], tmp_path, tmp_path / "t.csv")
    assert found == [str(tmp_path / "Im/cat/00.png"), str(tmp_path / "Im/cat/01.png")]
    Image.new("RGB", (4, 4)).save(tmp_path / "Im/cat/00.gif")
    with pytest.raises(InputError, match=r"Im/cat/00 may be 00\.gif or 00\.png"):
        locate(["Im/cat/00"], tmp_path, tmp_path / "t.csv")


def test_a_folder_with_one_table_is_that_table(tmp_path: Path) -> None:
    draw(tmp_path / "pictures", 8)
    rows = [f"{number:02},{number % 2}" for number in range(8)]
    (tmp_path / "annotations.csv").write_text("\n".join(["image;label", *rows]).replace(",", ";"))
    data = TableLT(str(tmp_path))
    assert data.counts == (3, 3)
    data.setup()
    assert TableLT(str(tmp_path)).listings["test"].names == data.listings["test"].names, "with the kept split beside it"


def test_linked_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    draw(tmp_path / "set", {"cat": 3, "dog": 3})
    draw(tmp_path / "more", 2)
    draw(tmp_path / "set/cat/.ipynb_checkpoints", 1)
    (tmp_path / "set/cat/linked").symlink_to(tmp_path / "more")
    (tmp_path / "set/cat/again").symlink_to(tmp_path / "more")
    (tmp_path / "set/cat/loop").symlink_to(tmp_path / "set/cat")
    data = FolderLT(str(tmp_path / "set"), test_share=1)
    assert data.counts == (5, 3)


def test_one_file_under_two_names_is_noticed(tmp_path: Path) -> None:
    draw(tmp_path / "train", {"cat": 3, "dog": 3})
    draw(tmp_path / "test", {"cat": 2, "dog": 2})
    (tmp_path / "test/cat/other.png").symlink_to(tmp_path / "train/cat/00.png")
    with pytest.raises(InputError, match=r"train/cat/00\.png is in the training split and in the test split, there as"):
        FolderLT(str(tmp_path))
    (tmp_path / "test/cat/other.png").unlink()
    os.link(tmp_path / "train/cat/01.png", tmp_path / "test/cat/hard.png")
    with pytest.raises(InputError, match=r"train/cat/01\.png is in .* there as test/cat/hard\.png"):
        FolderLT(str(tmp_path))
    names = [str(tmp_path / name) for name in ("train/cat/01.png", "test/cat/hard.png", "nowhere.png")]
    files = dict(identities(names))
    assert files[0] == files[1] != files[2]


def test_classes_in_two_forms_of_unicode_are_one(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    draw(tmp_path / "set/train", {"a": 4, composed: 4})
    draw(tmp_path / "set/test", {"a": 2, apart: 2})
    assert FolderLT(str(tmp_path / "set")).classes == ["a", composed]
    rows = [
        f"set/train/{name}/{number:02}.png,{label}"
        for number in range(4)
        for name, label in (("a", "a"), (composed, composed if number % 2 else apart))
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    assert TableLT(str(tmp_path / "t.csv")).classes == ["a", composed]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_names_that_are_not_utf8_are_shown_by_their_bytes(tmp_path: Path) -> None:
    draw(tmp_path, {"caf": 4, "tea": 4})
    os.rename(tmp_path / "caf", os.fsencode(tmp_path) + b"/caf\xe9")
    data = FolderLT(str(tmp_path))
    assert data.classes == ["caf\\xe9", "tea"]
    data.setup()
    assert (tmp_path / "ltr_split_0.2_0.csv").read_text(encoding="utf-8").count("caf\\xe9/") == 4


def test_classes_come_in_the_order_of_their_numbers() -> None:
    assert class_order(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert class_order(["1.0", "10.0", "2.0"]) == ["1.0", "2.0", "10.0"]
    assert class_order(["10", "9", "x"]) == ["10", "9", "x"]
    assert class_order(["1_0", "10"]) == ["10", "1_0"]
    assert class_order(["9" * 5000, "1"]) == ["1", "9" * 5000]
    with pytest.raises(InputError, match=r"the labels 1 and 1\.0 are the same number: write them alike"):
        class_order(["1", "1.0", "2"])


def test_the_home_folder_is_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    draw(tmp_path / "mine", {"a": 4, "b": 4})
    assert FolderLT("~/mine").root == str(tmp_path / "mine")
    assert FolderLT("~/mine").counts == (3, 3)


def test_a_test_set_alone_is_for_evaluations(tmp_path: Path) -> None:
    draw(tmp_path / "test", {"b": 3, "a": 2})
    data = FolderLT(str(tmp_path))
    assert not data.trainable
    data.setup("test")
    assert list(data.splits) == ["test"]
    with pytest.raises(InputError, match="has no training images: it can be used for `ltr test` only"):
        FolderLT(str(tmp_path)).setup("fit")
    with pytest.raises(InputError, match="the data have no train split, but test"):
        data.plain("train")
    data.match(["b", "a"], Counts([40, 8], [0, 1]))
    assert (data.classes, data.counts, data.counts.real) == (["b", "a"], (40, 9), (40, 8))
    assert data.splits["test"].labels.bincount().tolist() == [3, 2]


def test_classes_are_matched_by_name_or_by_number() -> None:
    assert class_positions(["a", "b"], ["a", "b"], "set") == []
    assert class_positions(["a", "b"], [], "set") == [], "a network that does not know its classes"
    assert class_positions(["b", "c", "a"], ["a", "b", "c"], "set") == [1, 2, 0]
    assert class_positions(["0", "1", "2"], ["0", "2", "1"], "set") == [0, 2, 1]
    with pytest.warns(UserWarning, match="matched by their numbers: 0 of set is cat of the network"):
        assert class_positions(["0", "1"], ["cat", "dog"], "set") == []
    with pytest.raises(InputError, match="the classes of set are not those of the network: these have cow, the"):
        class_positions(["cat", "cow"], ["cat", "dog"], "set")


def test_a_new_class_gets_test_images_and_is_told(tmp_path: Path) -> None:
    draw(tmp_path, {"a": 10, "b": 10})
    first = FolderLT(str(tmp_path))
    first.setup("fit")
    draw(tmp_path, {"c": 10})
    (tmp_path / "b").rename(tmp_path / "beta")
    with pytest.warns(UserWarning, match=r"names no image of class beta, c: test images of it are drawn"):
        later = FolderLT(str(tmp_path))
    assert np.bincount(later.listings["test"].labels).tolist() == [2, 2, 2]
    tested = [name for name in later.listings["test"].names if name.startswith("a/")]
    assert tested == [name for name in first.listings["test"].names if name.startswith("a/")]
    later.setup("fit")
    (tmp_path / "beta").rename(tmp_path / "b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = FolderLT(str(tmp_path))
    assert [name for name in again.listings["test"].names if name[0] == "b"] == [
        name for name in first.listings["test"].names if name[0] == "b"
    ], "what was tested on before stays so, while its folder has another name"


TRAINING = (
    "fit --config ce.yaml --data FolderLT --data.size 8 --data.batch_size 8 --model.backbone ResNet20 "
    "--model.backbone.width 2 --trainer.max_epochs 1 --model.schedule Cosine --model.schedule.warmup 0 "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false --name run"
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the network was trained on")
def test_a_run_is_tested_with_its_own_numbers_of_classes(tmp_path: Path, ltr: Run, capsys) -> None:
    draw(tmp_path / "set/train", {"b": 9, "a": 6, "c": 5})
    draw(tmp_path / "set/test", {"b": 4, "a": 3, "c": 2})
    assert ltr(TRAINING, "--data.root set") == 0
    counts = {"a": 3, "b": 4, "c": 2}
    rows = [f"test/{name}/{number:02}.png,{name}" for name, count in counts.items() for number in range(count)]

    def test(*words: str) -> tuple[int, str]:
        status = ltr("test --ckpt_path run --evaluation other", *words)
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    # The network of another order of classes, made from this one.
    content = torch.load("checkpoints/run/last.ckpt", weights_only=True)
    order = [2, 0, 1]
    content["classes"] = [content["classes"][label] for label in order]
    for name in ("counts", "synthetic", "head.fc.weight", "head.fc.bias"):
        content["state_dict"][name] = content["state_dict"][name][order]
    torch.save(content, "checkpoints/run/last.ckpt")
    assert test()[0] == 0
    permuted = json.loads(Path("checkpoints/run/other/metrics.json").read_text())
    assert permuted["classes"] == ["c", "a", "b"]
    assert permuted["counts"] == [5, 6, 9]
    labels = torch.load("checkpoints/run/other/predictions.pt", weights_only=True)["labels"]
    assert labels.bincount().tolist() == [2, 3, 4]

    (tmp_path / "set/t.csv").write_text("\n".join(["image,label,split", *(f"{row},test" for row in rows)]))
    assert test("--data TableLT --data.root set/t.csv")[0] == 0
    alone = json.loads(Path("checkpoints/run/other/metrics.json").read_text())
    assert alone["recall"] == permuted["recall"], "every image keeps its class, so there is nothing to tell"
    assert alone["counts"] == [5, 6, 9], "those of the training"

    (tmp_path / "set/t.csv").write_text((tmp_path / "set/t.csv").read_text().replace(",b,", ",owl,"))
    status, said = test("--data TableLT --data.root set/t.csv")
    assert status == 2
    assert "the classes of t are not those of the network: these have owl, the network has b." in said
    assert ltr(TRAINING, "--data.root set --trainer.max_epochs 2 --ckpt_path last") == 2
    assert "begun with other classes, or in another order" in capsys.readouterr().err
    tuning = TRAINING.replace("ce.yaml", "gml.yaml").replace("--name run", "--name tuned")
    tuning = " ".join(word for word in tuning.split() if "backbone" not in word and word not in ("ResNet20", "2"))
    assert ltr(tuning, "--data.root set --model.backbone.checkpoint run") == 2
    assert "the checkpoint has the classes of set in another order, c, a, b" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the network was trained on")
def test_a_test_says_what_part_it_takes_and_writes_nothing_into_the_set(tmp_path: Path, ltr: Run) -> None:
    draw(tmp_path / "set/train", {"a": 6, "b": 6})
    draw(tmp_path / "set/test", {"a": 3, "b": 3})
    draw(tmp_path / "new", {"a": 10, "b": 10})
    assert ltr(TRAINING, "--data.root set --data.augment none") == 0
    assert "augment: none" in Path("checkpoints/run/config.yaml").read_text()
    with pytest.warns(UserWarning, match=r"4 of its 20 images were drawn for it: pass `--data\.test_share 1`"):
        assert ltr("test --ckpt_path run --data.root new") == 0
    assert not list((tmp_path / "new").glob("*.csv"))
    assert ltr("test --ckpt_path run --data.root new --data.test_share 1 --evaluation all") == 0
    assert len(torch.load("checkpoints/run/all/predictions.pt", weights_only=True)["labels"]) == 20
