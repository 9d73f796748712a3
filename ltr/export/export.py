"""Write a network so that others can use it, and see that it is the same network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from ltr import files
from ltr.errors import InputError
from ltr.export import formats
from ltr.export.formats import Format, Source
from ltr.export.traced import Traced, images_to_compare, largest_difference
from ltr.predictor import Predictor
from ltr.run.evaluation import PREDICTIONS, PREDICTIONS_TABLE
from ltr.run.folder import CURVES, RunFolder, own_config

WRITERS: dict[Format, tuple[Callable[[Source, Path], formats.Answer], str]] = {
    "safetensors": (formats.safetensors, ".safetensors"),
    "onnx": (formats.onnx, ".onnx"),
    "torch": (formats.program, ".pt2"),
    "checkpoint": (formats.checkpoint, ".ckpt"),
}
BESIDE = (CURVES, "*/*.json", "*/*.png", "*/*.csv", "*/*.md")


def usual_path(predictor: Predictor, to: Format) -> Path:
    """Return where a network is written unless `--output` names a file."""
    return Path("exports") / (predictor.name + ("" if to == "checkpoint" else WRITERS[to][1]))


def export(predictor: Predictor, *, to: Format = "safetensors", output: str | None = None) -> None:
    """Write the network of a run as it is tested, the preprocessing of its images inside.

    `onnx` and `torch` (a program of torch.export) take `images`, (B, 3, H, W) uint8 of red, green and blue in the size
    of the data, and give `logits`, (B, C) float32, for any B. `safetensors` are the weights with all that must be known
    of them, which `ltr` reads like a checkpoint; `checkpoint` is the run in a new folder, without the state of the
    optimizer. The adjustments of the run, and those of `--config`, are part of what `onnx` and `torch` compute. Every
    file is read again and must answer as the network does: images of the test split, or random pixels if that is not
    there.

    Args:
        predictor: the run.
        to: the format.
        output: the file, or the folder of the new run; else one in `exports`.

    Raises:
        InputError: where the network has no such form, or the file is another network.
    """
    path = Path(output) if output else usual_path(predictor, to)
    largest = light_run(predictor, path) if to == "checkpoint" else write(predictor, to, path)
    print(f"{path}: the same network, its logits differ by at most {largest:.1e}")


@torch.no_grad()
def write(predictor: Predictor, to: Format, output: Path, config: str | None = None) -> float:
    """Write a network to a file, read it again and compare what both answer.

    Args:
        predictor: the run.
        to: the format.
        output: the file; it is there only if the network in it is the same.
        config: the config to keep in it, as YAML; else that of the run.

    Returns:
        The largest difference of a logit.

    Raises:
        InputError: where the network has no such form, or the file is another network.
    """
    writer, suffix = WRITERS[to]
    if output.suffix != suffix:
        raise InputError(f"a file for `--to {to}` ends in {suffix}: pass `--output {output.with_suffix(suffix)}`.")
    assert predictor.path is not None
    content = formats.content_of(predictor.path, own_config(predictor.path) if config is None else config)
    source = Source(predictor, content, images_to_compare(predictor))
    network, images = Traced(predictor.method), source.images
    found: list[float] = []

    def written(temporary: Path) -> None:
        answer = writer(source, temporary)
        found.extend(largest_difference(answer(some), network(some)) for some in (images, images[:1]))

    files.replace(output, written)
    return max(found)


def light_run(predictor: Predictor, folder: Path) -> float:
    """Write a run without the state of its optimizer: its checkpoint, config, curves and evaluations.

    Args:
        predictor: the run.
        folder: where to; its name is that of the new run.

    Returns:
        As `write` does.

    Raises:
        InputError: as `write` does, and where there is a run in the folder.
    """
    assert predictor.path is not None
    home = predictor.path.parent
    new = RunFolder(folder)
    if new.exists:
        raise InputError(f"the run {folder} exists already: remove it, or name another `--output`.")
    config = yaml.safe_dump(yaml.safe_load(own_config(predictor.path)) | {"name": folder.name}, sort_keys=False)
    largest = write(predictor, "checkpoint", new.checkpoint, config)
    files.write_text(new.config_file, config)
    for pattern in BESIDE:
        for path in home.glob(pattern):
            if path.name not in (PREDICTIONS, PREDICTIONS_TABLE):  # of single images, large, and had again by a test
                files.copy(path, folder / path.relative_to(home))
    return largest
