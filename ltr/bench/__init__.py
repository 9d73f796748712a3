"""Benchmarks: what the loop, a recipe and an augmentation cost on the present device."""

from ltr.bench.bench import bench
from ltr.bench.contest import Contest
from ltr.bench.curves import Curves

__all__ = ["Contest", "Curves", "bench"]
