"""The networks of libraries of models, with the weights that these publish."""

from __future__ import annotations

import importlib
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from torch import Tensor

from ltr.backbones import pretraining
from ltr.backbones.adapters import Adapter, AdapterFactory, blocks
from ltr.contracts import ADAPTERS, Backbone, Freeze
from ltr.errors import InputError
from ltr.run import hub, weights
from ltr.run.training_record import TrainingRecord
from ltr.sentences import first_line

T = TypeVar("T")


class Library(Backbone):
    """A network of a library, without its classifier.

    The weights are read when a new training starts, and not again: the checkpoint of the training has the whole
    network. They are read as data, so that a file cannot run code.

    Args:
        name: of the network in the library.
        pretrained: its weights: `true` for the usual ones of the library, downloaded once; the path of a file; or
            another name that the library has for them. `false` starts from random weights.
        freeze: as in `Pretrained`; by default pretrained weights and those beside an adapter are frozen, with
            `features`, and others are not.
        adapter: builds what is trained in the blocks of the network from (blocks, classes), or None. The method
            inserts it; it is trained, though the rest is frozen.

    Attributes:
        adapters: the adapter, once it is inserted.
        preprocessing: size, crop, normalisation and interpolation of the images that the weights were trained with.
        labels: the number of classes of the classifier in a file, once it is read; 0 without one.
    """

    library: str

    def __init__(
        self,
        name: str,
        pretrained: bool | str = False,
        freeze: Freeze | None = None,
        *,
        adapter: AdapterFactory | None = None,
    ) -> None:
        super().__init__()
        self.name, self.pretrained, self.labels = name, pretrained, 0
        self.chosen_freeze: Freeze = freeze or ("features" if pretrained or adapter else "none")
        self.make_adapter = adapter
        self.adapters: Adapter | None = None

    @property
    def title(self) -> str:
        """Its class and the name of the network."""
        return f"{type(self).__name__} {self.name}"

    @property
    def file(self) -> Path | None:
        """The file of the weights, if they are given as one."""
        given = Path(self.pretrained).expanduser() if isinstance(self.pretrained, str) else None
        if given is None or (":" in str(given) and not given.is_file()):  # as in `hf-hub:user/name`
            return None
        return given if given.is_file() or given.suffix or len(given.parts) > 1 else None

    @property
    def pretraining(self) -> str:
        """What the weights are, for the provenance of a result; empty for random ones."""
        if not self.pretrained:
            return ""
        return f"{self.file.name} ({self.title})" if self.file else f"{self.weights_name} of {self.library}"

    @property
    def software(self) -> str:
        """The library with its version."""
        return f"{self.library} {importlib.import_module(self.library).__version__}"

    @property
    @abstractmethod
    def weights_name(self) -> str:
        """The name of the weights in the library."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the weights can be downloaded."""

    @property
    def repository(self) -> str:
        """The repository of the Hub that the weights are in; empty if they are elsewhere."""
        return ""

    @abstractmethod
    def read(self) -> Mapping[str, Tensor]:
        """Return the tensors of the network with the chosen weights, by the names of this backbone; it may download."""

    def adapt(self, classes: int) -> None:
        """Insert the adapter.

        Raises:
            InputError: if the network has no blocks for it.
        """
        if self.make_adapter is None or self.adapters is not None:
            return
        if not (found := blocks(getattr(self, "network", self))):
            raise InputError(
                f"an adapter goes into transformer blocks of one size, as a ViT has them, and {self.title} has none: "
                "leave out `--model.backbone.adapter`, or pass another network."
            )
        self.adapters = self.make_adapter(found, classes)
        self.set_freeze(self.freeze)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to features (B, dim)."""
        if self.stages:
            return super().forward(images)
        network = self.get_submodule("network")
        features: Tensor = self.adapters.run(network, images) if self.adapters else network(images)
        return features

    def load(self) -> dict[str, Tensor]:
        """Read the weights. The classifier of other classes that comes with them is left behind.

        Raises:
            InputError: if there are none, they cannot be had, or they do not fit.
        """
        if not self.pretrained:
            return {}
        if self.file and not self.file.is_file():
            raise InputError(f"there is no file {self.file} with the weights of {self.title}.")
        state = self.reading(self.read)
        origin = str(self.file or self.weights_name)
        weights.check_finite(state, origin)
        wanted = {name: value for name, value in self.state_dict().items() if not name.startswith(ADAPTERS)}
        if problems := weights.misfits(state, wanted):
            raise InputError(f"{origin} does not fit {self.title} ({'; '.join(problems)}).")
        self.load_state_dict(dict(state), strict=False)
        sets = pretraining.sets(self.pretraining, self.labels)
        self.training_record = TrainingRecord(complete=True, sets=sets)
        return {}

    def reading(self, act: Callable[[], T]) -> T:
        """Return what a call returns that reads weights.

        Raises:
            InputError: in place of whatever the library raises.
        """
        with quiet(self.library):
            try:
                if self.repository:
                    hub.check_reachable(self.repository)
                return act()
            except InputError:
                raise
            except Exception as error:  # libraries and their ways to a server raise almost anything
                raise InputError(self.unread(error)) from error

    def unread(self, error: Exception) -> str:
        """Return the sentence on weights that could not be read."""
        if self.file:
            return f"{self.file} does not fit {self.title} ({first_line(error)}): pass another file."
        return (
            f"the weights {self.weights_name} cannot be had ({first_line(error)}): download {self.source} where there "
            "is a network, and pass the path of the file with `--model.backbone.pretrained`, `--weights` of `ltr auto`."
        )


def imported(library: str, extra: str) -> ModuleType:
    """Return a library that comes with an extra of `ltr`.

    Args:
        library: the name of its module.
        extra: the name of the extra.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise InputError(f"{library} is not installed: `pip install -e '.[{extra}]'`.") from error


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Hide the messages of a library and of the Hub, which write each step and each try to the log."""
    loggers = [logging.getLogger(name) for name in ("root", "huggingface_hub", library)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def check_options(options: Mapping[str, Any], own: tuple[str, ...]) -> None:
    """Raise `InputError` if the options of a library name something that the backbone decides itself.

    Args:
        options: what is handed on.
        own: the names that it decides.
    """
    for name in options:
        if name in own or name.startswith("pretrained"):
            raise InputError(f"`{name}` is no option to hand on: the backbone sets it itself.")
