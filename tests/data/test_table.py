"""A set of one's own, in a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltr.data import TableLT
from ltr.data.table_files import read_table
from ltr.errors import InputError
from tests.forked import CONTEXT

LABELS = ["rose", "oak", "rose", "rose", "oak", "rose"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder of six images, each of a grey of its own."""
    for number in range(6):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (9, 7), (40 * number,) * 3).save(tmp_path / "pictures" / f"im {number}.png")
    return tmp_path


def write(home: Path, *lines: str) -> str:
    path = home / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def rows(more: str = "") -> list[str]:
    return [f"pictures/im {number}.png,{label}{more}" for number, label in enumerate(LABELS)]


def test_the_usual_columns_are_found_and_a_test_split_is_drawn(home: Path) -> None:
    data = TableLT(write(home, "path,species", *rows()), size=4)
    assert data.classes == ["oak", "rose"]
    assert data.counts == (1, 3)
    assert data.name == "labels"
    data.setup()
    for split in data.splits.values():
        for image, label in zip(split.images, split.labels, strict=True):
            assert LABELS[int(image.max()) // 40] == data.classes[label]
    assert (home / "labels_split_0.2_0.csv").is_file()


def test_splits_are_those_of_the_table(home: Path) -> None:
    said = ["Train", "train", "training", "validation", "test", "test"]
    lines = [f"{line},{split}" for line, split in zip(rows(), said, strict=True)]
    data = TableLT(write(home, "what,is,where", *lines), size=4, image="what", label="is", split="where")
    assert data.counts == (1, 2)
    assert data.monitored == ["val", "test"]
    data.setup()
    assert {name: len(split.labels) for name, split in data.splits.items()} == {"train": 3, "val": 1, "test": 2}


def test_a_table_per_split(home: Path) -> None:
    tables = home / "tables"
    tables.mkdir()
    for split, chosen in {"train": rows()[:3], "val": rows()[3:4], "test": rows()[4:]}.items():
        (tables / f"{split}.csv").write_text("\n".join(["filename,label", *chosen]) + "\n")
    data = TableLT(str(tables), size=4, images=str(home))
    assert data.name == "tables"
    assert data.counts == (1, 2)
    assert {name: len(listing.names) for name, listing in data.listings.items()} == {"train": 3, "val": 1, "test": 2}
    with pytest.raises(InputError, match=r"has no `train\.csv`"):
        TableLT(str(home / "pictures"))


def test_the_folder_one_stands_in_has_its_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "image,label", *rows())
    monkeypatch.chdir(home)
    data = TableLT(".")
    assert data.name == home.name
    assert data.split_file == Path(f"{home.name}_split_0.2_0.csv")


def test_tables_of_new_classes_in_testing_are_refused(home: Path) -> None:
    splits = {"oak": "test", "rose": "train"}
    lines = [f"{line},{splits[label]}" for line, label in zip(rows(), LABELS, strict=True)]
    table = write(home, "filename,label,split", *lines)
    with pytest.raises(InputError, match="few-shot learning"):
        TableLT(table)
    joined = write(home, "filename,label", *rows())
    assert TableLT(joined).counts == (1, 3)


def test_labels_that_are_numbers_are_ordered_as_such(home: Path) -> None:
    lines = [f"pictures/im {number}.png,{label}" for number, label in enumerate([10, 9, 10, 9, 10, 9])]
    assert TableLT(write(home, "image,label", *lines)).classes == ["9", "10"]


def test_paths_may_be_relative_to_another_folder(home: Path, tmp_path: Path) -> None:
    lines = [line.removeprefix("pictures/") for line in rows()]
    table = write(home, "image,label", *lines)
    assert TableLT(table, images=str(home / "pictures")).counts == (1, 3)
    absolute = [f"{home}/{line}" for line in rows()]
    (tmp_path / "elsewhere").mkdir()
    assert TableLT(write(tmp_path / "elsewhere", "image,label", *absolute)).counts == (1, 3)


