"""The table of measures has a row for every value that is computed, and none too many."""

from __future__ import annotations

import torch

from ltr.measures import MEASURES, measure_of
from ltr.metrics import Scores
from ltr.metrics.means import recall_measures

COUNTS = [300, 50, 2]


def test_every_measure_has_a_row() -> None:
    scores = Scores(3)
    scores.update(torch.eye(3), torch.arange(3))
    assert set(recall_measures(scores.compute(), COUNTS)) | set(scores.scores(COUNTS)) == set(MEASURES)


def test_an_extra_of_a_method_is_shown_as_it_is() -> None:
    extra = measure_of("experts_used")
    assert (extra.title, extra.scale, extra.axis()) == ("experts used", 1, "experts used")
