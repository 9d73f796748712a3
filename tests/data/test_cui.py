"""CIFAR of Cui et al., from small files in the layout of theirs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.summary.writer.record_writer import RecordWriter
from test_tfrecord import FIRST

from ltr.data import CIFAR10LT, CIFAR100LT, CuiCIFAR10LT, CuiCIFAR100LT, FolderLT
from ltr.errors import InputError

COUNTS = [8, 4, 2]  # three classes at imbalance 4
TRAIN = [1] * 4 + [2] * 2 + [0] * 8  # class by class, in no order of the classes, as the authors' tool leaves it
EVAL = [2, 0, 1, 0, 2, 1]
PUBLISHED = {10: "0.1", 20: "0.05", 50: "0.02", 100: "0.01", 200: "0.005"}  # imbalance, and how its folder is named
FOLDER = "cifar-3-data-im-0.25"

Write = Callable[..., None]


def field(number: int, *parts: bytes) -> bytes:
    """Write a field of a message: its number, the size of its content in seven bits per byte, the content."""
    content = b"".join(parts)
    size = [len(content)] if len(content) < 128 else [len(content) % 128 + 128, len(content) // 128]
    return bytes([8 * number + 2, *size]) + content


def message(image: bytes, label: int) -> bytes:
    """Write a `tf.train.Example` of an image and a label below 128."""
    values = {b"image": field(1, field(1, image)), b"label": field(3, field(1, bytes([label])))}
    return field(1, *(field(1, field(1, name), field(2, value)) for name, value in values.items()))


def images(name: str) -> np.ndarray:
    """Draw the images of a file: red, green and blue planes of 32 x 32 pixels in a row."""
    labels, seed = {"train": (TRAIN, 0), "eval": (EVAL, 1)}[name]
    return np.random.default_rng(seed).integers(0, 256, (len(labels), 3 * 32 * 32), dtype=np.uint8)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes a file of the set, with labels or pixels of one's own."""

    def made(name: str, labels: list[int], pixels: np.ndarray | None = None) -> None:
        (tmp_path / FOLDER).mkdir(exist_ok=True)
        with (tmp_path / FOLDER / f"{name}.tfrecords").open("wb") as file:
            for image, label in zip(images(name) if pixels is None else pixels, labels, strict=False):
                RecordWriter(file).write(message(image.tobytes(), label))

    return made


@pytest.fixture
def cui(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CuiCIFAR10LT]:
    """Return CIFAR-10 of Cui et al., but of three classes, whose files lie in `tmp_path`."""
    write("train", TRAIN)
    write("eval", EVAL)
    for name, value in {"total_classes": 3, "largest": 8, "test_per_class": 2}.items():
        monkeypatch.setattr(CuiCIFAR10LT, name, value)

    def ready(**options: int) -> CuiCIFAR10LT:
        data = CuiCIFAR10LT(str(tmp_path), imbalance=4, **options)
        data.setup("fit")
        return data

    return ready


def shown(pixels: torch.Tensor, labels: torch.Tensor) -> Counter[tuple[bytes, int]]:
    """Count the images with their labels."""
    return Counter((image.numpy().tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True))


def test_the_writer_here_writes_what_tensorflow_does() -> None:
    assert message(bytes(range(5)), 7) == bytes.fromhex(FIRST)[12:-4]


def test_every_image_of_the_files_is_kept_with_its_label(cui: Callable[..., CuiCIFAR10LT]) -> None:
    data = cui()
    train, test = data.splits["train"], data.splits["test"]
    assert list(data.counts) == COUNTS
    assert data.classes == ["0", "1", "2"]
    assert shown(train.images, train.labels) == Counter(
        (image.tobytes(), label) for image, label in zip(images("train"), TRAIN, strict=True)
    )
    assert test.labels.tolist() == EVAL
    assert torch.equal(test.images, torch.from_numpy(images("eval")).view(-1, 3, 32, 32))


def test_validation_is_carved_out_of_the_file(cui: Callable[..., CuiCIFAR10LT]) -> None:
    data, whole = cui(val_per_class=2), cui()
    assert data.counts == (6, 2, 1)
    assert data.val_counts == [2, 2, 1]
    train, val, every = data.splits["train"], data.splits["val"], whole.splits["train"]
    parts = shown(train.images, train.labels) + shown(val.images, val.labels)
    assert parts == shown(every.images, every.labels)
    assert not set(train.indices) & set(val.indices)


def test_a_result_tells_this_version_from_the_other(cui: Callable[..., CuiCIFAR10LT]) -> None:
    for here, there in ((CuiCIFAR10LT, CIFAR10LT), (CuiCIFAR100LT, CIFAR100LT)):
        assert here.name == f"{there.name} (Cui et al.)"
    assert cui().description["name"] == "CIFAR-10-LT (Cui et al.)"
    assert cui().description["subset_seed"] is None


def test_the_fingerprint_is_one_of_pixels_and_labels(cui: Callable[..., CuiCIFAR10LT], write: Write) -> None:
    first = cui().fingerprints
    write("train", TRAIN[::-1], images("train")[::-1])
    assert cui().fingerprints == first
    pixels = images("train")
    pixels[3, 0] ^= 1
    write("train", TRAIN, pixels)
    assert cui().fingerprints["train"] != first["train"]
    assert cui().fingerprints["test"] == first["test"]
    write("train", [*TRAIN[1:], TRAIN[0]])
    assert cui().fingerprints["train"] != first["train"]


