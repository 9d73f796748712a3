"""The predictions of a network for some images, and the files that keep them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ltr import files
from ltr.run.evaluation import PREDICTIONS, PREDICTIONS_TABLE, SUBMISSION

TOP = 5  # classes per image in the table


@dataclass(frozen=True)
class Predictions:
    """What a network answers to some images.

    Attributes:
        names: the names of the images, such as the paths of their files.
        classes: the names of the classes.
        logits: (N, C) float32, after the adjustments, on the CPU.
        labels: (N,) the true classes; None if they are not known.
        sets: (N, C) which classes are in the prediction set of an image; None if there are no prediction sets.
        unreadable: the name of each image that was skipped because it could not be read, and the reason.
    """

    names: Sequence[str]
    classes: Sequence[str]
    logits: Tensor
    labels: Tensor | None = None
    sets: Tensor | None = None
    unreadable: Sequence[tuple[str, str]] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def probabilities(self) -> Tensor:
        """(N, C) the softmax of the logits."""
        return self.logits.softmax(1)

    def top(self, k: int = 1) -> list[list[tuple[str, float]]]:
        """Return the `k` most probable classes of each image with their probabilities, the most probable first."""
        values, places = self.probabilities.topk(min(k, len(self.classes)))
        return [
            [(self.classes[place], value) for value, place in zip(*pair, strict=True)]
            for pair in zip(values.tolist(), places.tolist(), strict=True)
        ]

    def write(self, folder: Path, *, top: int = TOP, **more: Any) -> None:
        """Write `predictions.pt` for programs and `predictions.csv` for people.

        Args:
            folder: the folder of the files.
            top: how many classes the table has for each image.
            **more: what `predictions.pt` keeps besides; it has to be readable with `weights_only`.
        """
        known = {"labels": self.labels, "sets": self.sets}
        content = {
            "probabilities": self.probabilities,
            **{key: value for key, value in known.items() if value is not None},
            "names": list(self.names),
            "classes": list(self.classes),
            **more,
        }
        ranks = range(1, min(top, len(self.classes)) + 1)
        head = ["image", *(["label"] if self.labels is not None else [])]
        head += [f"{what}_{rank}" for rank in ranks for what in ("class", "probability")]
        head += ["set"] if self.sets is not None else []
        with files.together():
            files.save(folder / PREDICTIONS, content)
            write_table(folder / PREDICTIONS_TABLE, head, (map(files.cell, row) for row in self._rows(top)))

    def _rows(self, top: int) -> Iterable[list[str]]:
        """Yield the cells of each image."""
        for at, pairs in enumerate(self.top(top)):
            row = [self.names[at], *([self.classes[int(self.labels[at])]] if self.labels is not None else [])]
            row += [cell for name, value in pairs for cell in (name, f"{value:.4f}")]
            if self.sets is not None:
                row.append(" | ".join(self.classes[place] for place in self.sets[at].nonzero().flatten().tolist()))
            yield row

    def write_submission(self, folder: Path, head: tuple[str, str]) -> None:
        """Write `submission.csv`: the name and the most probable class of each image, as competitions want it.

        Args:
            folder: the folder of the file.
            head: the titles of its two columns.
        """
        rows = ([name, pairs[0][0]] for name, pairs in zip(self.names, self.top(), strict=True))
        write_table(folder / SUBMISSION, head, rows)


def write_table(path: Path, head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a CSV file with a line of titles; bytes of a name that are not UTF-8 are written with a backslash."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    files.write_text(path, os.fsencode(text.getvalue()).decode(errors="backslashreplace"))
