"""CIFAR from small files in the official layout, and from the official files where they are."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets

from ltr.data import CIFAR10LT, CIFAR100LT
from ltr.data.splits import Split
from ltr.errors import InputError
from ltr.run.lookup import PACKAGE

REFERENCE = json.loads((Path(__file__).parents[1] / "references" / "cifar100_lt_indices.json").read_text())
OFFICIAL = PACKAGE.parent / "data"
PER_CLASS = 8


def write(folder: Path, name: str, content: dict[str, Any]) -> list[str]:
    """Write a pickle as the official files are; return its name and md5 sum."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(content))
    return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]


def rows(labels: list[int], seed: int) -> np.ndarray:
    """Draw the images of some labels as the files store them: red, green and blue planes in a row."""
    return np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)


def no_network(_: datasets.CIFAR10) -> None:
    """Stand in for the download where nothing can be reached."""
    raise URLError("no network")


@pytest.fixture
def cifar100(tmp_path: Path) -> type[CIFAR100LT]:
    """Return CIFAR-100 of three classes, whose files lie in `tmp_path`."""
    labels = [0, 1, 2] * PER_CLASS
    folder = tmp_path / "cifar-100-python"
    train = write(folder, "train", {"data": rows(labels, 0), "fine_labels": labels, "coarse_labels": labels})
    test = write(folder, "test", {"data": rows([2, 0, 1], 1), "fine_labels": [2, 0, 1]})
    _, meta_md5 = write(folder, "meta", {"fine_label_names": ["apple", "bear", "cup"]})

    class Source(datasets.CIFAR100):
        train_list = [train]  # noqa: RUF012
        test_list = [test]  # noqa: RUF012
        meta = {"filename": "meta", "key": "fine_label_names", "md5": meta_md5}  # noqa: RUF012
        download = no_network

    class Small(CIFAR100LT):
        total_classes, largest, source = 3, PER_CLASS, Source

    return Small


def test_images_labels_and_classes_are_those_of_the_files(cifar100: type[CIFAR100LT], tmp_path: Path) -> None:
    data = cifar100(str(tmp_path), imbalance=4)
    data.prepare_data()
    data.setup("fit")
    assert data.counts == (8, 4, 2)
    assert data.classes == ["apple", "bear", "cup"]
    train, test = data.splits["train"], data.splits["test"]
    assert train.labels.tolist() == [0] * 8 + [1] * 4 + [2] * 2
    assert train.labels.tolist() == (train.indices % 3).tolist()
    expected = torch.from_numpy(rows([0, 1, 2] * PER_CLASS, 0)[train.indices]).view(-1, 3, 32, 32)
    assert torch.equal(train.images, expected)
    assert train.images.is_contiguous()
    assert test.labels.tolist() == [2, 0, 1]
    assert torch.equal(test.images, torch.from_numpy(rows([2, 0, 1], 1)).view(-1, 3, 32, 32))


def test_the_batch_files_of_cifar10_follow_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    parts = [
        write(folder, f"data_batch_{part}", {"data": rows([0, 1] * 3, part), "labels": [0, 1] * 3}) for part in (1, 2)
    ]
    test = write(folder, "test_batch", {"data": rows([1, 0], 9), "labels": [1, 0]})
    names = write(folder, "batches.meta", {"label_names": ["plane", "car"]})

    class Source(datasets.CIFAR10):
        train_list = parts
        test_list = [test]  # noqa: RUF012
        meta = {"filename": names[0], "key": "label_names", "md5": names[1]}  # noqa: RUF012

    class Small(CIFAR10LT):
        total_classes, largest, source = 2, 6, Source

    data = Small(str(tmp_path), tail="none")
    data.setup()
    train = data.splits["train"]
    whole = np.concatenate([rows([0, 1] * 3, part) for part in (1, 2)])
    assert sorted(train.indices.tolist()) == list(range(12))
    assert torch.equal(train.images, torch.from_numpy(whole[train.indices]).view(-1, 3, 32, 32))


@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_files_that_are_not_the_official_ones(cifar100: type[CIFAR100LT], tmp_path: Path, damage: str) -> None:
    file = tmp_path / "cifar-100-python" / "train"
    content = file.read_bytes()
    if damage == "missing":
        root = tmp_path / "elsewhere"
    else:
        root = tmp_path
        file.write_bytes(content[:-100] if damage == "truncated" else content.replace(b"fine_labels", b"fine_lapels"))
    data = cifar100(str(root), imbalance=4)
    with pytest.raises(InputError, match=r"--data\.root") as raised:
        data.prepare_data()
    state = "missing" if damage == "missing" else "damaged"
    assert f"are {state} in {root / 'cifar-100-python'}, and the download failed" in str(raised.value)
    assert "no network" in str(raised.value)
    with pytest.raises(InputError, match=r"missing or damaged in .*--data\.root"):
        data.setup("fit")


def test_missing_files_are_downloaded_once(
    cifar100: type[CIFAR100LT], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, here = tmp_path / "away", tmp_path / "cifar-100-python"
    here.rename(away)
    downloads = []

    def download(self: datasets.CIFAR10) -> None:
        downloads.append(self.root)
        away.rename(here)

    monkeypatch.setattr(cifar100.source, "download", download)
    data = cifar100(str(tmp_path), imbalance=4)
    data.prepare_data()
    data.prepare_data()
    data.setup("fit")
    assert len(downloads) == 1


@pytest.mark.parametrize("kind", [CIFAR10LT, CIFAR100LT])
def test_the_official_numbers_are_known_without_files(kind: type[CIFAR10LT], tmp_path: Path) -> None:
    data = kind(str(tmp_path))
    assert sum(data.counts) == {CIFAR10LT: 12406, CIFAR100LT: 10847}[kind]
    assert data.mean == (0.4914, 0.4822, 0.4465), "the constants of CIFAR-10 for both, as the field has it"


@pytest.fixture(scope="module")
def official() -> tuple[dict[str, Split], list[str]]:
    """Read the official files once."""
    if not (OFFICIAL / "cifar-100-python" / "train").is_file():
        pytest.skip("the official files of CIFAR-100 are not in data/")
    return CIFAR100LT(str(OFFICIAL)).read()


@pytest.mark.slow
@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_the_official_images(
    official: tuple[dict[str, Split], list[str]], case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, expected = case["params"], case["expected"]
    data = CIFAR100LT(imbalance=params["imbalance_factor"], tail=params["imbalance_type"])
    monkeypatch.setattr(data, "read", lambda: official)
    data.setup()
    indices = data.splits["train"].indices
    assert data.fingerprints["train"] == expected["sha256_sorted"]
    assert hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() == expected["sha256_in_order"]
    assert torch.equal(data.splits["train"].labels, official[0]["train"].labels[indices])
