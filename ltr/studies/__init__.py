"""Studies: many runs, one honest table."""

from ltr.studies.study import study

__all__ = ["study"]
