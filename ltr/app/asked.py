"""What was asked about, and what the answers were: what a page keeps while somebody moves its temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ltr.app.answering import Answer, Network
from ltr.app.pictures import pictures
from ltr.app.ranked import ranked
from ltr.html.markup import escape, sentence


class Asked(NamedTuple):
    """Images and what a network said of them. The network itself is not kept.

    Attributes:
        title: which network.
        images: (B, 3, H, W) uint8, as the network saw them.
        names: of their files.
        notes: sentences on what should be known of the answers.
        classes: names of the classes.
        answer: what it said; None where no image could be read.
    """

    title: str
    images: Tensor
    names: list[str]
    notes: list[str]
    classes: list[str]
    answer: Answer | None

    @classmethod
    def of(cls, network: Network, files: Sequence[Path]) -> Asked:
        """Ask about image files; those that are none get a note, and the others an answer.

        Args:
            network: what is asked.
            files: the images.

        Raises:
            InputError: where there are too many of them, or the answer is no number.
        """
        images, names, notes = pictures(files, network.look.size)
        if network.unused:
            notes.append(f"What the run itself adjusts at test time ({', '.join(network.unused)}) is left out here.")
        if not network.named:
            notes.append(
                "The classes are called by their numbers: neither a test of the run nor its data set, which know the "
                "names, are here. `ltr test` keeps them with the run."
            )
        answer = network.answer(images) if names else None
        return cls(network.name, network.seen(images), names, notes, network.classes, answer)

    def html(self, t_new: float, t_old: float) -> str:
        """Return the notes and the answers at given temperatures.

        Raises:
            InputError: where these are no temperatures.
        """
        above = f"<h3>{escape(self.title)}</h3>" + "".join(sentence(note, kind="note") for note in self.notes)
        if self.answer is None:
            return above
        return above + ranked(self.images, self.names, self.answer.columns(t_new, t_old), self.classes)
