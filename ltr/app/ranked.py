"""What networks say of images, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn.functional import interpolate

from ltr.html.markup import escape, photograph

TOP = 10
THUMBNAIL = 96  # pixels


def ranked(images: Tensor, names: Sequence[str], columns: Mapping[str, Tensor], classes: Sequence[str]) -> str:
    """Return a block for every image: what the network saw, and the most probable classes of every head.

    Args:
        images: (B, 3, H, W) uint8, what the network saw.
        names: of the images.
        columns: probabilities (B, C) by the name of a head.
        classes: names of the classes.
    """
    small = interpolate(images.float(), size=THUMBNAIL, mode="area").byte() if images.shape[-1] > THUMBNAIL else images
    blocks = []
    for at, name in enumerate(names):
        image = f'<div class="image">{photograph(small[at].permute(1, 2, 0), name)}<p>{escape(name)}</p></div>'
        heads = "".join(_column(title, of[at], classes) for title, of in columns.items())
        blocks.append(f'<article class="asked">{image}<div class="heads">{heads}</div></article>')
    return "\n".join(blocks)


def _column(title: str, probabilities: Tensor, classes: Sequence[str]) -> str:
    """Return the most probable classes of probabilities (C,), the first on top."""
    values, places = probabilities.topk(min(TOP, len(classes)))
    rows = "".join(
        f'<tr style="--share: {value:.2%}"><th scope="row">{escape(classes[place])}</th><td>{percent(value)}</td></tr>'
        for value, place in zip(values.tolist(), places.tolist(), strict=True)
    )
    return f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"


def percent(share: float) -> str:
    """Return a probability for people."""
    return f"{share:.1%}" if share >= 0.0005 else "&lt; 0.1%"
