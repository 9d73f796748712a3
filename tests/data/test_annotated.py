"""The annotations of Bag of Tricks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ltr.data import AnnotatedLT
from ltr.errors import InputError


def write(home: Path, **splits: list[int]) -> None:
    """Write images and annotations as the tools of Bag of Tricks do, with absolute paths."""
    for split, labels in splits.items():
        rows = []
        for number, label in enumerate(labels):
            path = home / "images" / f"{split}_{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (120 * label,) * 3).save(path)
            size = {"im_height": 8, "im_width": 8}
            rows.append({"image_id": number, "fpath": str(path), **size, "category_id": label})
        content = {"annotations": rows, "num_classes": 3}
        (home / f"CIFAR100_{split}.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write(tmp_path / "set", train=[0, 0, 0, 1, 1, 2], val=[2, 1, 0])
    return tmp_path / "set"


def test_converted_data_work_as_they_are(home: Path) -> None:
    data = AnnotatedLT(str(home), size=4)
    assert data.classes == ["0", "1", "2"]
    assert data.counts == (3, 2, 1)
    assert data.monitored == ["test"], "what the original calls val is what it tests on"
    data.setup()
    assert [int(image.max()) // 110 for image in data.splits["test"].images] == [2, 1, 0]


def test_a_third_file_is_followed(home: Path) -> None:
    write(home, test=[0, 1, 2])
    assert AnnotatedLT(str(home)).monitored == ["val", "test"]


def change(home: Path, **values: Any) -> None:
    path = home / "CIFAR100_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values), encoding="utf-8")


def test_bad_annotations_are_refused_with_a_sentence(home: Path, tmp_path: Path) -> None:
    path = home / "CIFAR100_train.json"
    whole = path.read_text()
    rows = json.loads(whole)["annotations"]
    with pytest.raises(InputError, match="there is no folder"):
        AnnotatedLT(str(tmp_path / "nowhere"))
    change(home, annotations=[*rows, {**rows[0], "category_id": 3}])
    with pytest.raises(InputError, match=r"train_0\.jpg has the category 3 in .*, whose last one is 2"):
        AnnotatedLT(str(home))
    change(home, annotations=[*rows, {**rows[0], "fpath": str(home / "gone.jpg")}])
    with pytest.raises(
        InputError, match=r"1 of the 7 images that .*train\.json lists are missing, the first is .*gone"
    ):
        AnnotatedLT(str(home))
    change(home, annotations=[*rows, {**rows[0], "category_id": 1}])
    with pytest.raises(InputError, match=r"train\.json lists .*train_0\.jpg more than once: keep one"):
        AnnotatedLT(str(home))
    change(home, annotations=rows[:5])
    with pytest.raises(InputError, match="no image to train on of class 2"):
        AnnotatedLT(str(home))
    change(home, annotations=rows, num_classes=4)
    with pytest.raises(InputError, match="are of 3 and 4 classes"):
        AnnotatedLT(str(home))
    for broken in (
        whole[:100],
        "[]",
        '{"annotations": [], "num_classes": 3}',
        '{"annotations": [1], "num_classes": 3}',
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match=r"train\.json is not a file of annotations: it needs `num_classes`"):
            AnnotatedLT(str(home))
    path.write_text(whole)
    for classes in (["a", "b"], [*"abcd"], "abc", [1, 2, 3], {"a": 0, "b": 1, "c": 2}, ["a", "a", "c"], []):
        change(home, classes=classes)
        with pytest.raises(InputError, match=r"the `classes` of .*train\.json are not a list of 3 different names"):
            AnnotatedLT(str(home))
    change(home, classes=["a", "b", "c"])
    test = home / "CIFAR100_val.json"
    test.write_text(json.dumps({**json.loads(test.read_text()), "classes": ["c", "b", "a"]}))
    with pytest.raises(InputError, match="have different `classes`: give all of them the same list"):
        AnnotatedLT(str(home))
    path.write_text(whole)
    (home / "other_train.json").write_text(whole)
    with pytest.raises(InputError, match=r"several annotations of one split, CIFAR100_train\.json, other_train\.json"):
        AnnotatedLT(str(home))
    for one in home.glob("*train.json"):
        one.unlink()
    with pytest.raises(InputError, match=r"has no `\.\.\.train\.json`"):
        AnnotatedLT(str(home))
