"""The large sets of the field, on small files in their official layouts."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltr.counts import fingerprint, number
from ltr.data import AnnotatedLT, Compose, ImageNetLT, INaturalist2018, PlacesLT, ResizedCrop, TableLT
from ltr.data.text_lists import TextLists
from ltr.errors import InputError

Run = Callable[..., int]

IMAGENET = {
    "train": """\
train/n01440764/n01440764_190.JPEG 0
train/n01443537/n01443537_30.JPEG 1
train/n01440764/n01440764_31.JPEG 0
train/n01484850/n01484850_7.JPEG 2
train/n01440764/n01440764_4 copy.JPEG 0
train/n01443537/n01443537_9.JPEG 1
""",
    "val": """\
train/n01440764/n01440764_762.JPEG 0
train/n01443537/n01443537_16403.JPEG 1
train/n01484850/n01484850_1476.JPEG 2
""",
    "test": """\
val/n01440764/ILSVRC2012_val_00029930.JPEG 0
val/n01443537/ILSVRC2012_val_00048204.JPEG 1
val/n01484850/ILSVRC2012_val_00020436.JPEG 2
val/n01484850/ILSVRC2012_val_00049643.JPEG 2
""",
}
PLACES = {
    "train": """\
data_256/a/airfield/00004851.jpg 0
data_256/b/bakery/shop/00000001.jpg 1
data_256/a/airfield/00000001.jpg 0
""",
    "val": """\
data_256/a/airfield/00000002.jpg 0
data_256/b/bakery/shop/00000002.jpg 1
""",
    "test": "val_256/Places365_val_00003597.jpg 0\nval_256/Places365_val_00000435.jpg 1\n",
}
INATURALIST = {
    "train": """\
train_val2018/Plantae/1/3b60c9486db1d2ee875f11a669fbde4a.jpg 1
train_val2018/Aves/0/6fcce1c4d04c20f815464898d928e514.jpg 0
train_val2018/Plantae/1/637f068365d03de5611ae31dce654a28.jpg 1
""",
    "val": """\
train_val2018/Aves/0/637d5d2948fa859618e4405ae0efc42c.jpg 0
train_val2018/Plantae/1/b27d06924a8b9922050b98cbae0176cd.jpg 1
""",
}
CATEGORIES = ["Corvus corax", "Quercus robur"]


def put(home: Path, lists: dict[str, str], prefix: str) -> Path:
    """Write lists, and a grey image of 16 x 16 pixels for every line, each a little brighter."""
    for split, text in lists.items():
        (home / f"{prefix}_{split}.txt").write_text(text)
        for shade, line in enumerate(text.splitlines()):
            path = home / line.rpartition(" ")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (10 * shade,) * 3).save(path, "JPEG")
    return home


def annotate(home: Path, lists: dict[str, str], names: list[str]) -> None:
    """Write lists as the JSON of the competition, whose annotations come in another order than its images."""
    for split, text in lists.items():
        pairs = [line.rsplit(" ", 1) for line in text.splitlines()]
        content = {
            "info": {"year": 2018},
            "images": [
                {"id": 7 + at, "width": 16, "height": 16, "file_name": name} for at, (name, _) in enumerate(pairs)
            ],
            "categories": [{"id": label, "name": name, "supercategory": "?"} for label, name in enumerate(names)],
            "annotations": [
                {"id": at, "image_id": 7 + at, "category_id": int(label)} for at, (_, label) in enumerate(pairs)
            ][::-1],
        }
        (home / f"{split}2018.json").write_text(json.dumps(content))


@pytest.fixture
def imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small ImageNet with its lists, whose numbers count as the official ones."""
    monkeypatch.setattr(ImageNetLT, "official", {"classes": 3, "train": 6, "val": 3, "test": 4})
    return put(tmp_path, IMAGENET, "ImageNet_LT")


