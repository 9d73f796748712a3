"""A set in another layout: class folders, a table, or the annotations of Bag of Tricks."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from ltr import files
from ltr.data.base import LongTailed
from ltr.data.file_dataset import FileDataset
from ltr.data.file_list import check_folder_names, readable_name
from ltr.data.images import Source, each, open_file
from ltr.data.splits import Split
from ltr.errors import InputError

Layout = Literal["folders", "table", "annotations"]


class Item(NamedTuple):
    """An image of a set that is a file.

    Attributes:
        split: `train`, `val` or `test`.
        label: its class.
        path: where it is.
    """

    split: str
    label: int
    path: Path


def convert(data: LongTailed, output: str, *, to: Layout = "folders") -> None:
    """Write the splits of a data set, long-tailed as the arguments make it, in another layout.

    The layouts are class folders, which FolderLT and most other code read, a table for TableLT, and the annotations of
    Bag of Tricks for AnnotatedLT.

    Args:
        data: the set.
        output: the folder to write to.
        to: the layout.

    Raises:
        InputError: if the set cannot be read, or the files cannot be written.
    """
    for path in write(data, Path(output).expanduser(), to):
        print(path)
    sizes = ", ".join(f"{len(split.labels)} {name}" for name, split in data.splits.items())
    print(f"{sizes} images of {len(data.classes)} classes")


def write(data: LongTailed, output: Path, layout: Layout) -> list[Path]:
    """Write the splits of a set in another layout.

    As `folders` every image is a file `<split>/<class>/<number>`, in which `FolderLT` finds the fingerprints of the set
    again: a copy of the file that it was, or a PNG of an image that was none. A `table` (`table.csv`) and `annotations`
    (`train.json`, `test.json` and perhaps `val.json`) list the files where they are; images that were no files are
    written to folders first.

    Args:
        data: the set.
        output: the folder to write to.
        layout: what to write.

    Returns:
        The files and folders that were written.

    Raises:
        InputError: if the folder holds other files, one cannot be written, no folder can have the name of a class, or
            the set has synthetic images.
    """
    if any(data.counts.synthetic):
        raise InputError(
            "synthetic images would lose their mark in another layout: leave out `--data.synthetic`, and pass it to "
            "the training."
        )
    copied = layout == "folders" or not isinstance(data, FileDataset)
    written = ["table.csv"] if layout == "table" else ["train.json", "val.json", "test.json"]
    if output.exists() and (
        not output.is_dir() or (any(output.iterdir()) if copied else any((output / name).exists() for name in written))
    ):
        raise InputError(f"{output} holds files: name a new folder with `--output`, or delete it first.")
    if isinstance(data, FileDataset):
        data.memory = 0.0  # so that nothing is decoded
    data.setup()
    if copied:
        check_folder_names(data.classes, "convert to a table, which needs none")
    images = [item for name in data.splits for item in items(data, name, output, copy=layout == "folders")]
    if layout == "folders":
        return [output / name for name in data.splits]
    if layout == "table":
        lines = [
            {"image": shown(item.path, output), "label": data.classes[item.label], "split": item.split}
            for item in images
        ]
        if blanks := next((cell for line in lines for cell in line.values() if cell != cell.strip()), None):
            raise InputError(
                f"a table keeps no blanks at the ends of a name, such as {blanks!r}: rename it, or convert to folders."
            )
        files.write_csv(output / "table.csv", lines)
        return [output / "table.csv"]
    with files.together():
        for name in data.splits:
            part = [item for item in images if item.split == name]
            rows = each(partial(annotation, part), len(part), f"{name} images")
            content = {"annotations": rows, "num_classes": len(data.classes), "classes": data.classes}
            files.write_json(output / f"{name}.json", content)
    return [output / f"{name}.json" for name in data.splits]


def items(data: LongTailed, name: str, output: Path, *, copy: bool) -> list[Item]:
    """Return the images of a split as files, which are written if need be.

    Args:
        data: the set, set up.
        name: the split.
        output: the folder to write to.
        copy: whether images that are files are copied.
    """
    split = data.splits[name]
    names = data.names(name, split)
    digits = len(str(split.indices.max()))  # so that the order of the names is that of the numbers

    def item(at: int) -> Item:
        label = int(split.labels[at])
        stem = output / name / data.classes[label] / f"{split.indices[at]:0{digits}}"
        return Item(name, label, file(split, at, names[at], stem, copy=copy))

    return each(item, len(split.labels), f"{name} images")


def file(split: Split, at: int, name: str, stem: Path, *, copy: bool) -> Path:
    """Return the file of an image of a split, after writing it if need be.

    Args:
        split: the split.
        at: position of the image.
        name: of the image, for the error.
        stem: where to write it, without its suffix.
        copy: whether an image that is a file is copied.
    """
    from PIL import Image

    if isinstance(split.images, Tensor):
        path = stem.with_name(f"{stem.name}.png")
        picture = Image.fromarray(split.images[at].permute(1, 2, 0).cpu().numpy())
        files.replace(path, picture.save)
        return path
    source = split.images.source(at)
    if isinstance(source, str):
        path = stem.with_name(stem.name + Path(source).suffix)
        if copy:
            files.replace(path, lambda temporary: shutil.copyfile(source, temporary))
        return path if copy else Path(source)
    path = stem.with_name(f"{stem.name}.{header(source, name)[0]}")
    files.replace(path, lambda temporary: temporary.write_bytes(source))
    return path


def header(source: Source, name: str) -> tuple[str, int, int]:
    """Return the format, the width and the height of an image.

    Args:
        source: its path, or the bytes of its file.
        name: what it is called in the error.

    Raises:
        InputError: if it is none.
    """
    from PIL import Image

    with open_file(source) as opened:
        try:
            with Image.open(opened) as image:
                return (image.format or "png").lower(), *image.size
        except Exception as error:  # PIL raises almost anything
            raise InputError(
                f"{name} is damaged or not an image: repair or remove it, or leave such files out with "
                "`--data.unreadable skip`."
            ) from error


def shown(path: Path, output: Path) -> str:
    """Return a path relative to the output if it is in there, else absolute.

    Raises:
        InputError: if it is not in UTF-8, as a table is.
    """
    name = path.relative_to(output).as_posix() if path.is_relative_to(output) else path.resolve().as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{readable_name(name)} is not in UTF-8, as a table is: rename it, or convert to folders."
        ) from error
    return name


def annotation(images: Sequence[Item], number: int) -> dict[str, object]:
    """Return the entry of one of the images of a file of annotations."""
    item = images[number]
    _, width, height = header(str(item.path), str(item.path))
    return {
        "image_id": number,
        "fpath": item.path.resolve().as_posix(),
        "im_height": height,
        "im_width": width,
        "category_id": item.label,
    }
