"""Mixture likelihood: contrast every image with the keys of each class, which a trained network makes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from ltr import distributed
from ltr.contracts import Backbone, Batch, HeadFactory, Loss, LossFactory, Output, Target
from ltr.counts import log_prior
from ltr.errors import InputError
from ltr.heads import Cosine, Projection
from ltr.losses import BalancedSoftmax
from ltr.methods.distillation import Distillation
from ltr.ranges import Count, NonNegative, Positive


class MixtureLikelihood(Distillation):
    """Distil a teacher, and maximise the likelihood of every class under a mixture of kernels around its keys.

    The first of three views of an image trains the classifier, on the loss and on the predictions of the teacher. The
    second is the query q, an embedding of the network. The third one is seen by the teacher alone, whose features enter
    a queue in which every class has its own places. A trainable embedding turns the queue into keys k, and

        S_c = log mean over the keys k of class c of exp(q k / T),   value = -log softmax(S + log pi)_y.

    The value counts twice. Once T is fixed and all keys count, which trains the embeddings. Once the similarities are
    fixed and the keys of the image itself are left out, which trains T. The paper calls the loss GML, for Gaussian
    mixture likelihood; in `ltr`, GML is the geometric-mean loss.

    In distributed training every process stores the features of all of them, so the queues are equal. Batch norm
    normalises over the images of its own process.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        teacher: a `Pretrained` backbone, from a run or a public file.
        head: builds a classifier with embeddings, such as `Projection`, from (dim, classes).
        loss: builds the loss of the first view from the counts (C,).
        contrast_weight: weight of the contrast (beta of the official code).
        contrast_temperature: T at the start. It is learned on a log scale without weight decay.
        queue: K, number of places in the queue.
        least: places that every class has besides its share of the rest.
        teacher_head: the head class of the classifier in the teacher's file.
        temperature: of the divergence, whose weight is `teacher_weight` (alpha of the official code).
        optimizer: builds the optimizer from the trainable parameters.
        **others: the arguments of `Distillation` and `Method`.

    Reference:
        Suh and Seo, "Long-Tailed Recognition by Mutual Information Maximization between Latent Features and
        Ground-Truth Labels", ICML 2023, https://arxiv.org/abs/2305.01160; official code
        bluecdm/Long-tailed-recognition, losses.py and moco/builder.py. There, the batch norm of the projection sees
        the queries alone, and a class whose keys are all of the image itself gives NaN.
    """

    prior: Tensor
    undecayed = ("log_temperature",)

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        teacher: Backbone,
        head: HeadFactory = lambda dim, classes: Projection(dim, classes, classifier=Cosine, size=32, norm=True),
        loss: LossFactory = BalancedSoftmax,
        contrast_weight: NonNegative = 1.0,
        contrast_temperature: Positive = 0.1,
        queue: Count = 4096,
        least: Count = 2,
        teacher_head: HeadFactory = Cosine,
        temperature: Positive = 4.0,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        **others: Any,
    ) -> None:
        super().__init__(
            backbone,
            counts,
            teacher=teacher,
            head=head,
            loss=loss,
            teacher_head=teacher_head,
            temperature=temperature,
            optimizer=optimizer,
            **others,
        )
        dim = self.teacher.backbone.dim
        self.contrast_weight = contrast_weight
        self.log_temperature = nn.Parameter(torch.tensor(contrast_temperature).log())
        self.queue = ClassQueue(self.counts, size=queue, least=least, dim=dim)
        self.key_embedding = nn.Sequential(
            nn.Linear(dim, dim), nn.BatchNorm1d(dim), nn.ReLU(), nn.Linear(dim, self.embedding_size())
        )
        self.register_buffer("prior", log_prior(self.counts), persistent=False)

    def check_views(self, views: int) -> None:
        """Raise `InputError` unless there are three views."""
        super().check_views(views)
        if views != 3:
            raise InputError(
                "MixtureLikelihood needs three views of an image, for the classifier, the query and the teacher, and "
                f"`data.augment` makes {views}: use `ltr.data.MultiView`, as mixture_likelihood.yaml does."
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the batch. The last view is for the teacher alone."""
        output = self.answer(batch._replace(images=batch.images[:, :-1]))
        return self.reduce(self.values(output, Target(batch.labels), batch), output, batch.labels)

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) the loss, the divergence and the contrast, weighted. The keys of the batch enter the queue."""
        assert output.embeddings is not None
        if self.counting:  # once, even if the optimizer evaluates the batch again
            self.queue.push(
                distributed.concatenate(self.teacher.features(batch.images[:, -1])),
                distributed.concatenate(batch.labels),
                distributed.concatenate(batch.indices),
            )
        contrast = self.contrast(output.embeddings[:, 1], batch.labels, batch.indices)
        return super().values(output, target, batch) + self.contrast_weight * contrast

    def contrast(self, queries: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """Return (B,) the contrast with the queue, for the embeddings and for the temperature.

        Args:
            queries: (B, P) of length 1.
            labels: (B,) class indices.
            images: (B,) positions of the images in the training split.
        """
        keys = F.normalize(self.key_embedding(self.queue.features), dim=1)
        with torch.autocast(keys.device.type, enabled=False):
            similarities = Loss.precise(queries) @ Loss.precise(keys).T
        temperature = self.log_temperature.exp()
        known = (self.queue.labels, labels, self.prior)
        own = images[:, None] == self.queue.images
        of_embeddings = negative_log_posterior(similarities / temperature.detach(), *known)
        of_temperature = negative_log_posterior(similarities.detach() / temperature, *known, left_out=own)
        return of_embeddings + of_temperature


class ClassQueue(nn.Module):
    """The latest features of every class. Checkpoints contain it.

    Each class has a ring of places: a few, and a share of the rest in proportion to its training images. A new feature
    takes the next place of its class. A place that was never taken has a random vector of length 1.

    Args:
        counts: (C,) training images per class.
        size: K, number of places.
        least: places that every class has besides its share of the rest.
        dim: size D of a feature.

    Attributes:
        labels: (K,) the class of each place.
        features: (K, D).
        images: (K,) position of the image in the training split; negative for a place that was never taken.

    Reference:
        Suh and Seo, ICML 2023; official code bluecdm/Long-tailed-recognition, moco/builder.py.
    """

    labels: Tensor
    features: Tensor
    images: Tensor
    first: Tensor
    places: Tensor
    next: Tensor

    def __init__(self, counts: Tensor, *, size: int, least: int, dim: int) -> None:
        super().__init__()
        rest = size - least * len(counts)
        if rest < 0:
            raise InputError(
                f"{least} places for each of {len(counts)} classes are more than the {size} of the queue: pass a "
                "larger `--model.queue`."
            )
        shares = (counts.float() / counts.float().sum()).cumsum(0)  # in float32, as in the official code
        ends = (least * torch.arange(1, len(counts) + 1) + rest * shares).ceil().long().clamp(max=size)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        self.register_buffer("first", starts, persistent=False)
        self.register_buffer("places", ends - starts, persistent=False)
        self.register_buffer("labels", torch.arange(len(counts)).repeat_interleave(ends - starts), persistent=False)
        self.register_buffer("features", F.normalize(torch.randn(len(self.labels), dim), dim=1))
        self.register_buffer("images", torch.arange(-len(self.labels), 0))
        self.register_buffer("next", torch.zeros_like(starts))

    @torch.no_grad()
    def push(self, features: Tensor, labels: Tensor, images: Tensor) -> None:
        """Store the features of a batch; of more than a class has places for, the first ones.

        Args:
            features: (N, D).
            labels: (N,) class indices.
            images: (N,) positions of the images in the training split.
        """
        earlier = (labels[:, None] == labels).tril(-1).sum(1)
        kept = earlier < self.places[labels]
        features, labels, images, earlier = (part[kept] for part in (features, labels, images, earlier))
        taken = self.first[labels] + (self.next[labels] + earlier) % self.places[labels]
        self.features[taken] = features.to(self.features)
        self.images[taken] = images
        self.next.add_(torch.bincount(labels, minlength=len(self.next))).remainder_(self.places)


def negative_log_posterior(
    similarities: Tensor, keys: Tensor, labels: Tensor, prior: Tensor, *, left_out: Tensor | None = None
) -> Tensor:
    """Return (B,) the cross-entropy of the class scores plus the log-prior.

    A sample is worth 0 if no key of its own class remains, because the score of that class is then unknown.

    Args:
        similarities: (B, K) of samples and keys, divided by the temperature.
        keys: (K,) class indices of the keys.
        labels: (B,) class indices of the samples.
        prior: (C,) log pi.
        left_out: (B, K) whether a key does not count for a sample; all count if None.
    """
    scores = class_scores(similarities, keys, len(prior), left_out=left_out)
    known = scores.gather(1, labels[:, None])[:, 0] > -math.inf
    values = F.cross_entropy(torch.where(known[:, None], scores, 0) + prior, labels, reduction="none")
    return torch.where(known, values, 0)


def class_scores(similarities: Tensor, keys: Tensor, classes: int, *, left_out: Tensor | None = None) -> Tensor:
    """Return (B, C) S_c = log mean over the keys k of class c of exp(s_k); -inf for a class without keys.

    Args:
        similarities: (B, K) s of samples and keys.
        keys: (K,) class indices of the keys.
        classes: C.
        left_out: (B, K) whether a key does not count for a sample; all count if None.
    """
    counted = torch.ones_like(similarities, dtype=torch.bool) if left_out is None else ~left_out
    columns, empty = keys.expand_as(similarities), similarities.new_zeros(len(similarities), classes)
    numbers = empty.scatter_add(1, columns, counted.to(empty.dtype))
    known = numbers > 0
    # The greatest of each class is taken out, so that a class far from a sample does not underflow.
    shown = similarities.detach().masked_fill(~counted, -math.inf)
    greatest = torch.where(known, empty.scatter_reduce(1, columns, shown, "amax", include_self=False), 0)
    kernels = torch.where(counted, similarities - greatest.gather(1, columns), -math.inf).exp()
    sums = torch.where(known, empty.scatter_add(1, columns, kernels), 1)
    return torch.where(known, sums.log() + greatest - numbers.clamp(min=1).log(), -math.inf)
