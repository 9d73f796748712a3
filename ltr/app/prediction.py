"""Classify uploaded images with a trained network, and show the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.networks import Network, Prediction, network
from ltr.data.images import decode, upright
from ltr.errors import InputError
from ltr.html import escape, photograph, sentence
from ltr.preprocessing import Interpolation
from ltr.run.folder import CHECKPOINT

MOST = 32  # images at once
PIXELS = 50_000_000  # of one image: 150 MB when decoded
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # PIL knows more, some of which start programs
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
NOT_SHOWN = (".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff")  # browsers show no such files
TOP = 10  # classes that are shown
THUMBNAIL = 96  # pixels


class QueryResult(NamedTuple):
    """Images and the predictions of a network for them; the network itself is not kept.

    Attributes:
        title: name of the network.
        images: (B, 3, H, W) uint8, as the network saw them.
        names: of their files.
        notes: what the reader should know about the predictions.
        classes: names of the classes.
        prediction: the logits; None if no image could be read.
    """

    title: str
    images: Tensor
    names: list[str]
    notes: list[str]
    classes: list[str]
    prediction: Prediction | None

    @classmethod
    def of(cls, network: Network, files: Sequence[Path], names: Sequence[str] | None = None) -> QueryResult:
        """Classify image files; those that cannot be read get a note.

        Args:
            network: classifies them.
            files: the images.
            names: of the images; by default those of the files.

        Raises:
            InputError: if there are too many, or a logit is not finite.
        """
        look = network.predictor.preprocessing
        images, names, notes = read_images(files, look.size, names, look.interpolation)
        if not network.named:
            notes.append("The classes have numbers instead of names: the file has none, and its data set is not here.")
        prediction = network.predict(images) if names else None
        title, classes = network.predictor.name, network.predictor.classes
        return cls(title, network.seen(images), names, notes, classes, prediction)

    def html(self, t_new: float, t_old: float) -> str:
        """Return the notes and the most probable classes at these temperatures.

        Raises:
            InputError: if a temperature is out of range.
        """
        above = f"<h3>{escape(self.title)}</h3>" + "".join(sentence(note, kind="note") for note in self.notes)
        if self.prediction is None:
            return above
        return above + top_classes(self.images, self.names, self.prediction.columns(t_new, t_old), self.classes)


def from_run(paths: AllowedPaths, name: str | None) -> Network:
    """Return the network of a run.

    Raises:
        InputError: if there is no such run, or it has no weights.
    """
    weights = paths.run(name or "").checkpoint
    if not weights.is_file():
        raise InputError(f"the run {name} has no weights: choose one that was trained here, or upload a file.")
    return network(weights.resolve(), trusted=True, packages=paths.packages)


def from_file(
    paths: AllowedPaths, path: str | None, upload: str | None, architecture: str | None, data_set: str | None
) -> Network:
    """Return the network of a file of weights.

    Args:
        paths: where files may be.
        path: of the file, or of a folder with a `last.ckpt`.
        upload: path of an uploaded file, which is used instead.
        architecture: of its network, for a file without a config.
        data_set: that it was trained on, likewise.

    Raises:
        InputError: if there is no such file, or it holds no weights.
    """
    name = upload or (path or "").strip()
    if not name:
        raise InputError("name a file of weights, or upload one.")
    weights = paths.inside(name)
    if weights.is_dir():
        weights = paths.inside(str(weights / CHECKPOINT))
    if not weights.is_file():
        raise InputError(f"{weights} is not a file.")
    return network(
        weights,
        trusted=paths.trusts(weights),
        architecture=architecture,
        data_set=data_set,
        packages=paths.packages,
    )


def top_classes(images: Tensor, names: Sequence[str], columns: Mapping[str, Tensor], classes: Sequence[str]) -> str:
    """Return a block of HTML for every image: what the network saw, and the most probable classes of every head.

    Args:
        images: (B, 3, H, W) uint8, what the network saw.
        names: of the images.
        columns: probabilities (B, C) by the name of a head.
        classes: names of the classes.
    """
    small = interpolate(images.float(), size=THUMBNAIL, mode="area").byte() if images.shape[-1] > THUMBNAIL else images
    blocks = []
    for at, name in enumerate(names):
        image = f'<div class="image">{photograph(small[at].permute(1, 2, 0), name)}<p>{escape(name)}</p></div>'
        heads = "".join(_column(title, of[at], classes) for title, of in columns.items())
        blocks.append(f'<article class="asked">{image}<div class="heads">{heads}</div></article>')
    return "\n".join(blocks)


def _column(title: str, probabilities: Tensor, classes: Sequence[str]) -> str:
    """Return a table of the most probable classes, given probabilities (C,)."""
    values, places = probabilities.topk(min(TOP, len(classes)))
    rows = "".join(
        f'<tr style="--share: {value:.2%}"><th scope="row">{escape(classes[paths])}</th><td>{percent(value)}</td></tr>'
        for value, paths in zip(values.tolist(), places.tolist(), strict=True)
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def percent(share: float) -> str:
    """Return a probability in percent."""
    return f"{share:.1%}" if share >= 0.0005 else "&lt; 0.1%"


class Images(NamedTuple):
    """Images that could be read, and errors about the others.

    Attributes:
        images: (B, 3, size, size) uint8.
        names: of their files.
        refused: an error message for each of the others.
    """

    images: Tensor
    names: list[str]
    refused: list[str]


def read_images(
    files: Sequence[Path], size: int, names: Sequence[str] | None = None, interpolation: Interpolation = "bilinear"
) -> Images:
    """Read image files as those of a data set are read.

    Args:
        files: the images.
        size: height and width in pixels to which the middle square of every image is resized.
        names: of the images; by default those of the files.
        interpolation: how they are resized.

    Raises:
        InputError: if there are too many.
    """
    if len(files) > MOST:
        raise InputError(f"these are {len(files)} images; at most {MOST} can be classified at once.")
    images, known, refused = [], [], []
    for path, name in zip(files, names or [path.name for path in files], strict=True):
        try:
            with readable(path, name):
                images.append(decode(str(path), size, interpolation))
            known.append(name)
        except InputError as error:
            refused.append(str(error))
    return Images(torch.stack(images) if images else torch.empty(0, 3, size, size), known, refused)


def browser_copy(path: Path) -> Image.Image | None:
    """Return a copy of an image for a browser; None if it shows the file itself, or the file cannot be read."""
    if path.suffix.lower() not in NOT_SHOWN:
        return None
    try:
        with readable(path, path.name), Image.open(path, formats=FORMATS) as file:
            image: Image.Image = upright(file)
            return image
    except InputError:
        return None


@contextmanager
def readable(path: Path, name: str) -> Iterator[None]:
    """Check the header of an image before it is read, and raise what reading it raises as `InputError`.

    Raises:
        InputError: if it is damaged, not an image, or too large.
    """
    broken = f"{name} is damaged or not an image (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM): save it again."
    try:
        with Image.open(path, formats=FORMATS) as file:
            width, height = file.size
    except BOMBS as error:
        raise InputError(f"{name} has too many pixels: make it smaller than {PIXELS:,} pixels.") from error
    except Exception as error:  # a damaged header makes PIL raise almost anything
        raise InputError(broken) from error
    if width * height > PIXELS:
        raise InputError(f"{name} has {width} x {height} pixels: make it smaller; {PIXELS:,} pixels are the most.")
    try:
        yield
    except Exception as error:  # likewise its pixels
        raise InputError(broken) from error
