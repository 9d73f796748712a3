"""Files of weights, torch and safetensors: tensors and other things under any names, and changed bytes."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any, NamedTuple

import safetensors.torch
import torch
from answering import answer, empty_folder
from hypothesis import strategies as st
from torch import Tensor

from ltr.backbones import Pretrained, ResNet20
from ltr.run import weights

SOUND = {**ResNet20(width=2).state_dict(), "fc.weight": torch.ones(3, 8), "fc.bias": torch.zeros(3)}
KEYS = ("state_dict", "model", "net", "state_dict_model", "classifier", "ema", "epoch", "optimizer")
PREFIXES = ("", "", "module.", "backbone.", "encoder_q.", "model.", "module.backbone.", "_orig_mod.")
OTHERS: list[Any] = [
    *(
        None,
        0,
        -1.5,
        "text",
        b"bytes",
        True,
        [],
        {},
        [1, [2]],
        {"a": {"b": 1}},
        {1: 2},
        (1, 2),
        {"state_dict": 5},
        complex(1, 1),
    ),
    *(torch.Size([1]), torch.float16, torch.device("cpu")),
]
FINITE = ("float32", "float64", "float16", "bfloat16", "int64", "uint8", "bool", "complex64", "int8")
METADATA: list[Any] = [
    *({}, [], {"a": 5}, {"sha256": "x", "checkpoint": "{}"}),
    *({"checkpoint": text} for text in ("{}", "[" * 9999, '{"epoch": 1e999}', '{"state_dict": {"w": 1}}')),
]
DAMAGES = ("none", "none", "byte", "byte", "cut", "header", "zip")


class File(NamedTuple):
    """A file.

    Attributes:
        name: of the file.
        content: its bytes.
        fault: why it cannot be used; empty if only the reader can tell.
        sound: whether every reader has to take it.
    """

    name: str
    content: bytes
    fault: str = ""
    sound: bool = False


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Draw a tensor of any type and shape, also ones that have no plain values."""
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    value = torch.ones(shape, dtype=getattr(torch, draw(st.sampled_from(FINITE))))
    kind = draw(st.integers(0, 15))
    if kind == 0:
        return value.to_sparse() if value.dim() else value
    if kind == 1:
        return value.to("meta")
    if kind == 2 and value.dtype == torch.float32:
        return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)
    if kind == 3 and value.is_floating_point():
        return value * draw(st.sampled_from([float("nan"), float("inf"), 1e38]))
    return torch.zeros(1).expand(draw(st.sampled_from([1, 2**40]))) if kind == 4 else value


@st.composite
def weight_files(draw: st.DrawFn) -> File:
    """Draw a file."""
    prefix = draw(st.sampled_from(PREFIXES))
    state: dict[Any, Any] = {prefix + name: value for name, value in SOUND.items()}
    fault = ""
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(list(state)))
        kind = draw(st.sampled_from(["drop", "add", "tensor", "other", "nan"]))
        if kind == "add":
            state[draw(st.text(max_size=8) | st.integers(0, 3) | st.sampled_from(["fc.weight", "fc", "counts"]))] = (
                draw(tensors())
            )
        elif kind == "drop":
            del state[name]
        elif kind == "nan" and isinstance(state[name], Tensor) and state[name].is_floating_point():
            state[name] = torch.full_like(state[name], float("nan"))
            fault = "NaN" if not str(name).removeprefix(prefix).startswith("fc") and state[name].numel() else fault
        else:
            state[name] = draw(tensors()) if kind == "tensor" else draw(st.sampled_from(OTHERS))
            fault = ""
    sound = not fault and len(state) == len(SOUND) and is_sound(state, prefix)
    content: Any = state
    for _ in range(draw(st.integers(0, 2))):
        around = {draw(st.sampled_from(KEYS)): draw(st.sampled_from(OTHERS)) for _ in range(draw(st.integers(0, 2)))}
        sound = sound and not around
        content = {**around, draw(st.sampled_from(KEYS[:4])): content}
    if draw(st.integers(0, 9)) == 0:
        content, sound = draw(st.sampled_from(OTHERS) | tensors()), False
    if draw(st.integers(0, 3)) == 0:
        plain = {str(name): value for name, value in state.items() if isinstance(value, Tensor) and has_storage(value)}
        return File(
            "w.safetensors", safetensors.torch.save({name: value.clone() for name, value in plain.items()}), fault
        )
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=draw(st.integers(0, 3)) > 0)
    return damaged(draw, File("w.pt", file.getvalue(), fault if isinstance(content, dict) else "", sound))


