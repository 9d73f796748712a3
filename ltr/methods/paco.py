"""Parametric contrastive learning, with a momentum encoder or without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import SGD

from ltr import distributed, losses
from ltr.contracts import Backbone, Batch, HeadFactory, Output
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.methods.embedding_size import embedding_size
from ltr.methods.key_queue import KeyQueue
from ltr.methods.method import Method
from ltr.methods.momentum_encoder import MomentumEncoder


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
        self.queue = KeyQueue(queue, embedding_size(self.head, "PaCo"))
        self.keys: Tensor | None = None

    def setup(self, stage: str) -> None:
        """Lay out both networks for the device."""
        super().setup(stage)
        if self.momentum_encoder is not None:
            self.lay_out(self.momentum_encoder.backbone)

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
        return self.conclude(values, output, batch.labels)

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
