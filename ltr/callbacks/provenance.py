"""Where a result is from and what it cost."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer

from ltr.backbones import Pretrained
from ltr.machine import device_name, version
from ltr.methods import Method
from ltr.methods.cached import Cached


def provenance(trainer: Trainer, method: Method) -> dict[str, Any]:
    """Return what a training says of itself.

    Args:
        trainer: in the middle of it, or at its end.
        method: what it trains.

    Returns:
        epochs: how many are over; passes: images that went through the network, per training image; augmentation, views
        and experts; starts_from: the checkpoints whose weights it began with; device and version.
    """
    data = method.data
    plain = isinstance(method, Cached) and method.cache and method.views == 0
    return {
        "epochs": trainer.current_epoch + 1 if trainer.max_epochs else 0,
        "passes": round(method.images / sum(data.counts), 2),
        "augmentation": "none" if plain else data.augment.title,
        "views": data.augment.views,
        "experts": method.backbone.experts,
        "starts_from": [part.checkpoint for part in method.modules() if isinstance(part, Pretrained)],
        "device": device_name(trainer.strategy.root_device),
        "version": version(),
    }