def is_sound(state: dict[Any, Any], prefix: str) -> bool:
    """Return whether all tensors of the network are there and unchanged."""
    given = {name: state.get(prefix + name) for name in SOUND}
    return all(isinstance(value, Tensor) and has_storage(value) for value in given.values()) and all(
        value.dtype == given[name].dtype and torch.equal(value, given[name]) for name, value in SOUND.items()
    )


def has_storage(value: Tensor) -> bool:
    """Return whether safetensors can hold a tensor."""
    return value.layout == torch.strided and not value.is_meta and not value.is_quantized and value.numel() < 2**20


def damaged(draw: st.DrawFn, file: File) -> File:
    """Change the bytes of a file, or leave them."""
    content, kind = file.content, draw(st.sampled_from(DAMAGES))
    if kind == "none":
        return file
    at = draw(st.integers(0, len(content) - 1))
    if kind == "byte":
        content = content[:at] + bytes([content[at] ^ draw(st.integers(1, 255))]) + content[at + 1 :]
    elif kind == "cut":
        content = content[:at]
    elif kind == "header":
        content = (
            draw(st.sampled_from([b"PK\x03\x04", b"PK", b"\x80\x02", b"\x80\x05", b"", b"\x93NUMPY"])) + content[at:]
        )
    elif zipfile.is_zipfile(io.BytesIO(content)):
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
            for entry in old.infolist():
                if draw(st.integers(0, 30)):
                    name = (
                        entry.filename
                        if draw(st.integers(0, 30))
                        else draw(st.sampled_from(["../x", "/x", "data.pkl", "x/y"]))
                    )
                    new.writestr(name, old.read(entry) if draw(st.integers(0, 30)) else b"")
        content = packed.getvalue()
    return File(file.name, content)


@st.composite
def safetensors_files(draw: st.DrawFn) -> File:
    """Draw a safetensors file with a header of any kind."""
    size = draw(st.sampled_from([0, 4, 8, 2**20, 2**40, -1, 2**63]))
    entry = {
        "dtype": draw(st.sampled_from(["F32", "F64", "BOOL", "I64", "X", "F8_E4M3", 5])),
        "shape": draw(st.sampled_from([[], [1], [2], [0], [2**40], [-1], "x", [2**32, 2**32], [[1]]])),
        "data_offsets": [0, size] if draw(st.booleans()) else draw(st.sampled_from([[4, 0], [0], "x", [0, 4, 8]])),
    }
    metadata = draw(st.sampled_from(METADATA))
    names = draw(st.lists(st.sampled_from(["w", "a/b", "state_dict/w", "/", "", "w/x", "é"]), max_size=3))
    head = json.dumps({"__metadata__": metadata, **dict.fromkeys(names, entry)}).encode()
    length = draw(st.sampled_from([len(head), len(head), len(head), 0, 1, len(head) + 100, 2**40, 2**64 - 1]))
    return File("w.safetensors", struct.pack("<Q", length) + head + bytes(draw(st.sampled_from([0, 4, 8, 100]))))


def check_weights(file: File) -> str:
    """Read a file, and load it into a network. The weights that are used are finite, and those in the file."""
    network: list[Pretrained] = []

    def load() -> None:
        pretrained = Pretrained(file.name, ResNet20(width=2))
        pretrained.load()
        network.append(pretrained)

    with empty_folder() as folder:
        (folder / file.name).write_bytes(file.content)
        answer(lambda: weights.tensors(weights.read(file.name), file.name))
        sentence = answer(load)
    for pretrained in network:
        assert not file.fault, f"a file with {file.fault} is used"
        state = pretrained.backbone.state_dict()
        assert all(bool(value.isfinite().all()) for value in state.values())
        if file.sound:
            assert all(torch.equal(value, SOUND[name]) for name, value in state.items())
    assert not (file.sound and sentence), f"a sound file is refused: {sentence}"
    return sentence
