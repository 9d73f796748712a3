"""The features of a split, computed block by block and read from disk where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from ltr import distributed, seeds, trainable
from ltr.data import LongTailed
from ltr.methods.feature_store import FeatureStore, blocks, folder

if TYPE_CHECKING:
    from ltr.methods.base import BaseMethod

FORWARD = 128  # images at once


class Extraction:
    """The features of a split under a network; each process computes some of the blocks.

    Those of a frozen network are kept on disk as soon as a block is computed, so an extraction that was stopped goes on
    where it was. What a block has depends on its images only, not on the processes, nor on what was kept before.

    Args:
        method: the network, with its trainer.
        data: the data module.
        name: the split.
        draw: non-negative integers that decide the augmentation of the images; None for none.
    """

    def __init__(self, method: BaseMethod, data: LongTailed, name: str, draw: Sequence[int] | None = None) -> None:
        self.method, self.data, self.name, self.draw = method, data, name, draw
        self.parts = blocks(len(data.splits[name].labels))
        self.store = self.open_store()
        self.contents = data.contents(name) if self.store and draw is None else None

    def open_store(self) -> FeatureStore | None:
        """Return where the features are kept; None for a network that is not frozen, or if they are not kept."""
        method, home = self.method, folder()
        if home is None or not method.backbone.fixed:
            return None
        assert method.preprocessing is not None
        return FeatureStore.of(
            home,
            method.backbone,
            preprocessing=method.preprocessing,
            size=self.data.splits[self.name].images.shape[-2:],
            device=method.device,
            precision=str(method.trainer.precision),
            compiled=method.compile_backbone,
        )

    @torch.no_grad()
    def features(self) -> Tensor:
        """Return (N, D) float32 in the order of the split."""
        device = self.method.device
        features = torch.zeros(self.parts[-1].stop, self.method.backbone.dim, device=device)
        missing = []
        for number in range(distributed.rank(), len(self.parts), distributed.world()):
            kept = self.kept(self.content(number), len(self.parts[number]))
            if kept is None:
                missing.append(number)
            else:
                features[[*self.parts[number]]] = kept.to(device)
        if missing:
            positions = [position for number in missing for position in self.parts[number]]
            loader = self.data.loader(self.name, positions, len(self.parts[0]))
            hidden, title = None if distributed.rank() == 0 else True, f"{self.name} features"
            with (
                trainable.evaluating(self.method.backbone),
                tqdm(total=len(positions), desc=title, unit="image", disable=hidden, leave=False) as bar,
            ):
                for number, batch in zip(missing, loader, strict=True):
                    features[batch.indices] = self.computed(number, batch.images)
                    bar.update(len(batch.indices))
            if self.store:
                self.store.note_size()
        return distributed.total(features)

    def whole(self) -> Tensor | None:
        """Return (N, D) float32 in the order of the split if all of them are kept; None otherwise."""
        found = []
        for number, part in enumerate(self.parts):
            if (kept := self.kept(self.content(number), len(part))) is None:
                return None
            found.append(kept)
        return torch.cat(found)

    def content(self, number: int) -> bytes | None:
        """Return what the images of a block are known by; None before they are read."""
        return None if self.contents is None else self.contents[[*self.parts[number]]].numpy().tobytes()

    def kept(self, content: bytes | None, size: int) -> Tensor | None:
        """Return the features (B, D) of a block that are kept; None if there are none."""
        return self.store.read(content, size) if self.store and content else None

    def computed(self, number: int, images: Tensor) -> Tensor:
        """Return the features (B, D) of the images of a block, and keep them."""
        method, content = self.method, self.content(number)
        if self.draw is not None:
            torch.manual_seed(seeds.derive(*self.draw, number))
            images = self.data.augment(images.to(method.device))
            content = b"augmented" + images.cpu().numpy().tobytes() if self.store else None
            if (kept := self.kept(content, len(images))) is not None:
                return kept.to(method.device)
        ready = method.ready if self.draw is None else method.fitted
        with method.trainer.precision_plugin.forward_context():
            features = torch.cat([method.backbone(ready(part)).float() for part in torch.split(images, FORWARD)])
        if self.store and content:
            self.store.write(content, features)
        return features
