"""The choice in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ltr.auto.candidates import Candidate
from ltr.measures import percent


@dataclass(frozen=True)
class Verdict:
    """Which head was chosen, and what that is worth.

    Attributes:
        goal: what it was chosen for, in words.
        best: the head with the highest value on the validation images.
        chosen: the head that is taken.
        default: the head that is taken where choosing does not pay.
        gain: what choosing adds to the default head on images that the choice has not seen.
        values: by title the value on the validation images with the bounds of its 95 % interval.
        heads: how many there were.
        seeds: of each.
        images: validation images.
    """

    goal: str
    best: Candidate
    chosen: Candidate
    default: Candidate
    gain: float
    values: Mapping[str, tuple[float, float, float]]
    heads: int
    seeds: int
    images: int

    @property
    def pays(self) -> bool:
        """Whether choosing pays."""
        return self.gain > 0

    @property
    def sentences(self) -> list[str]:
        """The choice, in sentences."""
        among = f"{self.heads:,} heads with {self.seeds} seeds each, on {self.images:,} validation images"
        gain = f"{100 * self.gain:+.1f} points"
        if self.pays:
            first = [
                f"Chosen for the {self.goal}, among {among}: {self.chosen.title}.",
                f"Choosing on one half of these images gives {gain} on the other half, compared with always taking "
                f"{self.default.title}.",
            ]
        else:
            first = [
                f"Taken for the {self.goal}: {self.chosen.title}. A choice among {among} would be noise: "
                f"the head that is best on one half of them ({self.best.title} on all) gives {gain} on the other half, "
                f"compared with always taking {self.default.title}.",
                "More images of the rare classes would make a choice possible.",
            ]
        values = "; ".join(
            f"{title} {percent(value)} % [{percent(low)}, {percent(high)}]"
            for title, (value, low, high) in self.values.items()
        )
        return [*first, f"The {self.goal} on the validation images, with 95 % intervals: {values}."]

    @property
    def content(self) -> dict[str, Any]:
        """The content of `choice.json`."""
        heads = {"best": self.best, "chosen": self.chosen, "default": self.default}
        return {
            "goal": self.goal,
            **{key: head._asdict() for key, head in heads.items()},
            "gain": self.gain,
            "values": {title: list(value) for title, value in self.values.items()},
            "heads": self.heads,
            "seeds": self.seeds,
            "images": self.images,
        }
