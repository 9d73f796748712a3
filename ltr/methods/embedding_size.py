"""How long the embeddings of a head are."""

from __future__ import annotations

import torch

from ltr.contracts import Head
from ltr.errors import InputError


@torch.no_grad()
def embedding_size(head: Head, user: str) -> int:
    """Ask a head for the size P of its embeddings.

    Args:
        head: the head.
        user: what contrasts them, for the error.

    Raises:
        InputError: where the head makes none.
    """
    embeddings = head.eval()(torch.zeros(1, head.dim)).embeddings
    head.train()
    if embeddings is None:
        raise InputError(
            f"{user} contrasts embeddings, and a {type(head).__name__} head has none: say `--model.head Projection`."
        )
    return int(embeddings.shape[-1])
