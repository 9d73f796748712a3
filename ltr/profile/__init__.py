"""A set at a glance: its counts, what is wrong with its images, and the recipe to start from."""

from ltr.profile.report import profile

__all__ = ["profile"]
