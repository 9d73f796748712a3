"""Write a network so that others can use it, and see that it is the same network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from ltr import files
from ltr.errors import InputError
from ltr.export import formats
from ltr.export.formats import Format
from ltr.export.network import Network, apart
from ltr.export.trained import Trained
from ltr.run.folder import CURVES, PREDICTIONS, PREDICTIONS_TABLE, RunFolder

WRITERS: dict[Format, tuple[Callable[[Trained, Path], formats.Answer], str]] = {
    "safetensors": (formats.safetensors, ".safetensors"),
    "onnx": (formats.onnx, ".onnx"),
    "torch": (formats.program, ".pt2"),
    "checkpoint": (formats.checkpoint, ".ckpt"),
}
BESIDE = (CURVES, "*/*.json", "*/*.png", "*/*.csv", "*/*.md")


def usual_path(trained: Trained, to: Format) -> Path:
    """Return where a network is written unless something else is said."""
    return Path("exports") / (trained.name + ("" if to == "checkpoint" else WRITERS[to][1]))


def export(trained: Trained, *, to: Format = "safetensors", output: str | None = None) -> None:
    """Write the network of a run as it is tested, the normalisation of its images inside.

    `onnx` and `torch` (a program of torch.export) take `images`, (B, 3, H, W) uint8 of red, green and blue in the size
    of the data, and give `logits`, (B, C) float32, for any B. `safetensors` are the weights with all that must be known
    of them, which `ltr` reads like a checkpoint; `checkpoint` is the run in a new folder, without the state of the
    optimizer. Every file is read again and must answer images of the test split as the network does.

    Args:
        trained: the run.
        to: the format.
        output: the file, or the folder of the new run; else one in `exports`.

    Raises:
        InputError: where the network has no such form, or the file is another network.
    """
    path = Path(output) if output else usual_path(trained, to)
    largest = light_run(trained, path) if to == "checkpoint" else write(trained, to, path)
    print(f"{path}: the same network, its logits differ by at most {largest:.1e}")


@torch.no_grad()
def write(trained: Trained, to: Format, output: Path) -> float:
    """Write a network to a file, read it again and compare what both say of images of the test split.

    Args:
        trained: the run.
        to: the format.
        output: the file; it is there only if the network in it is the same.

    Returns:
        The largest difference of a logit.

    Raises:
        InputError: where the network has no such form, or the file is another network.
    """
    writer, suffix = WRITERS[to]
    if output.suffix != suffix:
        raise InputError(f"a file for `--to {to}` ends in {suffix}: pass `--output {output.with_suffix(suffix)}`.")
    network, images = Network(trained).eval(), trained.images
    found: list[float] = []

    def written(temporary: Path) -> None:
        answer = writer(trained, temporary)
        found.extend(apart(answer(some), network(some)) for some in (images, images[:1]))

    files.replace(output, written)
    return max(found)


def light_run(trained: Trained, folder: Path) -> float:
    """Write a run without the state of its optimizer: its checkpoint, config, curves and evaluations.

    Args:
        trained: the run.
        folder: where to; its name is that of the new run.

    Returns:
        As `write` does.

    Raises:
        InputError: as `write` does, and where there is a run in the folder.
    """
    home = trained.path.parent
    new = RunFolder(folder)
    if new.exists:
        raise InputError(f"the run {folder} exists already: remove it, or name another `--output`.")
    config = yaml.safe_dump(trained.config | {"name": folder.name}, sort_keys=False)
    renamed = trained._replace(content=trained.content | {"config": config})
    largest = write(renamed, "checkpoint", new.checkpoint)
    files.write_text(new.config_file, config)
    for pattern in BESIDE:
        for path in home.glob(pattern):
            if path.name not in (PREDICTIONS, PREDICTIONS_TABLE):  # of single images, large, and had again by a test
                files.copy(path, folder / path.relative_to(home))
    return largest
