"""What a network can be written as. Each writes a file and returns what the file answers to images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ltr.errors import InputError
from ltr.export.network import Network
from ltr.export.trained import Trained
from ltr.run import safetensors_files, weights

Format = Literal["safetensors", "onnx", "torch", "checkpoint"]
NAMED: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"], "verbose": False}
Answer = Callable[[Tensor], Tensor]


def safetensors(trained: Trained, path: Path) -> Answer:
    """Write the checkpoint without the state of the optimizer as tensors, with what must be known of them."""
    safetensors_files.write(path, trained.content, trained.about)
    return reread(trained, path)


def checkpoint(trained: Trained, path: Path) -> Answer:
    """Write the checkpoint without the state of the optimizer."""
    torch.save(trained.content, path)
    return reread(trained, path)


def reread(trained: Trained, path: Path) -> Answer:
    """Return a network of the same kind with the weights of a file."""
    method = deepcopy(trained.method)
    method.load_state_dict(weights.tensors(weights.read(str(path)), str(path)))
    return Network(trained, method)


def program(trained: Trained, path: Path) -> Answer:
    """Write the computation as a program of `torch.export`, which `torch.export.load` reads without this package."""
    with quietly():
        torch.export.save(exported(trained), path)
        answer: Answer = torch.export.load(path).module()
    return answer


def onnx(trained: Trained, path: Path) -> Answer:
    """Write the computation as ONNX, from `images` to `logits`."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401, torch takes it
    except ImportError as error:
        raise InputError('ONNX needs the libraries of the extra `export`: pip install "ltr[export]".') from error
    with quietly():
        found = torch.onnx.export(exported(trained), dynamo=True, **NAMED)
        assert found is not None
        found.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def exported(trained: Trained) -> torch.export.ExportedProgram:
    """Return the computation for any number of images.

    Raises:
        InputError: where what a network computes depends on the images.
    """
    sizes: dict[str, Any] = {"images": {0: torch.export.Dim("batch")}}
    try:
        with quietly():
            return torch.export.export(Network(trained).eval(), (trained.images,), dynamic_shapes=sizes, strict=False)
    except Exception as error:  # of any kind, from deep within torch
        raise InputError(
            f"this {type(trained.method).__name__} cannot be written as one computation "
            f"({weights.first_line(error)}): `--to safetensors` takes the weights of any."
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Leave out what the exporters remark on torch itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