def test_a_parquet_file(home: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    paths = [f"pictures/im {number}.png" for number in range(6)]
    parquet.write_table(arrow.table({"file_name": paths, "label": np.arange(6) % 2}), home / "labels.parquet")
    data = TableLT(str(home / "labels.parquet"))
    assert data.classes == ["0", "1"]
    assert data.counts == (2, 2)
    for number in range(6):
        (home / "pictures" / f"im {number}.png").rename(home / "pictures" / f"{number}.png")
    parquet.write_table(arrow.table({"id": np.arange(6), "label": np.arange(6) % 2}), home / "numbers.parquet")
    for unlabelled in ("refuse", "skip"):
        listings = TableLT(str(home / "numbers.parquet"), unlabelled=unlabelled).listings  # type: ignore[arg-type]
        names = [name for listing in listings.values() for name in listing.names]
        assert sorted(names) == [str(number) for number in range(6)], "0 is the id of an image"
    (home / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"broken\.parquet is damaged or not a Parquet file"):
        TableLT(str(home / "broken.parquet"))


def test_bad_tables_are_refused_with_a_sentence(home: Path) -> None:
    cases = {
        r"none of the columns image, path, .*, but a, b: name one of these with `--data\.image`": ["a,b", *rows()],
        r"label, .* but image: name one of these with `--data\.label`\. Images without labels are for `ltr predict": [
            "image",
            "a.png",
        ],
        r"no column kind, but image, label": ["image,label", *rows()],
        r"line 3 of .* has more or fewer cells": ["image,label", rows()[0], "x", *rows()[1:]],
        r"line 6 of .* has more or fewer cells": ["", "image,label", "", "", rows()[0], "x"],
        r"row 2 of .* lacks its image or its label": ["image,label", rows()[0], "pictures/im 1.png,", *rows()[2:]],
        r"1 of the 7 images that .* lists are missing, the first is .*gone\.png": [
            "image,label",
            *rows(),
            "gone.png,oak",
        ],
        r"column split of .* has 'later', and a split is called train": [
            "image,label,split",
            *rows(",later"),
        ],
        r"all rows of .* have the label oak": ["image,label", "pictures/im 0.png,oak"],
        r"has no rows": ["image,label"],
        r"is in the training split and in the test split": ["image,label,split", *rows(",train"), *rows(",test")],
    }
    for sentence, lines in cases.items():
        with pytest.raises(InputError, match=sentence):
            TableLT(write(home, *lines), label="kind" if "kind" in sentence else None)
    with pytest.raises(InputError, match="there is no table"):
        TableLT(str(home / "nowhere.csv"))
    (home / "latin.csv").write_bytes("image,label\nü.png,é".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv is not in UTF-8 .*--data\.encoding cp1252"):
        TableLT(str(home / "latin.csv"))
    with pytest.raises(InputError, match=r"there is no encoding latin-0\. .*--data\.encoding cp1252"):
        TableLT(str(home / "latin.csv"), encoding="latin-0")


def test_a_network_is_trained_on_a_table(home: Path, ltr: Callable[..., int]) -> None:
    write(home, "image,label", *rows())
    words = "--model.backbone ResNet20 --model.backbone.width 2 --trainer.max_epochs 1 --model.schedule Cosine"
    more = "--model.schedule.warmup 0 --trainer.accelerator cpu --trainer.precision 32-true --data.size 8"
    assert ltr(f"fit --config ce.yaml --data TableLT --data.root labels.csv --name mine {words} {more}") == 0
    assert ltr("test --ckpt_path mine") == 0


def test_a_missing_label_is_refused_skipped_or_kept(home: Path) -> None:
    lines = ["image,label", *rows()[:5], "pictures/im 5.png,None"]
    with pytest.raises(InputError, match=r"row 6 of .* has the label None, which often stands for a missing one: pass"):
        TableLT(write(home, *lines))
    assert TableLT(write(home, *lines), unlabelled="skip").classes == ["oak", "rose"]
    with pytest.raises(InputError, match="only one image of class None"):
        TableLT(write(home, *lines), unlabelled="keep")
    lines[-1] = "pictures/im 5.png,"
    for unlabelled in ("refuse", "keep"):
        with pytest.raises(InputError, match=r"row 6 of .* lacks its image or its label: complete it, or pass"):
            TableLT(write(home, *lines), unlabelled=unlabelled)  # type: ignore[arg-type]


def test_cells_are_read_without_blanks_and_heads_in_any_case(home: Path) -> None:
    spaced = [line.replace(",", " , ") for line in rows()]
    assert TableLT(write(home, "Path , Species", *spaced)).classes == ["oak", "rose"]


def test_a_column_that_is_no_split_is_asked_about(home: Path) -> None:
    lines = [f"{line},{number % 3}" for number, line in enumerate(rows())]
    table = write(home, "image,label,fold", *lines)
    with pytest.raises(InputError, match=r"column fold of .* has '0', .* or pass `--data\.split none` to hold out"):
        TableLT(table)
    for no_column in ("none", ""):
        assert TableLT(table, split=no_column).counts == (1, 3)


def test_a_row_that_is_there_twice_is_left_out_and_two_labels_are_refused(home: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 row of .* left out, which repeat an image: \./pictures/im 0\.png"):
        data = TableLT(write(home, "image,label", *rows(), "./pictures/im 0.png,rose"))
    assert data.counts == (1, 3)
    with pytest.raises(InputError, match=r"lists pictures/im 0\.png as rose and as oak: keep one of these rows"):
        TableLT(write(home, "image,label", *rows(), "pictures/im 0.png,oak"))


@pytest.mark.parametrize(
    ("encoding", "option"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-8"), ("cp1252", "cp1252"), ("utf-8", "utf-8")]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(encoding: str, option: str, delimiter: str, home: Path) -> None:
    text = "\r\n".join(["image,label", *rows()]).replace("oak", "hêtre").replace(",", delimiter)
    (home / "labels.csv").write_bytes(text.encode(encoding))
    assert TableLT(str(home / "labels.csv"), encoding=option).classes == ["hêtre", "rose"]


def test_an_unknown_encoding_is_told(home: Path) -> None:
    with pytest.raises(InputError, match="there is no encoding nonsense"):
        TableLT(write(home, "image,label", *rows()), encoding="nonsense")


def test_a_parquet_file_with_the_images_inside(home: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    paths = sorted((home / "pictures").iterdir())
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    labels = [float("nan"), 1.0, 2.0, 10.0, 2.0, 10.0]
    parquet.write_table(arrow.table({"image": cells, "label": labels}), home / "hub.parquet")
    with pytest.raises(InputError, match=r"row 1 of .*hub\.parquet lacks its image or its label"):
        TableLT(str(home / "hub.parquet"))
    with pytest.raises(InputError, match=r"only one image of class 1\.0"):
        TableLT(str(home / "hub.parquet"), unlabelled="skip")
    parquet.write_table(arrow.table({"image": cells, "label": LABELS}), home / "hub.parquet")
    data = TableLT(str(home / "hub.parquet"), size=4)
    assert data.counts == (1, 3)
    data.setup()
    for split in data.splits.values():
        for image, label in zip(split.images, split.labels, strict=True):
            assert LABELS[int(image.max()) // 40] == data.classes[label]


def test_a_parquet_file_that_unpacks_to_far_too_many_rows_is_refused(home: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    same = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(2**24 + 1, np.int8)), arrow.array(["im 0.png"]))
    parquet.write_table(arrow.table({"image": same}), home / "bomb.parquet")
    assert (home / "bomb.parquet").stat().st_size < 2**20
    with pytest.raises(InputError, match=r"unpacks to 16,777,217 rows"):
        read_table(home / "bomb.parquet")


def test_a_value_that_many_rows_share_takes_bounded_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("ltr.data.table_files.UNPACKED", 2**24)
    monkeypatch.setattr("ltr.data.table_files.BATCH", 2**22)
    same = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(9000, np.int16)), arrow.array(["x" * 2**20]))
    parquet.write_table(arrow.table({"image": same}), home / "bomb.parquet")
    assert (home / "bomb.parquet").stat().st_size < 2**17
    before = arrow.total_allocated_bytes()
    with pytest.raises(InputError, match=r"the columns of .*bomb\.parquet unpack to more than a gigabyte"):
        read_table(home / "bomb.parquet")
    assert arrow.total_allocated_bytes() - before < 2**24


def test_a_row_of_very_many_values_is_left_out(home: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    boxes = arrow.ListArray.from_arrays([0, 2**22], arrow.array(np.zeros(2**22, np.int64)))
    columns = {"image": ["im 0.png"], "boxes": boxes, "inner": arrow.StructArray.from_arrays([boxes], ["boxes"])}
    parquet.write_table(arrow.table(columns), home / "boxes.parquet")
    assert (home / "boxes.parquet").stat().st_size < 2**20
    before = arrow.total_allocated_bytes()
    assert read_table(home / "boxes.parquet") == {"image": ["im 0.png"]}
    assert arrow.total_allocated_bytes() - before < 2**20


@pytest.mark.slow
def test_no_changed_byte_ends_the_process(home: Path) -> None:
    """Columns that pyarrow describes itself do that: it leaves C++ through a function that may not raise."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"image": ["im 0.png", "im 1.png"], "label": [0, 1]}), home / "whole.parquet")
    whole = (home / "whole.parquet").read_bytes()
    process = CONTEXT.Process(target=read_changed, args=(home,))
    process.start()
    process.join()
    assert process.exitcode == 0, f"it ended after {(home / 'read.txt').read_text()}"
    assert len((home / "read.txt").read_text().split()) == (len(whole) + 6) // 7


def read_changed(home: Path) -> None:
    """Read a table with one changed byte after another; note the place of each that was read or refused."""
    whole, path = (home / "whole.parquet").read_bytes(), home / "changed.parquet"
    with (home / "read.txt").open("w", buffering=1) as places:
        for place in range(0, len(whole), 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 6]) + whole[place + 1 :])
            try:
                read_table(path)
            except InputError as error:
                if "changed.parquet" not in str(error):
                    raise
            places.write(f"{place}\n")


def test_small_batches_read_the_same_rows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("ltr.data.table_files.BATCH", 2**10)
    columns = {"image": [f"{n}.png" for n in range(99)], "label": [n % 7 for n in range(99)]}
    parquet.write_table(arrow.table(columns), home / "many.parquet", row_group_size=40)
    assert read_table(home / "many.parquet") == columns


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_two_columns_of_one_title_are_refused(ending: str, home: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = home / f"twice.{ending}"
    if ending == "csv":
        file.write_text("image,label,label\nim 0.png,1,2\n")
    else:
        table = arrow.table([["im 0.png"], ["1"], ["2"]], ["image", "label", "label"])
        parquet.write_table(table, file)
    with pytest.raises(InputError, match=r"twice\.\w+ has two columns label: rename or remove one"):
        read_table(file)


def test_an_image_for_validation_and_for_testing_is_refused(home: Path) -> None:
    splits = ["train", "train", "train", "train", "val", "test"]
    lines = [f"{row},{split}" for row, split in zip(rows(), splits, strict=True)]
    image, label, _ = lines[4].split(",")
    with pytest.raises(InputError, match="is in the val split and in the test split: take it out of one"):
        TableLT(write(home, "image,label,split", *lines, f"{image},{label},test"))
