"""Mixes: a training batch to a mixed one."""

from ltr.mixes.cutmix import CutMix
from ltr.mixes.manifold_mixup import ManifoldMixup
from ltr.mixes.mixup import Mixup
from ltr.mixes.remix import Remix
from ltr.mixes.stop_at import StopAt

__all__ = ["CutMix", "ManifoldMixup", "Mixup", "Remix", "StopAt"]
