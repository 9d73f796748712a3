"""The choice in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ltr import files
from ltr.auto.candidates import Candidate
from ltr.auto.choice import Choice
from ltr.measures import percent
from ltr.sentences import plural

FEW = 5  # validation images of a class, with fewer of which its recall says little


@dataclass(frozen=True)
class Verdict:
    """Which head was chosen, and how reliable that is.

    Attributes:
        goal: what it was chosen for, in words.
        best: the head with the highest value on the validation images.
        chosen: the head that is taken.
        default: the head that is taken where choosing does not pay.
        choice: what choosing gives.
        values: by title the value on the validation images with the bounds of its 95 % interval.
        heads: how many there were.
        seeds: of each.
        images: validation images.
        uncertain: how many classes have so few of them that the value depends on chance; 0 for a mean of recalls.
    """

    goal: str
    best: Candidate
    chosen: Candidate
    default: Candidate
    choice: Choice
    values: Mapping[str, tuple[float, float, float]]
    heads: int
    seeds: int
    images: int
    uncertain: int = 0

    @property
    def sentences(self) -> list[str]:
        """The choice, in sentences."""
        seeds = "one seed" if self.seeds == 1 else f"{self.seeds} seeds"
        among = f"{self.heads:,} heads with {seeds} each, on {self.images:,} validation images"
        tried = (
            f"the head that is best on one half of these images has {percent(self.choice.value)} % on the other half, "
            f"{100 * self.choice.gain:+.1f} points compared with always taking {self.default.title}"
        )
        if self.choice.gain != self.choice.gain:
            first = [f"Taken for the {self.goal}: {self.chosen.title}. There are too few validation images to choose."]
        elif self.choice.pays:
            first = [f"Chosen for the {self.goal}, among {among}: {self.chosen.title}.", f"Choosing pays: {tried}."]
        else:
            first = [
                f"Taken for the {self.goal}: {self.chosen.title}.",
                f"A choice among {among}, would be noise: {tried}. On all of them, {self.best.title} is the best.",
                "More images of the rare classes would make a choice possible.",
            ]
        values = "; ".join(
            f"{title} {percent(value)} %" + ("" if self.uncertain else f" [{percent(low)}, {percent(high)}]")
            for title, (value, low, high) in self.values.items()
        )
        high = " That of the chosen head is too high, since it was chosen by it." if self.choice.pays else ""
        if self.uncertain:
            one = self.uncertain == 1
            first.append(
                f"{plural(self.uncertain, 'class', 'classes')} {'has' if one else 'have'} fewer than {FEW} validation "
                f"images, on which the {self.goal} depends most: another validation split may choose quite another "
                "head. A mean of recalls is a safer goal."
            )
        spread = "without intervals, for which there are too few" if self.uncertain else "with 95 % intervals"
        return [*first, f"The {self.goal} on all validation images, {spread}: {values}.{high}"]

    @property
    def content(self) -> dict[str, Any]:
        """The content of `choice.json`."""
        heads = {"best": self.best, "chosen": self.chosen, "default": self.default}
        return {
            "goal": self.goal,
            **{key: head._asdict() for key, head in heads.items()},
            "value": files.plain(self.choice.value),
            "gain": files.plain(self.choice.gain),
            "values": {
                title: {"value": value, "interval": None if self.uncertain else bounds}
                for title, (value, *bounds) in self.values.items()
            },
            "heads": self.heads,
            "seeds": self.seeds,
            "images": self.images,
            "uncertain": self.uncertain,
        }
