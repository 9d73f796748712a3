"""ProCo: probabilistic contrastive learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from ltr import distributed
from ltr.contracts import Backbone, Batch, HeadFactory, LossFactory, Output, Target
from ltr.counts import log_prior, per_class
from ltr.errors import InputError
from ltr.heads import Projection
from ltr.losses import BalancedSoftmax
from ltr.losses.von_mises_fisher import log_expectation
from ltr.methods.method import Method
from ltr.ranges import NonNegative, Positive

START = 0.9


class ProCo(Method):
    """Train the classifier on the first view of an image, and contrast the others with a distribution per class.

    The embeddings z of class c are modelled by a von Mises-Fisher distribution, estimated from their mean. For an
    embedding f of another view, m_c = log E_c exp(f z / T) has a closed form, and the contrastive loss is the
    cross-entropy of m_c + log pi_c: a supervised contrastive loss with infinitely many samples of every class. It is
    averaged over the views after the first, and depends on other samples only through the estimates.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        head: builds a classifier with embeddings, such as `Projection`, from (dim, classes).
        loss: builds the loss of the first view from the counts (C,); balanced softmax is logit adjustment with tau 1.
        weight: weight of the contrastive loss (alpha of the official code).
        temperature: T.
        optimizer: builds the optimizer from the trainable parameters.
        **others: the arguments of `Method`.

    Reference:
        Du, Wang, Song and Huang, "Probabilistic Contrastive Learning for Long-Tailed Visual Recognition", TPAMI 2024,
        https://arxiv.org/abs/2403.06726; official code LeapLabTHU/ProCo, ProCo_cifar/main.py and
        ProCo_cifar/loss/proco.py. The official code updates the estimates view by view; here all views enter first.
    """

    prior: Tensor

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        head: HeadFactory = Projection,
        loss: LossFactory = BalancedSoftmax,
        weight: NonNegative = 1.0,
        temperature: Positive = 0.1,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.3, momentum=0.9, weight_decay=2e-4),
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, head=head, loss=loss, optimizer=optimizer, **others)
        self.weight, self.temperature = weight, temperature
        self.directions = ClassDirections(len(counts), self.embedding_size())
        self.register_buffer("prior", log_prior(self.counts), persistent=False)

    def check_views(self, views: int) -> None:
        """Raise `InputError` if there is only one view, or if the views would be blended."""
        super().check_views(views)
        if views < 2:
            raise InputError("ProCo contrasts the views after the first: augment with `ltr.data.MultiView`.")

    def on_train_epoch_start(self) -> None:
        """Start new estimates."""
        super().on_train_epoch_start()
        self.directions.begin_epoch()

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) the loss of the first view and the contrastive loss of the others."""
        assert output.embeddings is not None
        views = F.normalize(output.embeddings[:, 1:].double(), dim=-1)
        if self.counting:  # once, even if the optimizer evaluates the batch again
            self.directions.add(views, target.labels)
        values = super().values(output, target, batch)
        return values + self.weight * self.contrast(views, target.labels).to(values.dtype)

    def contrast(self, views: Tensor, labels: Tensor) -> Tensor:
        """Return (B,) the mean over the views (B, V, P) of -log softmax(m + log pi)_y."""
        logits = (
            log_expectation(views.flatten(0, 1), self.directions.means(), temperature=self.temperature) + self.prior
        )
        values = F.cross_entropy(logits, labels.repeat_interleave(views.shape[1]), reduction="none")
        return values.view(len(labels), -1).mean(1)


class ClassDirections(nn.Module):
    """The mean embedding of every class over the previous epoch and the current one so far.

    It keeps sums and numbers over all processes, so the order of the samples does not matter. Until a class occurs, its
    mean is a random vector of length 0.9. Checkpoints contain it.

    Args:
        classes: C.
        size: size P of an embedding.

    Reference:
        `EstimatorCV` of LeapLabTHU/ProCo, ProCo_cifar/loss/proco.py, of which its `ProCoLoss` alternates two.
    """

    start: Tensor
    sums: Tensor
    seen: Tensor

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("start", START * F.normalize(torch.randn(classes, size)))
        self.register_buffer("sums", torch.zeros(2, classes, size))
        self.register_buffer("seen", torch.zeros(2, classes))

    def begin_epoch(self) -> None:
        """Make the current epoch the previous one."""
        for kept in (self.sums, self.seen):
            kept[0].copy_(kept[1])
            kept[1].zero_()

    @torch.no_grad()
    def add(self, embeddings: Tensor, labels: Tensor) -> None:
        """Add embeddings (B, V, P) of samples with labels (B,), of all processes."""
        classes, views = len(self.start), embeddings.shape[1]
        summed = self.sums.new_zeros(self.sums.shape[1:]).index_add(0, labels, embeddings.sum(1).to(self.sums.dtype))
        self.sums[1] += distributed.total(summed)
        self.seen[1] += distributed.total(views * per_class(labels, classes))

    def means(self) -> Tensor:
        """Return (C, P) the mean of each class."""
        seen = self.seen.sum(0)[:, None]
        return torch.where(seen > 0, self.sums.sum(0) / seen.clamp(min=1), self.start)
