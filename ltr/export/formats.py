"""The formats of a network. Each function writes a file and returns the network that is read back from it."""

from __future__ import annotations

import json
import re
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
from ltr.run import base_weights, description, safetensors_files, training_record, weights
from ltr.sentences import first_line
from ltr.version import __version__

Format = Literal["safetensors", "onnx", "torch", "checkpoint"]
BATCH = "batch"  # the name of the first dimension
MOST = 2**31 - 1  # images of a batch; torch 2.6 needs a bound
NAMES: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"], "verbose": False}
Answer = Callable[[Tensor], Tensor]
# The parts of a checkpoint that an evaluation needs; the others only serve to resume a training.
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
    """A network to write, and images on which the file is compared with it.

    Attributes:
        predictor: the trained network, in float32 on the CPU.
        content: its checkpoint without the state of the optimizer.
        images: (B, 3, H, W) uint8.
    """

    predictor: Predictor
    content: dict[str, Any]
    images: Tensor


def without_optimizer(predictor: Predictor, path: Path, config: str) -> dict[str, Any]:
    """Return a checkpoint without the state of the optimizer, and with all weights.

    Args:
        predictor: the network in it.
        path: the checkpoint.
        config: the config to keep in it, as YAML.
    """
    content = weights.read(str(path))
    if base_weights.KEY in content:
        base_weights.complete(content, predictor.method.backbone.state_dict())
    return {key: content[key] for key in KEPT if key in content} | {"config": config}


def metadata(predictor: Predictor) -> dict[str, str]:
    """Return the classes, the preprocessing and the architecture as text; what is not text is JSON."""
    model, preprocessing = predictor.config["model"]["init_args"], predictor.preprocessing
    about = {
        "ltr": __version__,
        "classes": predictor.classes,
        "counts": predictor.counts,
        "architecture": {part: model[part] for part in ("backbone", "head") if part in model},
        "data": description.class_name(predictor.config["data"]),
        "size": [preprocessing.size, preprocessing.size],
        "crop": preprocessing.crop,
        "resized": preprocessing.resized,
        "interpolation": preprocessing.interpolation,
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.std),
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}


def safetensors(source: Source, path: Path) -> Answer:
    """Write the checkpoint as safetensors, with `metadata`."""
    safetensors_files.write(path, source.content, metadata(source.predictor))
    return read_back(source, path)


def checkpoint(source: Source, path: Path) -> Answer:
    """Write the checkpoint without the state of the optimizer."""
    torch.save(source.content, path)
    return read_back(source, path)


def read_back(source: Source, path: Path) -> Answer:
    """Return the network with the weights of a file and the same adjustments."""
    method = trained(source.predictor.config["model"], weights.read(str(path)))
    method.adjustments = source.predictor.adjustments
    return Traced(method)


def program(source: Source, path: Path) -> Answer:
    """Write the computation as a program, which `torch.export.load` reads without this package."""
    with no_warnings():
        torch.export.save(exported(source), path)
        answer: Answer = torch.export.load(path).module()
    return answer


def onnx(source: Source, path: Path) -> Answer:
    """Write the computation as ONNX, from `images` to `logits`, with `metadata`."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401, torch imports it
    except ImportError as error:
        raise InputError('ONNX needs the libraries of the extra `export`: pip install -e ".[export]".') from error
    with no_warnings():
        network = torch.onnx.export(exported(source), dynamo=True, **NAMES)
        assert network is not None
        network.save(path)
    describe_onnx(path, metadata(source.predictor))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def describe_onnx(path: Path, about: dict[str, str]) -> None:
    """Add metadata to an ONNX file, and call the first dimension of its input `batch` wherever it occurs."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param  # such as `s34`
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", BATCH, dimension.dim_param)
    onnx.helper.set_model_props(model, about)
    onnx.save(model, path)


def exported(source: Source) -> torch.export.ExportedProgram:
    """Return the computation for any number of images.

    Raises:
        InputError: if the operations of the network depend on the images.
    """
    sizes: dict[str, Any] = {"images": {0: torch.export.Dim(BATCH, max=MOST)}}
    try:
        with no_warnings():
            return torch.export.export(
                Traced(source.predictor.method), (source.images,), dynamic_shapes=sizes, strict=False
            )
    except Exception as error:  # torch raises many kinds
        raise InputError(
            f"this {type(source.predictor.method).__name__} cannot be written as one computation "
            f"({first_line(error)}): pass `--to safetensors`, which works for every network."
        ) from error


@contextmanager
def no_warnings() -> Iterator[None]:
    """Hide the warnings of the exporters, which are about torch itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
