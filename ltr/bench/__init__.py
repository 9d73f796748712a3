"""Benchmarks: what the loop, a recipe and an augmentation cost on the present device."""

from ltr.bench.bench import bench
from ltr.bench.contest import Contest

__all__ = ["Contest", "bench"]
