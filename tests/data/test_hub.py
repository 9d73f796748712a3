"""Sets as the Hugging Face Hub has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltr.data import HubLT
from ltr.errors import InputError

datasets = pytest.importorskip("datasets", reason="needs the extra `hub`")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of Parquet files: images of three greys, with two kinds of labels."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    features = datasets.Features(
        {
            "img": datasets.Image(),
            "fine": datasets.ClassLabel(names=["black", "grey", "white"]),
            "word": datasets.Value("string"),
        }
    )
    for split, labels in {"train": [0, 0, 0, 0, 1, 1, 2], "test": [2, 1, 0]}.items():
        images = [Image.fromarray(np.full((6, 8, 3), 100 * label, np.uint8)) for label in labels]
        rows = {"img": images, "fine": labels, "word": [f"w{label}" for label in labels]}
        part = datasets.Dataset.from_dict(rows, features=features)
        (tmp_path / "set").mkdir(exist_ok=True)
        part.to_parquet(tmp_path / "set" / f"{split}-00000-of-00001.parquet")
    return tmp_path / "set"


def test_columns_are_found_by_their_kinds(home: Path) -> None:
    data = HubLT(str(home), size=4)
    assert data.classes == ["black", "grey", "white"]
    assert data.counts == (4, 2, 1)
    data.setup()
    for split in data.splits.values():
        assert split.images[:, 0, 0, 0].tolist() == [100 * label for label in split.labels.tolist()]
    assert sorted(data.splits["train"].indices) == list(range(7))


def test_files_are_decoded_by_workers(home: Path) -> None:
    data = HubLT(str(home), size=4, memory=0, workers=1)
    data.setup()
    batch = next(iter(data.test_dataloader()))
    assert batch.images[:, 0, 0, 0].tolist() == [200, 100, 0]


def test_columns_can_be_named(home: Path) -> None:
    data = HubLT(str(home), label="word")
    assert data.classes == ["w0", "w1", "w2"]
    assert data.counts == (4, 2, 1)


def test_a_split_is_drawn_and_nothing_is_written(home: Path) -> None:
    (home / "test-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match="only one image of class white"):
        HubLT(str(home))
    rows = datasets.Dataset.from_parquet(
        str(home / "train-00000-of-00001.parquet"), cache_dir=str(home.parent / "rows")
    )
    rows.select([0, 1, 2, 4, 5, 6, 6]).to_parquet(home / "train-00000-of-00001.parquet")
    data = HubLT(str(home), size=4)
    data.setup()
    assert data.counts == (2, 1, 1)
    assert [path.name for path in home.iterdir()] == ["train-00000-of-00001.parquet"]


def change(home: Path, **columns: list[object]) -> None:
    """Replace columns of the training split."""
    path = home / "train-00000-of-00001.parquet"
    whole = datasets.Dataset.from_parquet(str(path), cache_dir=str(home.parent / "whole"))
    features, rows = whole.features, {name: whole[name] for name in whole.features}
    datasets.Dataset.from_dict({**rows, **columns}, features=features).to_parquet(path)


@pytest.mark.parametrize(
    ("column", "cell", "what"),
    [
        ("word", None, "no label"),
        ("fine", None, "no label"),
        ("fine", -1, "the label -1, which is not a class"),
    ],
)
def test_a_row_without_a_label_is_refused(column: str, cell: object, what: str, home: Path) -> None:
    labels = [f"w{label}" if column == "word" else label for label in [0, 0, 0, 0, 1, 1, 2]]
    change(home, **{column: [*labels[:4], cell, *labels[5:]]})
    with pytest.raises(InputError, match=f"row 5 of the train split of .* has {what}: remove such rows from the set"):
        HubLT(str(home), label=column)


def test_a_test_split_without_labels_is_not_used(home: Path) -> None:
    path = home / "test-00000-of-00001.parquet"
    whole = datasets.Dataset.from_parquet(str(path), cache_dir=str(home.parent / "whole"))
    rows = {name: whole[name] for name in whole.features}
    rows["fine"] = [-1] * len(whole)
    datasets.Dataset.from_dict(rows, features=whole.features).to_parquet(path)
    change(home, fine=[0, 0, 0, 1, 1, 2, 2])
    with pytest.warns(UserWarning, match="the test split of .* has no labels and is not used"):
        data = HubLT(str(home))
    assert data.counts == (2, 1, 1), "a test split is drawn"


def test_a_missing_image_is_refused_or_left_out(home: Path) -> None:
    images = [Image.new("RGB", (8, 6)) for _ in range(6)]
    change(home, img=[None, *images])
    with pytest.raises(InputError, match=r"is damaged or not an image: .* `--data\.unreadable skip`"):
        HubLT(str(home)).setup()
    with pytest.warns(UserWarning, match="1 file that is not an image is left out: train/0"):
        assert HubLT(str(home), unreadable="skip").counts == (3, 2, 1)


def test_bad_sets_are_refused_with_a_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not be loaded .*check `--data\.root`"):
        HubLT(str(tmp_path / "nowhere"))
    with pytest.raises(
        InputError, match=r"no column pixels, but img, fine, word: name one of these with `--data\.image`"
    ):
        HubLT(str(home), image="pixels")
    (home / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(InputError, match="has no training split, but test"):
        HubLT(str(home))


@pytest.mark.filterwarnings("ignore:the network was trained on")  # of one colour, so equal in both splits
def test_a_network_is_trained_on_it(home: Path, ltr: Callable[..., int]) -> None:
    words = "--model.backbone ResNet20 --model.backbone.width 2 --trainer.max_epochs 1 --model.schedule Cosine"
    more = "--model.schedule.warmup 0 --trainer.accelerator cpu --trainer.precision 32-true --data.size 8"
    assert ltr(f"fit --config ce.yaml --data HubLT --data.root {home} --name mine {words} {more}") == 0
    assert ltr("test --ckpt_path mine") == 0