def test_imagenet_is_what_its_lists_say(imagenet: Path) -> None:
    data = ImageNetLT(str(imagenet), size=16, crop=12)
    assert data.counts == (3, 2, 1)
    assert data.classes == ["n01440764", "n01443537", "n01484850"]
    assert data.monitored == ["val", "test"]
    assert data.description["official"]
    data.setup()
    assert data.splits["test"].labels.tolist() == [0, 1, 2, 2]
    brightness = data.splits["test"].images.float().mean((1, 2, 3))
    torch.testing.assert_close(brightness, torch.tensor([0.0, 10.0, 20.0, 30.0]), atol=2, rtol=0)
    names = [line.rpartition(" ")[0] for line in IMAGENET["train"].splitlines()]
    assert data.fingerprints["train"] == fingerprint([number(name.encode()) for name in names])


def test_lists_may_lie_elsewhere(imagenet: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("lists")
    for path in imagenet.glob("*.txt"):
        path.rename(elsewhere / path.name)
    with pytest.raises(InputError, match=r"there is no list .*ImageNet_LT_train\.txt: it is in data/ImageNet_LT of"):
        ImageNetLT(str(imagenet))
    data = ImageNetLT(str(imagenet), lists=str(elsewhere), size=16, crop=12)
    data.setup()
    assert len(data.splits["train"].labels) == 6


def test_other_numbers_are_noted_and_are_not_official(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ImageNetLT(str(imagenet), tail="exp", imbalance=3).description["official"]
    official = {"classes": 3, "train": 7, "val": 3, "test": 4}
    monkeypatch.setattr(ImageNetLT, "official", official)
    with pytest.warns(UserWarning, match="there are 3 classes, 6 train, 3 val, 4 test; officially 3 classes, 7 train"):
        assert not ImageNetLT(str(imagenet)).description["official"]


def test_places_are_called_by_their_folders(tmp_path: Path) -> None:
    home = put(tmp_path, PLACES, "Places_LT")
    with pytest.warns(UserWarning, match="officially 365 classes, 62500 train, 7300 val, 36500 test"):
        data = PlacesLT(str(home), size=16, crop=None)
    assert data.classes == ["a/airfield", "b/bakery/shop"]
    data.setup()
    assert data.counts == (2, 1)
    for split, text in PLACES.items():
        easy = re.sub("data_256/./", "train/", text).replace("bakery/shop", "bakery-shop")
        (home / f"Places_LT_{split}.txt").write_text(easy)
    with pytest.warns(UserWarning, match="official"):
        assert PlacesLT(str(home)).classes == ["airfield", "bakery-shop"]


@pytest.mark.filterwarnings("ignore:this is not the official iNaturalist 2018")
def test_inaturalist_is_the_same_from_lists_and_from_json(tmp_path: Path) -> None:
    home = put(tmp_path, INATURALIST, "iNaturalist18")
    annotate(home, INATURALIST, CATEGORIES)
    annotated = INaturalist2018(str(home), size=16, crop=12)
    for path in home.glob("*.json"):
        path.unlink()
    listed = INaturalist2018(str(home), size=16, crop=12)
    for data in (annotated, listed):
        assert data.counts == (1, 2)
        assert data.monitored == ["test"]
        data.setup()
        assert dict(zip(data.listings["test"].names, data.splits["test"].labels.tolist(), strict=True)) == {
            name: int(label) for name, label in (line.split() for line in INATURALIST["val"].splitlines())
        }
    assert annotated.fingerprints == listed.fingerprints
    assert annotated.classes == CATEGORIES
    assert listed.classes == ["Aves/0", "Plantae/1"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"annotations": []}, "has 3 images and 0 annotations of 0 of them"),
        ({"images": [{"id": 1}]}, r"not a file of annotations \(KeyError\('file_name'\)\)"),
        (
            {"annotations": [{"image_id": at, "category_id": 8142} for at in (7, 8, 9)]},
            "the category 8142 for .*/1/3b60",
        ),
        ({"annotations": [{"image_id": at, "category_id": 1} for at in (7, 8, 8)]}, "3 annotations of 2 of them"),
    ],
)
def test_a_bad_json_is_refused(change: dict[str, object], sentence: str, tmp_path: Path) -> None:
    annotate(tmp_path, INATURALIST, CATEGORIES)
    path = tmp_path / "train2018.json"
    whole = path.read_text()
    path.write_text(json.dumps(json.loads(whole) | change))
    with pytest.raises(InputError, match=sentence):
        INaturalist2018(str(tmp_path))
    path.write_text(whole[:-20])
    with pytest.raises(InputError, match=r"train2018\.json is truncated"):
        INaturalist2018(str(tmp_path))
    path.unlink()
    with pytest.raises(InputError, match=r"iNaturalist18_train\.txt: unpack train2018\.json and val2018\.json"):
        INaturalist2018(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train/n01440764/n01440764_190.JPEG 0", r"line 7 of .*train\.txt names train/n01440764/.*_190\.JPEG again"),
        ("train/n01440764/other.JPEG,0", r"line 7 of .*train\.txt is not a path of an image, a blank and a label"),
        ("train/n01440764/other.JPEG -1", "line 7 .* is not a path"),
        ("17", "line 7 .* is not a path"),
        ("train/n01440764/other.JPEG 3", "line 7 .* has the label 3, but the last of 3 classes is 2"),
        ("val/n01440764/ILSVRC2012_val_00029930.JPEG 0", "is in the training split and in the test split"),
    ],
)
def test_a_bad_line_is_refused(line: str, sentence: str, imagenet: Path) -> None:
    (imagenet / "ImageNet_LT_train.txt").write_text(f"{IMAGENET['train']}{line}\n")
    with pytest.raises(InputError, match=sentence):
        ImageNetLT(str(imagenet))


