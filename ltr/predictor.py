"""A trained network that answers images; the images that it was trained on need not be there."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser
from torch import Tensor

from ltr.callbacks import Adjustment
from ltr.contracts import Output, Preprocessing
from ltr.data import LongTailed
from ltr.errors import InputError, advice
from ltr.library_errors import library_errors
from ltr.methods import Method
from ltr.process_state import isolated
from ltr.run import hub, lookup, weights
from ltr.run.folder import CHECKPOINT
from ltr.trust import own_config

SILENT: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Predictor:
    """A trained network in evaluation mode, which answers images as `ltr predict` does.

    Args:
        method: the network with its weights.
        name: of its run or file.
        adjustments: what changes its outputs, in their order.
        data: builds the data of its run; needed only by adjustments that are fitted to images.
        config: the resolved config of its run.
        path: its file.
        device: where it answers, such as `cpu` or `cuda:1`; else what `trainer.accelerator` of the config names.
        precision: as `trainer.precision`; else that of the config.

    Attributes:
        name: of its run or file.
        method: the network.
        adjustments: what changes its outputs, in their order.
        config: the resolved config of its run, with what was changed for this evaluation.
        path: its file; None if it comes from none.

    Shape:
        images (B, 3, size, size) uint8, red, green and blue -> `Output` with logits (B, C).
    """

    def __init__(
        self,
        method: Method,
        *,
        name: str = "",
        adjustments: Sequence[Adjustment] = (),
        data: Callable[[], LongTailed] | None = None,
        config: dict[str, Any] | None = None,
        path: Path | None = None,
        device: str | torch.device | None = None,
        precision: str | None = None,
    ) -> None:
        self.method, self.name, self.config, self.path = method, name, config or {}, path
        self.adjustments, self.build_data = list(adjustments), data
        # It trains and tests nothing: it knows the device and the precision as every evaluation does.
        self.trainer = Trainer(**SILENT, **settings(self.config.get("trainer") or {}, device, precision))
        method.backbone.to(memory_format=torch.channels_last)
        self.trainer.precision_plugin.convert_module(method).to(self.trainer.strategy.root_device).eval()
        method.adjustments = self.adjustments
        with torch.no_grad():
            for adjustment in self.adjustments:
                with advice(f"{type(adjustment).__name__} reads the images of the run.", on=DataError):
                    adjustment.prepare(method, cast("LongTailed", LazyData(self.read_data)))

    @classmethod
    def load(
        cls,
        run: str | Path,
        *configs: str | Path,
        adjustments: Sequence[Adjustment] | None = None,
        trust: Collection[str] = (),
        device: str | torch.device | None = None,
        precision: str | None = None,
    ) -> Predictor:
        """Load a trained run: its config, its weights, its adjustments.

        Args:
            run: its name, folder or checkpoint, or `hf://user/name`.
            *configs: what is different in this evaluation, by name or path: `"ensemble.yaml"`.
            adjustments: these in place of those in the configs.
            trust: names of the packages whose classes the config of the run may name.
            device: as for `Predictor`.
            precision: as for `Predictor`.

        Raises:
            InputError: if it cannot be read, or an adjustment needs images that are missing.
        """
        path = lookup.checkpoint(str(run))
        texts = [own_config(path, trust), *(lookup.config(str(name)).read_text(encoding="utf-8") for name in configs)]
        arguments = [word for text in texts for word in ("--config", text)]
        return cls.parse(path, arguments, adjustments=adjustments, device=device, precision=precision)

    @classmethod
    def parse(
        cls,
        path: Path,
        arguments: list[str],
        *,
        adjustments: Sequence[Adjustment] | None = None,
        device: str | torch.device | None = None,
        precision: str | None = None,
    ) -> Predictor:
        """Load a checkpoint whose config is that of some arguments, as `ltr predict` takes them.

        Args:
            path: the checkpoint.
            arguments: configs as text and options, beginning with the config of the run.
            adjustments: as for `load`.
            device: as for `Predictor`.
            precision: as for `Predictor`.

        Raises:
            InputError: as `load` does.
        """
        with isolated():
            config = parser().parse_args(arguments).as_dict()
            content = weights.read(str(path))
            if (seed := config["seed_everything"]) is not False:
                seed_everything(seed, workers=True, verbose=False)
            if adjustments is None:
                adjustments = adjustments_of((config.get("trainer") or {}).get("callbacks"))
            return cls(
                trained(config["model"], content),
                name=hub.repository(path) or (path.resolve().parent.name if path.name == CHECKPOINT else path.stem),
                adjustments=adjustments,
                data=lambda: cast("LongTailed", build(LongTailed, config["data"])),
                config=config,
                path=path,
                device=device,
                precision=precision,
            )

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become its input."""
        if self.method.preprocessing is None:
            raise InputError(f"{self.name} does not say how images become its input: train it again.")
        return self.method.preprocessing

    @property
    def classes(self) -> list[str]:
        """The names of the classes, or their numbers if it knows no names."""
        return self.method.classes or list(map(str, range(len(self.method.counts))))

    @property
    def counts(self) -> list[int]:
        """The training images of each class."""
        return list(self.method.counts.tolist())

    @torch.no_grad()
    def predict(self, images: Tensor) -> Output:
        """Answer images as `ltr predict` does: preprocessing, network and adjustments, in its precision.

        Args:
            images: (B, 3, size, size) uint8 on any device, red, green and blue.

        Returns:
            The adjusted output, on the device of the network; its `probabilities` are (B, C).

        Raises:
            InputError: for other images, or if the network answers with something that is not a finite number.
        """
        self.check(images)
        with self.trainer.precision_plugin.forward_context():
            output: Output = self.method(self.method.ready(images))
            if not output.logits.isfinite().all():
                raise InputError(f"the logits of {self.name} are not finite: its weights are damaged.")
            return self.method.adjusted(output)

    def check(self, images: Tensor) -> None:
        """Raise `InputError` unless these are images that the network takes."""
        size = self.preprocessing.size
        if images.dtype != torch.uint8:
            raise InputError(f"images are uint8 values from 0 to 255; these are {images.dtype}: do not normalise them.")
        if images.dim() != 4 or images.shape[1] != 3:
            raise InputError(f"images have the shape (B, 3, {size}, {size}); these have {tuple(images.shape)}.")
        if images.shape[2:] != (size, size):
            height, width = images.shape[2:]
            raise InputError(f"{self.name} takes images of {size} x {size} pixels; these have {height} x {width}.")

    def read_data(self) -> LongTailed:
        """Build the data of the run and read its images.

        Raises:
            InputError: if they are missing.
        """
        if self.build_data is None:
            raise DataError(f"{self.name} comes without the data of its training.")
        try:
            with library_errors():
                data = self.build_data()
            data.trainer = self.method.trainer = self.trainer
            data.prepare_data()
            data.setup()
        except InputError as error:
            raise DataError(str(error)) from error
        return data


