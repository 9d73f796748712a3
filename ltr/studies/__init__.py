"""Studies: many runs, one honest table."""

from ltr.studies.gallery import gallery
from ltr.studies.grid import tune_grid
from ltr.studies.study import study

__all__ = ["gallery", "study", "tune_grid"]