def test_empty_lines_do_not_count_and_empty_lists_are_refused(imagenet: Path) -> None:
    path = imagenet / "ImageNet_LT_train.txt"
    path.write_text(f"\n{IMAGENET['train']}\n")
    assert ImageNetLT(str(imagenet)).counts == (3, 2, 1)
    path.write_text(re.sub(".* 1\n", "", IMAGENET["train"]))
    with pytest.raises(InputError, match="no image to train on of class 1"):
        ImageNetLT(str(imagenet))
    path.write_text("")
    with pytest.raises(InputError, match="names no image"):
        ImageNetLT(str(imagenet))


def test_missing_images_are_counted_and_named(imagenet: Path) -> None:
    (imagenet / "train" / "n01440764" / "n01440764_762.JPEG").unlink()
    data = ImageNetLT(str(imagenet), memory=0)
    with pytest.raises(InputError, match=r"1 of the 3 images of the val list .* as train/.*_762\.JPEG\. Name the"):
        data.setup()
    for path in (imagenet / "val").rglob("*.JPEG"):
        path.rename(imagenet / "val" / path.name)
    put(imagenet, {"val": IMAGENET["val"]}, "ImageNet_LT")
    with pytest.raises(InputError, match=r"4 of the 4 .*_00020436\.JPEG\. It is in .*val: sort the"):
        ImageNetLT(str(imagenet)).setup()


