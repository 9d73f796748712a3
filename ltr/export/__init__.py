"""Write a network in other formats, and publish it on the Hugging Face Hub."""

from ltr.export.export import export
from ltr.export.push import push

__all__ = ["export", "push"]
