"""Folders of images: names of any kind, images of many formats, sound or damaged, and what is no file."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from answering import answer, empty_folder
from hypothesis import strategies as st
from PIL import Image

from ltr.data import FolderLT
from ltr.data.images import KINDS
from ltr.predictor.images import Images
from ltr.preprocessing import Preprocessing

MODES = {
    "PNG": ("RGB", "L", "LA", "P", "1", "I;16", "RGBA"),
    "JPEG": ("RGB", "L", "CMYK"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "1"),
    "TIFF": ("RGB", "F", "I;16", "CMYK", "YCbCr", "LAB"),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("RGB", "L"),
    "TGA": ("RGB",),
}
NAMES = [
    "cat",
    "dog",
    "0",
    "1",
    "01",
    "1.0",
    "é",
    "e\u0301",
    "train",
    "test",
    "val",
    "Training",
    "test_images",
    ".hidden",
    " ",
]
NAMES += [
    "a b",
    "__MACOSX",
    "x" * 200,
    "=1",
    "<b>",
    "a\nb",
    "\\",
    "-1",
    "nan",
    "CAT",
    "\x1b[31m",
    os.fsdecode(b"\xff\xfe"),
    "*",
]
LOOK = Preprocessing(4, None, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
SPECIAL = ["pipe", "loop", "dangling", "folder", "unreadable"]
SOUND = ["none"]
DAMAGES = ["none", "none", "none", "byte", "cut", "bomb", "special"]
SIZES = [(1, 1), (2, 3), (7, 5), (1, 400), (400, 1)]
BOMBS = [
    b"P6\n60000 60000\n255\n" + bytes(100),
    b"P6\n2000000000 2000000000\n255\n",
    b"GIF89a\xff\xff\xff\xff\x80\x00\x00" + bytes(50),
    b"BM" + bytes(8) + b"\x36\x00\x00\x00\x28\x00\x00\x00\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\x00\x18\x00" + bytes(40),
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x06\x00\x00\x00" + bytes(20),
]


class Entry(NamedTuple):
    """A file or something else in the tree.

    Attributes:
        folders: the folders above it.
        name: its name.
        content: its bytes; a word of `SPECIAL` for what is no file.
        sound: whether it is an image that can be read.
    """

    folders: tuple[str, ...]
    name: str
    content: bytes | str
    sound: bool


@cache
def encoded(kind: str, mode: str, size: tuple[int, int]) -> bytes:
    """Return an image file."""
    file = io.BytesIO()
    image = Image.new("F" if mode == "F" else mode, size)
    image.save(file, kind)
    return file.getvalue()


@st.composite
def contents(draw: st.DrawFn, damages: Sequence[str]) -> tuple[bytes | str, str, bool]:
    """Draw the content of a file with one of some kinds of damage, its ending, and whether it is a readable image."""
    kind = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    content = encoded(kind, mode, draw(st.sampled_from(SIZES)))
    damage = draw(st.sampled_from(damages))
    ending = draw(
        st.sampled_from([".jpg", ".png", ".TIFF"] if damages == SOUND else [".jpg", ".JPG", ".txt", "", ".gz"])
    )
    if damage == "byte":
        at = draw(st.integers(0, len(content) - 1))
        content = content[:at] + bytes([content[at] ^ draw(st.integers(1, 255))]) + content[at + 1 :]
    elif damage == "cut":
        content = content[: draw(st.integers(0, len(content) - 1))]
    elif damage == "bomb":
        content = draw(st.sampled_from(BOMBS))
    elif damage == "special":
        return draw(st.sampled_from(SPECIAL)), ending, False
    return content, ending, damage == "none"


@st.composite
def trees(draw: st.DrawFn) -> list[Entry]:
    """Draw a tree: names, contents or both may be odd."""
    names = draw(st.sampled_from([NAMES[:2], NAMES]))
    damages = draw(st.sampled_from([SOUND, SOUND, DAMAGES]))
    classes = draw(st.lists(st.sampled_from(names), min_size=min(len(names), 3) - 1, max_size=3, unique=True))
    above: Sequence[tuple[str, ...]] = draw(
        st.sampled_from([((),), ((),), (("train",), ("test",)), (("train",), ("val",))])
    )
    entries: list[Entry] = []
    for split in above:
        for label in classes:
            for number in range(draw(st.integers(2, 3))):
                content, ending, sound = draw(contents(damages))
                deeper = ("deep",) if draw(st.integers(0, 9)) == 0 else ()
                entries.append(Entry((*split, label, *deeper), f"{number}{ending}", content, sound))
    if draw(st.integers(0, 3)) == 0:
        content, ending, sound = draw(contents(damages))
        where = tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2)))
        entries.append(Entry(where, draw(st.sampled_from(NAMES)) + ending, content, sound))
    return entries


def grow(root: Path, entries: Sequence[Entry]) -> None:
    """Write a tree; what two entries cannot both be is what the first of them is."""
    for entry in entries:
        path = root.joinpath(*entry.folders, entry.name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(entry.content, bytes):
                path.write_bytes(entry.content)
            elif entry.content == "pipe":
                os.mkfifo(path)
            elif entry.content in ("loop", "dangling"):
                path.symlink_to(root if entry.content == "loop" else root / "nowhere")
            elif entry.content == "folder":
                path.mkdir()
            else:
                path.write_bytes(b"")
                path.chmod(0)
        except OSError:
            continue


def check_folder(entries: list[Entry]) -> str:
    """Read a folder as a data set, and as new images. Every image of a class counts once, and has pixels."""
    found: list[FolderLT] = []

    def read() -> None:
        data = FolderLT("root", size=4, workers=0, batch_size=4)
        data.setup("fit")
        found.append(data)

    def predict() -> None:
        images = Images.of("root")
        for positions, pixels in images.read(LOOK, 3):
            assert len(positions) == len(pixels)
            assert all(isinstance(image, str) or image.shape == (3, 4, 4) for image in pixels)

    with empty_folder() as folder:
        (folder / "root").mkdir()
        grow(folder / "root", entries)
        answer(predict)
        sentence = answer(read)
        if found:
            used = [path for listing in found[0].listings.values() for path in listing.paths]
            assert len(set(used)) == len(used)
            assert {Path(path).suffix.lower() for path in used} <= KINDS
            assert min(found[0].counts) > 0
            assert len(found[0].classes) == len(found[0].counts) > 1
            for name, split in found[0].splits.items():
                assert split.images[torch.arange(len(split.labels))].shape == (len(split.labels), 3, 4, 4), name
            unsound = {
                str(Path("root").joinpath(*entry.folders, entry.name))
                for entry in entries
                if isinstance(entry.content, str)
            }
            assert not unsound & set(used)
    return sentence
