"""What a checkpoint contains: the types of its fields, since any file may claim to be one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ltr.errors import InputError
from ltr.run import base_weights


def check_fields(content: Mapping[str, Any], path: object) -> None:
    """Raise `InputError` unless the fields of a checkpoint have the types of one that `ltr` wrote.

    Args:
        content: the content.
        path: the file, for the error.
    """
    for name, is_sound in FIELDS.items():
        if name in content and not is_sound(content[name]):
            raise InputError(f"{path} is refused: its `{name}` is not that of a checkpoint of `ltr`.")
    counts = content.get("state_dict", {}).get("counts")
    if counts is None:
        return
    if counts.dim() != 1 or counts.dtype != torch.int64:
        raise InputError(f"{path} is refused: its counts are not one whole number per class.")
    if content.get("classes") and len(content["classes"]) != len(counts):
        raise InputError(f"{path} is refused: it has {len(counts)} counts for {len(content['classes'])} classes.")


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d+(\.\w+)+", value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_loops(value: Any) -> bool:
    """Each loop of Lightning has a state of parts that are mappings, too."""
    return _is_mapping(value) and all(
        _is_mapping(loop) and all(map(_is_mapping, loop.values())) for loop in value.values()
    )


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_curves(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and str(row.get("epoch")).isdecimal()
        and all(isinstance(cell, str) for pair in row.items() for cell in pair)
        for row in value
    )


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and all(map(has_values, value.values()))


def _is_optimizers(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("state"), dict)
        and isinstance(one.get("param_groups"), list)
        and all(isinstance(group, dict) and isinstance(group.get("params"), list) for group in one["param_groups"])
        for one in value
    )


def _is_schedules(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and _is_count(one.get("last_epoch")) for one in value)


def has_values(value: Any) -> bool:
    """Return whether something is a tensor of plain values, not sparse, quantised or empty (`meta`)."""
    return isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_quantized)


FIELDS: dict[str, Callable[[Any], bool]] = {
    "pytorch-lightning_version": _is_version,
    "config": _is_text,
    "epoch": _is_count,
    "global_step": _is_count,
    "images": _is_count,
    "seconds": _is_duration,
    "classes": _is_names,
    "curves": _is_curves,
    "preprocessing": _is_mapping,
    "provenance": _is_plain,
    "state_dict": _is_state,
    base_weights.KEY: base_weights.is_sound,
    "optimizer_states": _is_optimizers,
    "lr_schedulers": _is_schedules,
    "callbacks": _is_mapping,
    "loops": _is_loops,
}
