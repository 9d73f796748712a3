"""A finished run with all that others must know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from torch import Tensor

from ltr.contracts import Preprocessing
from ltr.data import LongTailed
from ltr.data.base import Split
from ltr.methods import Method
from ltr.run import hub, training_record
from ltr.version import __version__

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
LOOKED_AT = 16


class Trained(NamedTuple):
    """A finished run.

    Attributes:
        path: its checkpoint.
        content: the checkpoint without the state of the optimizer.
        config: the resolved config of the training.
        method: the network with its weights, in evaluation mode.
        data: its data, not set up.
        splits: their splits, files not decoded.
    """

    path: Path
    content: dict[str, Any]
    config: dict[str, Any]
    method: Method
    data: LongTailed
    splits: dict[str, Split]

    @classmethod
    def of(cls, path: Path, content: dict[str, Any], config: str, method: Method, data: LongTailed) -> Trained:
        """Put the weights into the network, and look what the data are.

        Args:
            path: the checkpoint.
            content: what is in it.
            config: the config of the run as YAML.
            method: a network of its kind.
            data: its data.

        Raises:
            InputError: where the weights do not fit, or the files of the data are missing.
        """
        data.prepare_data()
        splits = data.choose()
        method.on_load_checkpoint(content)
        method.load_state_dict(content["state_dict"])
        kept = {key: content[key] for key in KEPT if key in content} | {"config": config}
        return cls(path, kept, yaml.safe_load(config), method.eval(), data, splits)

    @property
    def name(self) -> str:
        """The name of the run."""
        return hub.repository(self.path) or self.path.resolve().parent.name

    @property
    def images(self) -> Tensor:
        """(B, 3, H, W) uint8: the first images of the test split."""
        images = self.splits["test"].images
        return images[: min(LOOKED_AT, len(images))].clone()  # a view would be saved with all that it is of

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network does to its images."""
        return self.method.preprocessing or self.data.preprocessing

    @property
    def about(self) -> dict[str, Any]:
        """What others must know of the weights, as JSON can hold it."""
        model = self.config["model"]["init_args"]
        return {
            "ltr": __version__,
            "classes": self.data.classes,
            "counts": self.method.counts.tolist(),
            "architecture": {part: model[part] for part in ("backbone", "head") if part in model},
            "data": self.data.name,
            "size": list(self.images.shape[-2:]),
            "crop": self.preprocessing.crop,
            "mean": list(self.preprocessing.mean),
            "std": list(self.preprocessing.std),
        }
