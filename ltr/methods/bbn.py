"""Two streams of images through two branches of one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ltr.backbones import Bilateral
from ltr.contracts import Backbone, Batch, MixFactory, Target
from ltr.errors import InputError
from ltr.methods.method import Method


class BBN(Method):
    """Learn from the original set first, and more and more from the reversed set: the bilateral-branch network.

    A batch holds two streams in turns, as the sampler `Bilateral` draws them: image 2i is of the original set and
    image 2i + 1 of the reversed one. They pass the shared part of the network apart from each other, then a branch
    each. The head sees both features side by side, 2 (a f_u, (1 - a) f_r), and the loss is a l(y_u) + (1 - a) l(y_r),
    where a = 1 - (e / E)^2 in epoch e (from 0) of E. In an evaluation both branches see the same image and a is 1/2.

    The running measures have one answer per pair, counted against the label of the larger share: that of the set as it
    is for the first 70 % of the run, that of the reversed set afterwards.

    Args:
        backbone: the plain network; `Bilateral` doubles its last block.
        counts: training images per class; the command line takes them from the data.
        mix: must be None: a pair is a blend already.
        **others: the arguments of `Method`.

    Reference:
        Zhou et al., "BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition", CVPR
        2020, https://arxiv.org/abs/1912.02413; official code megvii-research/BBN, lib/core/combiner.py.
    """

    def __init__(
        self,
        backbone: Backbone,
        counts: list[int],
        *,
        mix: MixFactory | None = None,
        **others: Any,
    ) -> None:
        if mix is not None:
            raise InputError("BBN blends the features of a pair already: drop the mix.")
        super().__init__(Bilateral(backbone), counts, **others)
        if not self.loss.mixable:
            raise InputError(f"{type(self.loss).__name__} has no meaning for a pair with two labels: take another.")
        self.share = 1.0

    @classmethod
    def network_config(cls, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the doubled backbone, and the head."""
        backbone, head = super().network_config(options)
        return {"class_path": "ltr.backbones.Bilateral", "init_args": {"backbone": backbone}}, head

    def on_fit_start(self) -> None:
        """Refuse batches that are not made of pairs."""
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            if data.sampler.streams != 2:
                raise InputError("BBN needs two streams of images in turns: pass `--data.sampler Bilateral`.")
            if data.batch_size % 2:
                raise InputError(
                    f"a batch of {data.batch_size} images cuts a pair in two: take an even `--data.batch_size`."
                )
        super().on_fit_start()

    def check_views(self, views: int) -> None:
        """Raise `InputError` where there are several views of an image."""
        if views > 1:
            raise InputError("BBN pairs single images: take an augmentation without MultiView.")

    def on_train_epoch_start(self) -> None:
        """Move on from the original set towards the reversed one."""
        super().on_train_epoch_start()
        self.share = 1 - (self.current_epoch / self.epochs) ** 2

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean loss of the pairs."""
        uniform: Tensor = self.backbone(batch.images[0::2], ["cb_block"])
        reverse: Tensor = self.backbone(batch.images[1::2], ["rb_block"])
        output = self.head(2 * torch.cat([self.share * uniform, (1 - self.share) * reverse], 1))
        labels = batch.labels[0::2]
        target = Target(labels, batch.labels[1::2], torch.full(labels.shape, self.share, device=labels.device))
        return self.reduce(self.values(output, target, batch), output, target.main)