@pytest.mark.parametrize("kind", [ImageNetLT, PlacesLT, INaturalist2018])
def test_constants_and_augmentation_are_those_of_the_field(kind: type[TextLists], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lists = {"ImageNet_LT": IMAGENET, "Places_LT": PLACES, "iNaturalist18": INATURALIST}[kind.prefix]
        data = kind(str(put(tmp_path, lists, kind.prefix)))
    coloured = kind is not INaturalist2018
    assert isinstance(data.augment, Compose if coloured else ResizedCrop)
    assert data.augment(torch.zeros(2, 3, 256, 256, dtype=torch.uint8)).shape == (2, 3, 224, 224)
    assert data.mean == ((0.485, 0.456, 0.406) if coloured else (0.466, 0.471, 0.380))


WORDS = (
    "--data.size 16 --data.crop 12 --data.batch_size 4 --model.backbone ResNet20 --model.backbone.width 2 "
    "--trainer.max_epochs 1 --trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)


@pytest.mark.filterwarnings("ignore:the network was trained on")  # of one colour, so equal in both splits
def test_a_network_is_trained_and_tested_on_a_small_imagenet(imagenet: Path, ltr: Run) -> None:
    configs = "--config balanced_softmax.yaml --config data/imagenet_lt.yaml"
    assert ltr(f"fit {configs} --name small --data.root {imagenet}", WORDS) == 0
    assert ltr("test --ckpt_path small") == 0
    measures = json.loads(Path("checkpoints/small/test/metrics.json").read_text())
    assert measures["data"]["name"] == "ImageNet-LT"
    assert measures["data"]["official"]
    assert measures["counts"] == [3, 2, 1]


def test_a_network_is_trained_on_a_small_mini_imagenet(tmp_path: Path, ltr: Run) -> None:
    home = tmp_path / "mini-ImageNet"
    for split, count in {"train": 6, "val": 1, "test": 2}.items():
        for name in ("n01532829", "n01558993"):
            (home / split / name).mkdir(parents=True)
            for at in range(count):
                Image.effect_noise((16, 16), 40 + at).save(home / split / name / f"{name}0000{at}.jpg")
    words = f"--config ce.yaml --config data/mini_imagenet.yaml --data.root {home} --data.imbalance 3 --name mini"
    assert ltr("fit", words, WORDS, "--model.schedule Cosine --model.schedule.warmup 0") == 0
    assert ltr("test --ckpt_path mini") == 0
    assert json.loads(Path("checkpoints/mini/test/metrics.json").read_text())["counts"] == [6, 2]


@pytest.mark.filterwarnings("ignore:the network was trained on")  # of one colour, so equal in both splits
@pytest.mark.filterwarnings("ignore:.* has no test image of 7,124 classes")
@pytest.mark.slow
def test_thousands_of_classes_of_one_to_a_thousand_images(
    tmp_path: Path, ltr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.maximum(1000 // np.arange(1, 8143) ** 2, 1)
    tested = np.arange(8142) % 8 == 0
    official = {"classes": 8142, "train": int(counts.sum()), "test": int(tested.sum())}
    monkeypatch.setattr(INaturalist2018, "official", official)
    image = BytesIO()
    Image.new("RGB", (8, 8), (90, 60, 30)).save(image, "JPEG")
    for split, sizes in {"train": counts, "val": tested}.items():
        names = [f"{split}/{at}.jpg {label}" for at, label in enumerate(np.repeat(np.arange(8142), sizes))]
        (tmp_path / f"iNaturalist18_{split}.txt").write_text("\n".join(names))
        (tmp_path / split).mkdir()
        for name in names:
            (tmp_path / name.split()[0]).write_bytes(image.getvalue())
    words = f"--config balanced_softmax.yaml --config data/inaturalist2018.yaml --data.root {tmp_path} --name many"
    assert ltr("fit", words, WORDS, "--data.size 8 --data.crop null --data.batch_size 512") == 0
    assert ltr("test --ckpt_path many --config logit_adjustment.yaml") == 0
    measures = json.loads(Path("checkpoints/many/test/metrics.json").read_text())
    assert measures["counts"] == counts.tolist()
    assert measures["zero_recall"] >= tested.sum() - 1, "all images are the same"
    assert [value is None for value in measures["recall"]] == (~tested).tolist()


@pytest.mark.filterwarnings("ignore:this is not the official")
def test_lists_become_annotations_and_tables(imagenet: Path, tmp_path: Path, ltr: Run, capsys) -> None:
    original = ImageNetLT(str(imagenet), size=8, crop=8)
    assert ltr(f"convert --data ImageNetLT --data.root {imagenet} --to annotations --output listed") == 0
    found = AnnotatedLT("listed", size=8)
    assert (found.classes, found.counts, found.monitored) == (original.classes, original.counts, original.monitored)
    for data in (original, found):
        data.setup()
    for name in ("val", "test"):
        assert torch.equal(original.splits[name].images, found.splits[name].images)
    (tmp_path / "nature").mkdir()
    home = put(tmp_path / "nature", INATURALIST, "iNaturalist18")
    assert ltr(f"convert --data INaturalist2018 --data.root {home} --to table --output listed") == 0
    assert TableLT("listed/table.csv").classes == ["Aves/0", "Plantae/1"]
    assert ltr(f"convert --data INaturalist2018 --data.root {home} --to folders --output copied") == 2
    assert "no folder can have the name of the class 'Aves/0'" in capsys.readouterr().err
