"""Write a network for other programs, and check that the file gives the same answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from ltr import files
from ltr.errors import InputError
from ltr.export import formats
from ltr.export.formats import Format, Source
from ltr.export.traced import Traced, images_to_compare, largest_difference
from ltr.predictor import Predictor
from ltr.run import description
from ltr.run.checkpoint_config import own_config
from ltr.run.evaluation import PREDICTIONS, PREDICTIONS_TABLE, SUBMISSION
from ltr.run.folder import CURVES, RunFolder

WRITERS: dict[Format, tuple[Callable[[Source, Path], formats.Answer], str]] = {
    "safetensors": (formats.safetensors, ".safetensors"),
    "onnx": (formats.onnx, ".onnx"),
    "torch": (formats.program, ".pt2"),
    "checkpoint": (formats.checkpoint, ".ckpt"),
}
RUNS = ("safetensors", "checkpoint")  # what has the config of the run, and no graph with adjustments
RESULTS = (CURVES, "*/*.json", "*/*.png", "*/*.csv", "*/*.md")  # of a run, beside its checkpoint and config
SINGLE_IMAGES = (PREDICTIONS, PREDICTIONS_TABLE, SUBMISSION)  # large, and a test or prediction writes them again


def export(predictor: Predictor, *, to: Format = "safetensors", output: str | None = None) -> None:
    """Write the network of a run, with the preprocessing of its images.

    `onnx` and `torch` (a program of torch.export) take `images`, (B, 3, H, W) uint8 of red, green and blue in the size
    of the data, and return `logits`, (B, C) float32, for any B. They include the adjustments of the run and those of
    `--config`. `safetensors` has the weights, with classes, counts, architecture and preprocessing as metadata, and
    `ltr` reads it like a checkpoint. `checkpoint` is the run in a new folder, without the state of the optimizer.

    Every file is read back and compared with the network: on images of the test split, or on random pixels if these are
    missing.

    Args:
        predictor: the run.
        to: the format.
        output: the file, or the folder of the new run; by default one in `exports`.

    Raises:
        InputError: if the network cannot be written in this format, or the file answers differently.
    """
    suffix = "" if to == "checkpoint" else WRITERS[to][1]
    path = Path(output) if output else Path("exports") / (predictor.name + suffix)
    largest = light_run(predictor, path) if to == "checkpoint" else write(predictor, to, path)
    print(f"{path}: the same network, its logits differ by at most {largest:.1e}")


@torch.no_grad()
def write(predictor: Predictor, to: Format, output: Path, config: str | None = None) -> float:
    """Write a network to a file, read it back and compare the answers.

    Args:
        predictor: the run.
        to: the format.
        output: the file; it is written only if its answers are the same.
        config: the config to keep in it, as YAML; by default that of the run.

    Returns:
        The largest difference between two logits.

    Raises:
        InputError: if the network cannot be written in this format, or the file answers differently.
    """
    writer, suffix = WRITERS[to]
    if output.suffix != suffix:
        raise InputError(f"a file for `--to {to}` ends in {suffix}: pass `--output NAME{suffix}`.")
    assert predictor.path is not None
    config = own_config(predictor.path) if config is None else config
    if to in RUNS and (added := {*callbacks(predictor.config)} - {*callbacks(description.load(config))}):
        raise InputError(
            f"`--to {to}` keeps the run as it is, without {', '.join(sorted(added))}: leave out the `--config`, or "
            "pass `--to onnx` or `--to torch`."
        )
    content = formats.without_optimizer(predictor, predictor.path, config)
    source = Source(predictor, content, images_to_compare(predictor))
    network, images = Traced(predictor.method), source.images
    differences: list[float] = []

    def write_and_compare(temporary: Path) -> None:
        answer = writer(source, temporary)
        differences.extend(largest_difference(answer(some), network(some)) for some in (images, images[:1]))

    files.replace(output, write_and_compare)
    return max(differences)


def callbacks(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the callbacks in a config."""
    found = (config.get("trainer") or {}).get("callbacks") or []
    return [description.class_name(part) for part in (found if isinstance(found, list) else [found])]


def light_run(predictor: Predictor, folder: Path) -> float:
    """Write a run without the state of its optimizer: its checkpoint, config, curves and evaluations.

    Args:
        predictor: the run.
        folder: the new folder; its name is that of the new run.

    Returns:
        As `write` does.

    Raises:
        InputError: as `write` does, and if there is a run, or the config of something else, in the folder.
    """
    assert predictor.path is not None
    home = predictor.path.parent
    new = RunFolder(folder)
    if new.exists or new.config_file.exists():
        what = f"the run {folder}" if new.exists else new.config_file
        raise InputError(f"{what} exists already: remove it, or name another `--output`.")
    place = {"name": new.name, "runs": str(folder.parent)}
    config = yaml.safe_dump(description.load(own_config(predictor.path)) | place, sort_keys=False)
    with files.together():
        for path in (path for pattern in RESULTS for path in home.glob(pattern) if path.name not in SINGLE_IMAGES):
            files.copy(path, folder / path.relative_to(home))
        files.write_text(new.config_file, config)
        return write(predictor, "checkpoint", new.checkpoint, config)
