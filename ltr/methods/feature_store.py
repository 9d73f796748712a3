"""The features of frozen networks, kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ltr.contracts import Backbone
from ltr.data.images import DECODING
from ltr.errors import InputError
from ltr.preprocessing import Preprocessing
from ltr.run import verified_files

FOLDER = "LTR_FEATURES"  # a variable of the environment: another folder, or empty to keep nothing
BLOCK = 256  # images per file; it also decides which images a network sees together, on which the last bits depend
LARGE = 20  # GB of all kept features from which their size is noted
FORMAT = 1  # a new number when the features of a network change


def folder() -> Path | None:
    """Return the folder of the features, which can be deleted at any time; None if they are not kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    chosen = os.environ.get(FOLDER, str(home / "ltr" / "features"))
    return Path(chosen).expanduser() if chosen else None


def blocks(size: int) -> list[range]:
    """Return the positions of consecutive blocks; a single image at the end belongs to the block before it."""
    starts = [start for start in range(0, size, BLOCK) if start == 0 or size - start > 1]
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], size], strict=True)]


def digest(backbone: Backbone) -> str:
    """Return a hash of a network: its layers, with all that they print of themselves, and its weights."""
    network = backbone.inner  # a run's later stages have the features of its network
    content = hashlib.sha256(f"{network.title} {network}".encode())
    for name, value in sorted(network.state_dict().items()):
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return content.hexdigest()


@dataclass(frozen=True)
class FeatureStore:
    """The features of one network, for images of one size, in a file for each block of consecutive images.

    Attributes:
        folder: of the network.
        dim: size D of a feature.
    """

    folder: Path
    dim: int

    @classmethod
    def of(
        cls,
        home: Path,
        backbone: Backbone,
        *,
        preprocessing: Preprocessing,
        size: Sequence[int],
        device: torch.device,
        precision: str,
        compiled: bool,
    ) -> FeatureStore:
        """Return the store of a network.

        Args:
            home: folder of all features.
            backbone: the network.
            preprocessing: from the images to its input.
            size: height and width of the images before that.
            device: that computes.
            precision: in which it computes, as the trainer names it.
            compiled: whether the network is compiled.
        """
        cuda = device.type == "cuda"
        machine = torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability()
        about = {
            "network": digest(backbone),
            "preprocessing": asdict(preprocessing),
            "images": [DECODING, *size],
            "computed": [machine, precision, compiled, torch.__version__, backbone.software, FORMAT],
        }
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
        return cls(home / name, backbone.dim)

    def note_size(self) -> None:
        """Note how much the features of all networks take, if it is much: nothing deletes them."""
        home, size = self.folder.parent, 0
        with suppress(OSError):  # another process may delete them just now
            size = sum(path.stat().st_size for path in home.glob("*/*.features"))
        if size > LARGE * 10**9:
            rank_zero_warn(
                f"the features that are kept in {home} take {size / 10**9:.0f} GB: delete it, or its oldest folders, "
                "each of which is of one network; what is needed again is computed again."
            )

    def path(self, images: bytes) -> Path:
        """Return the file of a block of images with this content."""
        return self.folder / f"{hashlib.sha256(images).hexdigest()[:32]}.features"

    def read(self, images: bytes, number: int) -> Tensor | None:
        """Return (B, D) float32 features; None if they are not kept, or their file is damaged.

        Args:
            images: the content of the images.
            number: how many they are.
        """
        size = (number, self.dim)
        return verified_files.read(self.path(images), size, torch.float32, "the features are computed again")

    def write(self, images: bytes, features: Tensor) -> None:
        """Keep the features (B, D) of a block; without space or rights, it is noted that they are not kept."""
        try:
            verified_files.write(self.path(images), features.cpu())
        except InputError as error:
            rank_zero_warn(f"features are not kept: {error} `{FOLDER}=FOLDER` names another folder.")
