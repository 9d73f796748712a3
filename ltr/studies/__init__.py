"""Studies: many runs, one honest table."""

from ltr.studies.gallery import gallery
from ltr.studies.study import study

__all__ = ["gallery", "study"]
