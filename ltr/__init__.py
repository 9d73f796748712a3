"""Long-tailed image recognition: every method is a few lines of YAML over small, tested parts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltr.runs import Run, build, load

from ltr.version import __version__

__all__ = ["Run", "__version__", "build", "load"]


def __getattr__(name: str) -> object:
    """Import what runs need when it is asked for: torch and Lightning take seconds."""
    if name in ("Run", "build", "load"):
        from ltr import runs

        return getattr(runs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
