"""Build a trained network, its adjustments and its data from the config of its run."""

from __future__ import annotations

import pkgutil
from typing import Any, Literal, TypeVar, cast

import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from ltr.callbacks import Adjustment
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods import Method
from ltr.run.checkpoint_fields import check_fields

K = TypeVar("K", bound=Callback)


def precision() -> Literal["bf16-mixed", "32-true"]:
    """Return bf16 mixed precision if this machine computes in it, else float32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch lack it
    return "bf16-mixed" if capabilities.get("avx512_bf16") else "32-true"


def device_settings(trainer: dict[str, Any], device: str | torch.device | None, wanted: str | None) -> dict[str, Any]:
    """Return the options of a `Trainer` that choose device and precision.

    Args:
        trainer: the config of the trainer of the run.
        device: the device; None for that of the config.
        wanted: the precision; None for that of the config.
    """
    options: dict[str, Any] = {"accelerator": trainer.get("accelerator") or "auto", "devices": 1}
    if device is not None:
        device = torch.device(device)
        options = {"accelerator": device.type, "devices": 1 if device.index is None else [device.index]}
    return {**options, "precision": wanted or trainer.get("precision") or precision()}


def config_parser() -> LightningArgumentParser:
    """Return the parser of the config of a run and of the options that an evaluation changes."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.add_subclass_arguments(Method, "model", required=True, fail_untyped=False)
    parser.add_subclass_arguments(LongTailed, "data", required=True, fail_untyped=False)
    parser.link_arguments("data.counts", "model.init_args.counts", apply_on="instantiate")
    parser.add_argument("--seed_everything", type=bool | int, default=0)
    parser.add_argument("--name", type=str | None)
    parser.add_argument("--runs", type=str | None)
    parser.set_defaults({"trainer.precision": precision()})
    return parser


def build(base: type[Any], config: Any) -> Any:
    """Build a part from its class and options.

    Args:
        base: the base class of the part.
        config: the path of its class, or a mapping with `class_path` and `init_args`.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "part", required=True, fail_untyped=False)
    return parser.instantiate_classes(parser.parse_object({"part": config})).part


def trained(config: dict[str, Any], content: dict[str, Any]) -> Method:
    """Build a network from its config and load its weights.

    It is never compiled: for a few images the compilation takes longer than it saves.

    Args:
        config: its class and options.
        content: the checkpoint.

    Raises:
        InputError: if the weights do not fit.
    """
    check_fields(content, "the checkpoint")
    state = content.get("state_dict") or {}
    if "counts" not in state:
        raise InputError("this is not a checkpoint of `ltr`: start from it with `--model.backbone Pretrained`.")
    options = {**(config.get("init_args") or {}), "counts": state["counts"].tolist()}
    if "compile" in options:
        options["compile"] = False
    method: Method = build(Method, {**config, "init_args": options})
    method.on_load_checkpoint(content)
    method.load_state_dict(state)
    return method


def adjustments_of(callbacks: Any) -> list[Adjustment]:
    """Build the adjustments among the callbacks of a config, in their order."""
    return callbacks_of(callbacks, Adjustment)  # type: ignore[type-abstract]


def callbacks_of(callbacks: Any, kind: type[K]) -> list[K]:
    """Build the callbacks of one kind in a config, in their order.

    Args:
        callbacks: a callback or a list of them, each with its class and options; None for none.
        kind: their base class.
    """
    several = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    return [
        cast("K", build(kind, item)) for item in several if issubclass(pkgutil.resolve_name(item["class_path"]), kind)
    ]