class DataError(InputError):
    """The images of a run cannot be read."""


class LazyData:
    """Data that are read when an adjustment first uses them; most adjustments never do.

    Args:
        read: builds the data and reads its images.
    """

    def __init__(self, read: Callable[[], LongTailed]) -> None:
        self._read = read

    @cached_property
    def _data(self) -> LongTailed:
        return self._read()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)


def precision() -> Literal["bf16-mixed", "32-true"]:
    """Return bf16 mixed precision where this machine computes in it, else float32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch lack it
    return "bf16-mixed" if capabilities.get("avx512_bf16") else "32-true"


def settings(trainer: dict[str, Any], device: str | torch.device | None, wanted: str | None) -> dict[str, Any]:
    """Return what a trainer must be told of device and precision.

    Args:
        trainer: the config of the trainer of the run.
        device: the device; None for that of the config.
        wanted: the precision; None for that of the config.
    """
    found: dict[str, Any] = {"accelerator": trainer.get("accelerator") or "auto", "devices": 1}
    if device is not None:
        device = torch.device(device)
        found = {"accelerator": device.type, "devices": 1 if device.index is None else [device.index]}
    return {**found, "precision": wanted or trainer.get("precision") or precision()}


def parser() -> LightningArgumentParser:
    """Return the parser of the config of a run and of what is different in an evaluation."""
    made = LightningArgumentParser(exit_on_error=False)
    made.add_argument("--config", action="config")
    made.add_lightning_class_args(Trainer, "trainer")
    made.add_subclass_arguments(Method, "model", required=True, fail_untyped=False)
    made.add_subclass_arguments(LongTailed, "data", required=True, fail_untyped=False)
    made.link_arguments("data.counts", "model.init_args.counts", apply_on="instantiate")
    made.add_argument("--seed_everything", type=bool | int, default=0)
    made.add_argument("--name", type=str | None)
    made.add_argument("--runs", type=str | None)
    made.set_defaults({"trainer.precision": precision()})
    return made


def build(base: type[Any], config: Any) -> Any:
    """Build a part from its class and options, as a config has them.

    Args:
        base: what its class derives from.
        config: the path of the class, or a mapping with `class_path` and `init_args`.
    """
    made = ArgumentParser(exit_on_error=False)
    made.add_subclass_arguments(base, "part", required=True, fail_untyped=False)
    return made.instantiate_classes(made.parse_object({"part": config})).part


def trained(config: dict[str, Any], content: dict[str, Any]) -> Method:
    """Build a network from its config and load its weights.

    It is not compiled, whatever the config says: a prediction of a few images would wait longer than it gains.

    Args:
        config: its class and options.
        content: the checkpoint.

    Raises:
        InputError: if the weights do not fit.
    """
    state = content.get("state_dict") or {}
    if "counts" not in state:
        raise InputError("this is no checkpoint of `ltr`: start from it with `--model.backbone Pretrained`.")
    options = {**(config.get("init_args") or {}), "counts": state["counts"].tolist()}
    if "compile" in options:
        options["compile"] = False
    method: Method = build(Method, {**config, "init_args": options})
    method.on_load_checkpoint(content)
    method.load_state_dict(state)
    return method


def adjustments_of(callbacks: Any) -> list[Adjustment]:
    """Build the adjustments among the callbacks of a config, in their order.

    Args:
        callbacks: a callback or a list of them, each with its class and options; None for none.
    """
    several = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    return [
        cast("Adjustment", build(Adjustment, item))
        for item in several
        if issubclass(pkgutil.resolve_name(item["class_path"]), Adjustment)
    ]
