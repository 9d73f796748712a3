"""PaCo and GPaCo: parametric contrastive learning with and without a momentum encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
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
from ltr.ranges import BelowOne, Count


class PaCo(Method):
    """Contrast two views of every image with class centres, with each other and with a queue of earlier keys.

    The first view is the query, on which the classifier is trained. The second one is the key. It is embedded by a
    moving average of the network without gradient (PaCo), or by the network itself, in which case both views are
    queries (GPaCo). After a step the keys enter the queue, with which the next steps contrast. The class centres are
    the rows of the classifier. An evaluation runs the network alone and adds no prior.

    In distributed training every process contrasts with the views of all others and holds the same queue, so value,
    gradients and queue equal those of one process for the same embeddings. Batch norm normalises over the images of its
    own process, unless `--trainer.sync_batchnorm true` is passed (on GPUs). Keys are not shuffled between processes
    before they are normalised, as MoCo does; the official CIFAR recipe uses one process, where this changes nothing.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        head: builds a classifier with embeddings, such as `Projection`, from (dim, classes).
        loss: builds the loss from the counts (C,).
        momentum: m of the average that embeds the keys; None for GPaCo.
        queue: K, number of keys in the queue; independent of the batch size.
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
        counts: Sequence[int],
        *,
        head: HeadFactory = Projection,
        loss: Callable[[Tensor], losses.PaCo] = losses.PaCo,
        momentum: BelowOne | None = 0.999,
        queue: Count = 1024,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.05, momentum=0.9, weight_decay=5e-4),
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, head=head, loss=loss, optimizer=optimizer, **others)
        self.momentum = momentum
        self.momentum_encoder = None if momentum is None else MomentumEncoder(self.backbone, self.head)
        self.queue = KeyQueue(queue, self.embedding_size())
        self.keys: Tensor | None = None

    def setup(self, stage: str) -> None:
        """Prepare both networks."""
        super().setup(stage)
        if self.momentum_encoder is not None:
            self.prepare_network(self.momentum_encoder.backbone)

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Load the weights, and copy them to the momentum encoder."""
        super().start(classifier)
        self.follow(0.0)

    def check_views(self, views: int) -> None:
        """Raise `InputError` unless there are two views."""
        if views != 2:
            raise InputError(
                f"PaCo contrasts two views of every image, and `data.augment` makes {views}: use `ltr.data.MultiView` "
                "of two transforms, as paco.yaml does."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch."""
        query, key = batch.images.unbind(1)
        output: Output = self(query)
        assert output.embeddings is not None
        if self.momentum_encoder is not None:
            keys = self.momentum_encoder(key)
            both = torch.stack([output.embeddings[:, 0], keys], 1)
            values = self.loss(output._replace(embeddings=both), batch.labels, self.queue.memory)
        else:
            other: Output = self(key)  # separately, so that batch norm does not mix the views
            assert other.embeddings is not None
            keys = other.embeddings[:, 0].detach()
            pairs = zip(output[:3], other[:3], strict=True)
            both_queries = Output(*(torch.cat(pair) for pair in pairs))  # type: ignore[arg-type]
            values = self.loss(both_queries, batch.labels.repeat(2), self.queue.memory)
        if self.counting:  # once, with the weights of the network, even if the optimizer evaluates the batch again
            self.keys = keys
        return self.reduce(values, output, batch.labels)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Put the keys into the queue after the step, so that both passes of `SAM` contrast with the same queue."""
        assert self.keys is not None
        self.queue.push(distributed.concatenate(self.keys), distributed.concatenate(batch.labels))
        self.keys = None

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, and update the momentum encoder."""
        super().optimizer_step(*args, **kwargs)
        self.follow(self.momentum)

    def follow(self, momentum: float | None) -> None:
        """Move the momentum encoder, if there is one, towards the network."""
        if self.momentum_encoder is not None and momentum is not None:
            self.momentum_encoder.follow(self.backbone, self.head, momentum)


class KeyQueue(nn.Module):
    """The latest keys and their labels, first in, first out. Checkpoints contain it.

    Args:
        size: K, number of keys.
        dim: P, size of a key.
    """

    embeddings: Tensor
    labels: Tensor
    pushed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.zeros(size, dim))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("pushed", torch.tensor(0))

    @property
    def memory(self) -> Memory:
        """The keys, in no particular order; empty entries have the label -1."""
        return Memory(self.embeddings, self.labels)

    @torch.no_grad()
    def push(self, keys: Tensor, labels: Tensor) -> None:
        """Replace the oldest keys.

        Args:
            keys: (N, P), the oldest first; if there are more than K, the last K are kept.
            labels: (N,) class indices.
        """
        size, new = len(self.labels), len(labels)
        kept = min(size, new)
        entries = (self.pushed + torch.arange(new - kept, new, device=labels.device)) % size
        self.embeddings[entries] = keys[new - kept :].to(self.embeddings)
        self.labels[entries] = labels[new - kept :]
        self.pushed += new


class MomentumEncoder(nn.Module):
    """Embed images with a moving average of a network, without gradient.

    Batch norm uses the statistics of the batch, and frozen batch norm the running statistics of the network, which are
    copied.

    Args:
        backbone: the backbone of the network; it is copied.
        head: its head, which makes embeddings; it is copied.

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
        """Move every weight: k <- m k + (1 - m) q. Copy the running statistics.

        Args:
            backbone: the backbone of the network.
            head: its head.
            momentum: m; 0 copies the weights.
        """
        for average, network in ((self.backbone, backbone), (self.head, head)):
            for key, query in zip(average.parameters(), network.parameters(), strict=True):
                key.lerp_(query, 1 - momentum)
            for kept, current in zip(average.buffers(), network.buffers(), strict=True):
                kept.copy_(current)
