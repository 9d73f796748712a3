"""What a network can be written as. Each writes a file and returns what the file answers to images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ltr.errors import InputError
from ltr.export.traced import Traced
from ltr.predictor import Predictor, trained
from ltr.run import description, safetensors_files, training_record, weights
from ltr.version import __version__

Format = Literal["safetensors", "onnx", "torch", "checkpoint"]
NAMED: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"], "verbose": False}
Answer = Callable[[Tensor], Tensor]
# Of a checkpoint, what a training does not need to go on with but everybody else does.
KEPT = (
    "epoch",
    "global_step",
    "pytorch-lightning_version",
    "state_dict",
    "config",
    "seconds",
    "preprocessing",
    "classes",
    training_record.KEY,
    "teacher",
)


class Source(NamedTuple):
    """What is written, and the images that the file has to answer like the network.

    Attributes:
        predictor: the trained network, in float32 on the CPU.
        content: its checkpoint without the state of the optimizer.
        images: (B, 3, H, W) uint8.
    """

    predictor: Predictor
    content: dict[str, Any]
    images: Tensor


def content_of(path: Path, config: str) -> dict[str, Any]:
    """Return a checkpoint without the state of the optimizer.

    Args:
        path: the checkpoint.
        config: the config to keep in it, as YAML.
    """
    content = weights.read(str(path))
    return {key: content[key] for key in KEPT if key in content} | {"config": config}


def about(predictor: Predictor) -> dict[str, Any]:
    """Return what others must know of the weights, as JSON can hold it."""
    model, preprocessing = predictor.config["model"]["init_args"], predictor.preprocessing
    return {
        "ltr": __version__,
        "classes": predictor.classes,
        "counts": predictor.counts,
        "architecture": {part: model[part] for part in ("backbone", "head") if part in model},
        "data": description.class_name(predictor.config["data"]),
        "size": [preprocessing.size, preprocessing.size],
        "crop": preprocessing.crop,
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.std),
    }


def safetensors(source: Source, path: Path) -> Answer:
    """Write the checkpoint without the state of the optimizer as tensors, with what must be known of them."""
    safetensors_files.write(path, source.content, about(source.predictor))
    return reread(source, path)


def checkpoint(source: Source, path: Path) -> Answer:
    """Write the checkpoint without the state of the optimizer."""
    torch.save(source.content, path)
    return reread(source, path)


def reread(source: Source, path: Path) -> Answer:
    """Return the network with the weights of a file, and the same adjustments."""
    method = trained(source.predictor.config["model"], weights.read(str(path)))
    method.adjustments = source.predictor.adjustments
    return Traced(method)


def program(source: Source, path: Path) -> Answer:
    """Write the computation as a program of `torch.export`, which `torch.export.load` reads without this package."""
    with quietly():
        torch.export.save(exported(source), path)
        answer: Answer = torch.export.load(path).module()
    return answer


def onnx(source: Source, path: Path) -> Answer:
    """Write the computation as ONNX, from `images` to `logits`."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401, torch takes it
    except ImportError as error:
        raise InputError('ONNX needs the libraries of the extra `export`: pip install "ltr[export]".') from error
    with quietly():
        found = torch.onnx.export(exported(source), dynamo=True, **NAMED)
        assert found is not None
        found.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def exported(source: Source) -> torch.export.ExportedProgram:
    """Return the computation for any number of images.

    Raises:
        InputError: where what a network computes depends on the images.
    """
    sizes: dict[str, Any] = {"images": {0: torch.export.Dim("batch")}}
    try:
        with quietly():
            return torch.export.export(
                Traced(source.predictor.method), (source.images,), dynamic_shapes=sizes, strict=False
            )
    except Exception as error:  # of any kind, from deep within torch
        raise InputError(
            f"this {type(source.predictor.method).__name__} cannot be written as one computation "
            f"({weights.first_line(error)}): `--to safetensors` takes the weights of any."
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Leave out what the exporters remark on torch itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
