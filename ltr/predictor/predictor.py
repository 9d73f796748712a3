"""A trained network that classifies images, without a training loop and without the images of its training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor

from ltr.callbacks import Adjustment, Conformal
from ltr.contracts import Output
from ltr.counts import Counts
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.library_errors import library_errors
from ltr.methods import Method
from ltr.predictor.fitted import Fitted
from ltr.predictor.images import Given, Images, Unreadable, check
from ltr.predictor.network import adjustments_of, build, callbacks_of, config_parser, device_settings, trained
from ltr.preprocessing import Preprocessing
from ltr.process_state import isolated
from ltr.run import description, hub, lookup, weights
from ltr.run.folder import CHECKPOINT
from ltr.run.predictions import Predictions
from ltr.sentences import first, plural
from ltr.trust import own_config

SILENT: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
BATCH = 500  # images at once, as `eval_batch_size` of the data


class Predictor:
    """A trained network in evaluation mode. It classifies images as `ltr predict` does.

    Args:
        method: the network with its weights.
        name: the name of its run or file.
        adjustments: the adjustments of its outputs, in their order.
        data: builds the data of its run; needed only by adjustments and prediction sets that are fitted to images.
        config: the resolved config of its run.
        path: the checkpoint.
        fitted: what a test of the run has fitted, used where the images of the run are missing; None for nothing.
        device: the device, such as `cpu` or `cuda:1`; None for `trainer.accelerator` of the config.
        precision: as `trainer.precision`; None for that of the config.

    Attributes:
        name: the name of its run or file.
        method: the network.
        adjustments: the adjustments of its outputs, in their order.
        config: the resolved config of its run, with the options that this evaluation changes.
        path: the checkpoint; None if there is none.
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
        fitted: Fitted | None = None,
        device: str | torch.device | None = None,
        precision: str | None = None,
    ) -> None:
        self.method, self.name, self.config, self.path = method, name, config or {}, path
        self.adjustments, self.build_data = tuple(adjustments), data
        # It only chooses the device and the precision, as in every evaluation.
        self.trainer = Trainer(**SILENT, **device_settings(self.config.get("trainer") or {}, device, precision))
        method.backbone.to(memory_format=torch.channels_last)
        self.trainer.precision_plugin.convert_module(method).to(self.trainer.strategy.root_device).eval()
        method.adjustments = self.adjustments
        self.lazy_data = cast("LongTailed", LazyData(self.read_data))
        self.fitted = fitted
        with torch.no_grad():
            for position, adjustment in enumerate(self.adjustments):
                with self.restoring(adjustment, position):
                    adjustment.prepare(method, self.lazy_data)

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
        """Load a trained run: its config, its weights and its adjustments.

        Args:
            run: its name, folder or checkpoint, or `hf://user/name`.
            *configs: the configs that change this evaluation, by name or path: `"ensemble.yaml"`.
            adjustments: the adjustments, in place of those in the configs.
            trust: names of the packages whose classes the config of the run may name.
            device: as for `Predictor`.
            precision: as for `Predictor`.

        Raises:
            InputError: if it cannot be read, or an adjustment needs images that are missing.
        """
        path = lookup.checkpoint(str(run))
        texts = {str(name): lookup.config(str(name)).read_text(encoding="utf-8") for name in configs}
        arguments = [word for text in (own_config(path, trust), *texts.values()) for word in ("--config", text)]
        predictor = cls.parse(path, arguments, adjustments=adjustments, device=device, precision=precision)
        contents = {name: description.load(text) or {} for name, text in texts.items()}
        for name, _, lost in description.replaced_callbacks(contents):
            warnings.warn(
                f"the callbacks of {name} replace {lost}: to have both, list them in one config.", stacklevel=2
            )
        return predictor

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
        """Load a checkpoint with the arguments of `ltr predict`.

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
            config = config_parser().parse_args(arguments).as_dict()
            content = weights.read(str(path))
            if (seed := config["seed_everything"]) is not False:
                seed_everything(seed, workers=True, verbose=False)
            network, fitted = trained(config["model"], content), None
            if adjustments is None:
                fitted = Fitted(path, config, content["state_dict"])
                adjustments = adjustments_of((config.get("trainer") or {}).get("callbacks"))
            return cls(
                network,
                name=hub.repository(path) or (path.resolve().parent.name if path.name == CHECKPOINT else path.stem),
                adjustments=adjustments,
                data=lambda: cast("LongTailed", build(LongTailed, config["data"])),
                config=config,
                path=path,
                fitted=fitted,
                device=device,
                precision=precision,
            )

    @contextmanager
    def restoring(self, part: Adjustment | Conformal, position: int = 0) -> Iterator[None]:
        """Give what is fitted within the values of a test if the images of the run are missing.

        Raises:
            InputError: if there are no such values.
        """
        try:
            yield
        except DataError as error:
            if self.fitted is None:
                raise InputError(f"{error} {type(part).__name__} reads the images of the run.") from error
            self.fitted.restore(part, position, error)

    @property
    def preprocessing(self) -> Preprocessing:
        """The size of its images, and how they become its input."""
        if self.method.preprocessing is None:
            raise InputError(f"{self.name} does not say how images become its input: train it again.")
        return self.method.preprocessing

    @property
    def classes(self) -> list[str]:
        """The names of the classes, or their numbers if there are no names."""
        return self.method.classes or list(map(str, range(len(self.method.counts))))

    @property
    def counts(self) -> Counts:
        """The training images of each class."""
        return self.method.training_counts

    @cached_property
    def conformal(self) -> Conformal | None:
        """The prediction sets in the config, calibrated on the validation images of the run; None if it has none."""
        found = callbacks_of((self.config.get("trainer") or {}).get("callbacks"), Conformal)
        if found:
            with isolated(), self.restoring(found[0]):
                found[0].calibrate_on(self.method, self.lazy_data)
        return found[0] if found else None

    def predict(
        self,
        images: Images | Given | Iterable[Given],
        *,
        unreadable: Unreadable = "refuse",
        progress: bool = False,
    ) -> Predictions:
        """Classify images as `ltr predict` does: preprocessing, network and adjustments, in its precision.

        Args:
            images: paths of image files, folders and tables, or PIL images, of any size; or tensors of the size of the
                network, uint8, red, green and blue: (3, size, size), or (B, 3, size, size) for B images.
            unreadable: `refuse` images that cannot be read, or `skip` them.
            progress: whether to show a progress bar.

        Raises:
            InputError: for images that cannot be read or have another form, or if the network answers with something
                that is not a finite number.
        """
        from tqdm import tqdm

        asked = images if isinstance(images, Images) else Images.of(images)
        batch = ((self.config.get("data") or {}).get("init_args") or {}).get("eval_batch_size") or BATCH
        answers: list[Tensor] = []
        readable: list[int] = []
        failures: list[tuple[str, str]] = []
        conformal = self.conformal
        with tqdm(total=len(asked.names), desc=self.name, disable=None if progress else True, leave=False) as bar:
            for positions, found in asked.read(self.preprocessing, batch):
                pairs = [*zip(positions, found, strict=True)]
                failures += [(asked.names[at], reason) for at, reason in pairs if isinstance(reason, str)]
                pixels = {at: image for at, image in pairs if isinstance(image, Tensor)}
                if pixels and (unreadable == "skip" or not failures):
                    readable += pixels
                    answers.append(self.output(torch.stack([*pixels.values()])).logits.float().cpu())
                bar.update(len(found))
        if failures and unreadable == "refuse":
            raise InputError(refusal(failures))
        if not readable:
            why = f": {failures[0][0]} {failures[0][1]}" if failures else ""
            raise InputError(f"there is no image to classify{why}.")
        logits = torch.cat(answers)
        return Predictions(
            [asked.names[position] for position in readable],
            self.classes,
            logits,
            sets=conformal.sets(logits.double()) if conformal else None,
            unreadable=failures,
        )

    @torch.no_grad()
    def output(self, images: Tensor) -> Output:
        """Return the adjusted output for a batch, on the device of the network and in its precision.

        Args:
            images: (B, 3, size, size) uint8 on any device, red, green and blue.

        Raises:
            InputError: for other tensors, or if a logit is not finite.
        """
        check(images, self.preprocessing.size)
        with self.trainer.precision_plugin.forward_context():
            output: Output = self.method(self.method.ready(images, self.adjustments))
            if not output.logits.isfinite().all():
                raise InputError(f"the logits of {self.name} are not finite: its weights are damaged.")
            return self.method.adjusted(output)

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
            data.read_for(self.method.backbone.preprocessing)
            data.prepare_data()
            data.setup()
        except InputError as error:
            raise DataError(str(error)) from error
        return data


def refusal(failures: Sequence[tuple[str, str]]) -> str:
    """Return the sentence about images that cannot be read, each given by its name and the reason."""
    (name, reason), *others = failures
    more = f"{plural(len(others), 'other image')} cannot be read either ({first([name for name, _ in others])})"
    what = f"{name} {reason}, and {more}: repair or remove them" if others else f"{name} {reason}: repair or remove it"
    return f'{what}, or skip such images with `--unreadable skip` (in Python `unreadable="skip"`).'


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
