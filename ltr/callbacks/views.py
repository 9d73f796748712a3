"""Several views of each test image."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ltr.contracts import Output
from ltr.data import LongTailed
from ltr.errors import InputError
from ltr.methods.base import Adjustment, BaseMethod
from ltr.preprocessing import Preprocessing
from ltr.ranges import WholeNumber

SHARE = 3 / 28  # of the side of a view: 24 pixels at 224, one and a half patches of a ViT-B/16


class Views(Adjustment):
    """Show several views of each image to the network and average the logits, and the features, over them.

    Adjustments before it in the list act on every view, those after it on the averages. A test takes as many times as
    long as there are views, and a batch needs as much more memory.

    Args:
        crops: `five` resizes each image and takes its four corners and its centre; `centre` takes what the network sees
            otherwise.
        margin: by how many pixels the resized image is larger than a view; None for 3/28 of the view.
        flip: add the mirror image of each view.

    Reference:
        Shi et al., "Long-Tail Learning with Foundation Model: Heavy Fine-Tuning Hurts", ICML 2024,
        https://arxiv.org/abs/2309.10019, its test-time ensembling; official code shijxcs/LIFT, trainer.py. There the
        longer side of an image is kept; here images are square.
    """

    several_views: ClassVar[bool] = True

    def __init__(
        self, crops: Literal["five", "centre"] = "five", *, margin: WholeNumber | None = None, flip: bool = False
    ) -> None:
        if crops == "centre" and not flip:
            raise InputError("the centre alone is what the network sees anyway: pass `flip: true` or `crops: five`.")
        if crops == "five" and margin == 0:
            raise InputError("five crops without a margin are the same: pass a margin of at least 1, or leave it out.")
        self.crops, self.margin, self.flip = crops, margin, flip

    @property
    def number(self) -> int:
        """The number V of views."""
        return (5 if self.crops == "five" else 1) * (2 if self.flip else 1)

    @property
    def settings(self) -> dict[str, Any]:
        """What a result reports about the adjustment."""
        return {"crops": self.crops, "margin": self.margin, "flip": self.flip}

    def prepare(self, method: BaseMethod, data: LongTailed) -> None:
        """Refuse a second one."""
        if any(other.several_views for other in self.before(method)):
            raise InputError("the views of views have no meaning: list `Views` once.")

    def views(self, look: Preprocessing, images: Tensor) -> Tensor:
        """Return the views (B * V, 3, side, side) of images (B, 3, H, W)."""
        if self.crops == "centre":
            made = [look.to_side(look.cropped(images))]
        else:
            margin = max(round(SHARE * look.side), 1) if self.margin is None else self.margin
            whole = look.scaled(images, look.side + margin)
            made = [whole[..., y : y + look.side, x : x + look.side] for x, y in corners(margin)]
        if self.flip:
            made += [view.flip(-1) for view in made]
        return torch.stack(made, 1).flatten(0, 1)

    def adjust(self, method: BaseMethod, output: Output) -> Output:
        """Return the output of each image, the mean over its views."""

        def mean(rows: Tensor) -> Tensor:  # (..., B * V, K)
            return rows.reshape(*rows.shape[:-2], -1, self.number, rows.shape[-1]).mean(-2)

        return output._replace(
            logits=mean(output.logits.float()),
            features=mean(output.features),
            embeddings=None,
            experts=None if output.experts is None else mean(output.experts),
        )


def corners(margin: int) -> list[tuple[int, int]]:
    """Return left and top of five crops: top left, top right, bottom left, bottom right and centre.

    Args:
        margin: by how many pixels the image is larger than a crop.
    """
    middle = round(margin / 2)  # of an odd margin as torchvision rounds, half to even
    return [(0, 0), (margin, 0), (0, margin), (margin, margin), (middle, middle)]