def test_pixels_are_scaled_as_the_authors_do(cui: Callable[..., CuiCIFAR10LT]) -> None:
    data = cui()
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, -1, -1)
    torch.testing.assert_close(data.prepare(pixels), pixels / 128 - 1, rtol=0, atol=2e-6)


def test_an_incomplete_last_batch_can_be_left_out(cui: Callable[..., CuiCIFAR10LT]) -> None:
    data = cui(batch_size=4, drop_last=True)
    sizes = [len(batch.labels) for batch in data.train_dataloader()]
    assert sizes == [4] * (sum(data.counts) // 4)
    assert sum(data.counts) % 4


def test_the_counts_are_known_without_files() -> None:
    assert sum(CuiCIFAR100LT().counts) == 10847
    # What the authors' data.ipynb counts in their file of imbalance 50.
    assert CuiCIFAR10LT(imbalance=50).counts == (5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100)


@pytest.mark.parametrize(
    ("imbalance", "named"), [(10, "0.1"), (20, "0.05"), (50, "0.02"), (100, "0.01"), (200, "0.005")]
)
def test_the_folder_of_an_imbalance(imbalance: float, named: str) -> None:
    assert CuiCIFAR100LT("there", imbalance=imbalance).folder == Path("there") / f"cifar-100-data-im-{named}"
    with pytest.warns(UserWarning, match="is read as"):
        assert CuiCIFAR10LT(imbalance=1 / imbalance).folder == Path("data") / f"cifar-10-data-im-{named}"


@pytest.mark.parametrize("name", ["train", "eval"])
def test_files_that_are_missing_or_cut(cui: Callable[..., CuiCIFAR10LT], tmp_path: Path, name: str) -> None:
    file = tmp_path / FOLDER / f"{name}.tfrecords"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{name}\.tfrecords is truncated or damaged"):
        cui()
    file.unlink()
    with pytest.raises(InputError, match=rf"{name}\.tfrecords cannot be read \(No such file.*--data\.root"):
        cui()


@pytest.mark.parametrize(
    ("name", "labels", "sentence"),
    [
        ("train", TRAIN[:-1], "has 7 images of class 0, but that of Cui et al. has 8: it is another file."),
        ("train", [2, *TRAIN[1:]], "has 3 images of class 1, but that of Cui et al. has 4: it is another file."),
        ("eval", EVAL[:-1], "has 1 images of class 1, but that of Cui et al. has 2: it is another file."),
        ("train", [*TRAIN[:-1], 3], "record 13 of {} has the label 3, but the last class of"),
    ],
)
def test_labels_of_another_file(
    cui: Callable[..., CuiCIFAR10LT], write: Write, tmp_path: Path, name: str, labels: list[int], sentence: str
) -> None:
    write(name, labels)
    with pytest.raises(InputError) as raised:
        cui()
    file = tmp_path / FOLDER / f"{name}.tfrecords"
    assert sentence.format(file) in str(raised.value)
    assert str(file) in str(raised.value)


def test_images_of_another_layout(cui: Callable[..., CuiCIFAR10LT], write: Write) -> None:
    write("train", TRAIN, images("train")[:, :-3])
    with pytest.raises(
        InputError, match=r"record 0 of .* is not an image of CIFAR with its label: it is another file\.$"
    ):
        cui()


@pytest.mark.slow
def test_a_training_on_these_files(cui: Callable[..., CuiCIFAR10LT], ltr, tmp_path: Path, capsys) -> None:
    small = (
        "--model.backbone ResNet20 --model.backbone.width 4 --model.schedule Cosine --model.schedule.warmup 0 "
        "--trainer.max_epochs 1 --trainer.accelerator cpu --trainer.precision 32-true "
        "--trainer.enable_progress_bar false"
    )
    words = f"--data CuiCIFAR10LT --data.root {tmp_path} --data.imbalance 4 --data.batch_size 4 --name a"
    assert ltr("fit --config ce.yaml", words, small) == 0
    assert ltr("test --ckpt_path a") == 0
    said = json.loads(Path("checkpoints/a/test/metrics.json").read_text())
    assert said["counts"] == COUNTS
    assert said["data"] == cui().description
    assert ltr("fit --config ce.yaml", words.replace(str(tmp_path), "elsewhere"), "--overwrite", small) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ltr: error: elsewhere/{FOLDER}/train.tfrecords cannot be read")
    assert error.count("\n") == 1


def test_the_files_become_folders(cui: Callable[..., CuiCIFAR10LT], ltr, tmp_path: Path) -> None:
    words = f"--data CuiCIFAR10LT --data.root {tmp_path} --data.imbalance 4"
    assert ltr(f"convert {words} --output {tmp_path / 'written'}") == 0
    original, found = cui(), FolderLT(str(tmp_path / "written"))
    for data in (original, found):
        data.setup()
    assert list(found.counts) == COUNTS
    assert found.fingerprints == original.fingerprints
    assert shown(found.splits["train"].images, found.splits["train"].labels) == shown(
        original.splits["train"].images, original.splits["train"].labels
    )
