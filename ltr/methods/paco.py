"""Parametric contrastive learning, with a momentum encoder or without one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import SGD

from ltr import distributed, losses
from ltr.contracts import Backbone, Batch, Head, HeadFactory, Output
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.losses.paco import Memory
from ltr.methods.method import Method


class PaCo(Method):
    """Contrast two views of every image with class centres, with each other and with a queue of earlier keys.

    The first view is the query, which the classifier learns from. The second one is the key. It is embedded by a
    network that follows the trained one and gets no gradient (PaCo), or by the trained network itself, in which case
    both views are queries (GPaCo). After a step the keys go into the queue, which the next steps contrast with. The
    class centres are the rows of the classifier. An evaluation runs the trained network alone and adds no prior: its
    logits are those of a balanced classifier.

    In a distributed run every process contrasts with the views of all others and holds the same queue, so that value,
    gradients and queue are those of one process for the same embeddings. Batch norm sees the images of its own process
    only, unless `--trainer.sync_batchnorm true` (on GPUs). Keys are not shuffled between the processes before they are
    normalised: within one process, which the official CIFAR recipe is for, that changes nothing, and between several
    all images would have to travel.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        head: builds the classifier, one that makes embeddings, from (dim, classes).
        loss: builds the loss from the counts (C,).
        momentum: m of the network that embeds the keys; None for GPaCo.
        queue: K, how many keys are kept; any number, whatever the batch size.
        optimizer: builds the optimizer from the trainable parameters.
        **others: the arguments of `Method`.

    Reference:
        Cui et al., "Parametric Contrastive Learning", ICCV 2021, https://arxiv.org/abs/2107.12028, and "Generalized
        Parametric Contrastive Learning", TPAMI 2023, https://arxiv.org/abs/2209.12400; official code
        dvlab-research/Parametric-Contrastive-Learning, LT/moco/builder.py and GPaCo/LT/moco/builder.py.
    """

    loss: losses.PaCo

    def __init__(
        self,
        backbone: Backbone,
        counts: list[int],
        *,
        head: HeadFactory = Projection,
        loss: Callable[[Tensor], losses.PaCo] = losses.PaCo,
        momentum: float | None = 0.999,
        queue: int = 1024,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.05, momentum=0.9, weight_decay=5e-4),
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, head=head, loss=loss, optimizer=optimizer, **others)
        if momentum is not None and not 0 <= momentum < 1:
            raise InputError(f"the keys follow with a momentum in [0, 1), or with null for GPaCo, not {momentum:g}.")
        self.momentum = momentum
        self.momentum_encoder = None if momentum is None else MomentumEncoder(self.backbone, self.head)
        self.queue = KeyQueue(queue, self.embedding_size())
        self.keys: Tensor | None = None

    def setup(self, stage: str) -> None:
        """Lay out both networks for the device."""
        super().setup(stage)
        if self.momentum_encoder is not None:
            self.prepare_network(self.momentum_encoder.backbone)

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Let the keys start where the queries do."""
        super().start(classifier)
        self.follow(0.0)

    def check_views(self, views: int) -> None:
        """Raise `InputError` where there are no two views."""
        if views != 2:
            raise InputError(
                f"PaCo contrasts two views of every image, and `data.augment` makes {views}: give it "
                "`ltr.data.MultiView` of two transforms, as paco.yaml does."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch."""
        query, key = batch.images.unbind(1)
        output: Output = self(query)
        assert output.embeddings is not None
        if self.momentum_encoder is not None:
            self.keys = self.momentum_encoder(key)
            both = torch.stack([output.embeddings[:, 0], self.keys], 1)
            values = self.loss(output._replace(embeddings=both), batch.labels, self.queue.memory)
        else:
            other: Output = self(key)  # apart, so that batch norm does not mix the views
            assert other.embeddings is not None
            self.keys = other.embeddings[:, 0].detach()
            pairs = zip(output[:3], other[:3], strict=True)
            both_queries = Output(*(torch.cat(pair) for pair in pairs))  # type: ignore[arg-type]
            values = self.loss(both_queries, batch.labels.repeat(2), self.queue.memory)
        return self.reduce(values, output, batch.labels)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Queue the keys once nothing looks at the batch any more: the second look of `SAM` contrasts as the first."""
        assert self.keys is not None
        self.queue.push(distributed.concatenate(self.keys), distributed.concatenate(batch.labels))
        self.keys = None

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, and let the key encoder follow."""
        super().optimizer_step(*args, **kwargs)
        self.follow(self.momentum)

    def follow(self, momentum: float | None) -> None:
        """Move the key encoder towards the network, where there is one."""
        if self.momentum_encoder is not None and momentum is not None:
            self.momentum_encoder.follow(self.backbone, self.head, momentum)


class KeyQueue(nn.Module):
    """Keep the latest keys and their labels, first in, first out; all of it is in checkpoints.

    Batches of any size go in. Places that were never filled have the label -1.

    Args:
        size: K, how many keys are kept.
        dim: P, size of a key.
    """

    embeddings: Tensor
    labels: Tensor
    pushed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1:
            raise InputError(f"a queue of {size} keys keeps none: give it at least one place.")
        self.register_buffer("embeddings", torch.zeros(size, dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("pushed", torch.tensor(0))

    @property
    def memory(self) -> Memory:
        """The keys as they lie, in no order of time."""
        return Memory(self.embeddings, self.labels)

    @torch.no_grad()
    def push(self, keys: Tensor, labels: Tensor) -> None:
        """Replace the oldest keys.

        Args:
            keys: (N, P), the oldest first; of more than the queue holds, the last ones stay.
            labels: (N,) class indices.
        """
        size, new = len(self.labels), len(labels)
        kept = min(size, new)
        places = (self.pushed + torch.arange(new - kept, new, device=labels.device)) % size
        self.embeddings[places] = keys[new - kept :].to(self.embeddings)
        self.labels[places] = labels[new - kept :]
        self.pushed += new


class MomentumEncoder(nn.Module):
    """Embed images with a moving average of a network, without gradient.

    Batch norm normalises with the statistics of the batch, as in the network that is followed; the running statistics
    are not averaged, since nothing uses them.

    Args:
        backbone: the backbone to follow; it is copied.
        head: the head to follow, which makes embeddings; it is copied.

    Reference:
        He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
        https://arxiv.org/abs/1911.05722; official code facebookresearch/moco, moco/builder.py.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = copy.deepcopy(backbone), copy.deepcopy(head)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to embeddings (B, P)."""
        embeddings: Tensor = self.head(self.backbone(images)).embeddings
        return embeddings[:, 0]

    @torch.no_grad()
    def follow(self, backbone: Backbone, head: Head, momentum: float) -> None:
        """Move every weight: k <- m k + (1 - m) q.

        Args:
            backbone: what is followed.
            head: likewise.
            momentum: m; 0 takes the weights over as they are.
        """
        pairs = ((self.backbone, backbone), (self.head, head))
        for mine, other in pairs:
            for key, query in zip(mine.parameters(), other.parameters(), strict=True):
                key.lerp_(query, 1 - momentum)
