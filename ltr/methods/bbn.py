"""BBN: a network with two branches, one for each of two class distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ltr.backbones import Bilateral
from ltr.contracts import Backbone, Batch, MixFactory, Target
from ltr.errors import InputError
from ltr.methods.method import Method


class BBN(Method):
    """Shift from the original class distribution to the reversed one: the bilateral-branch network.

    A batch has pairs of images, as the sampler `Bilateral` draws them: image 2i follows the original class distribution
    and image 2i + 1 the reversed one. They pass the shared blocks separately, then one branch each. The head maps the
    concatenated features 2 (a f_u, (1 - a) f_r), and the loss is a l(y_u) + (1 - a) l(y_r), where a = 1 - (e / E)^2 in
    epoch e (from 0) of E. In an evaluation both branches get the same image and a is 1/2.

    The running measures have one prediction per pair. It is counted against the label of the larger share: the original
    one in the first 70 % of training, the reversed one afterwards.

    Args:
        backbone: the plain network; `Bilateral` doubles its last block.
        counts: training images per class; the command line takes them from the data.
        mix: must be None, because a pair is blended already.
        **others: the arguments of `Method`.

    Reference:
        Zhou et al., "BBN: Bilateral-Branch Network with Cumulative Learning for Long-Tailed Visual Recognition", CVPR
        2020, https://arxiv.org/abs/1912.02413; official code megvii-research/BBN, lib/core/combiner.py.
    """

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        mix: MixFactory | None = None,
        **others: Any,
    ) -> None:
        if mix is not None:
            raise InputError("BBN blends the features of a pair already: leave out the mix.")
        super().__init__(Bilateral(backbone), counts, **others)
        if not self.loss.mixable:
            raise InputError(f"{type(self.loss).__name__} has no meaning for a pair with two labels: use another loss.")
        self.share = 1.0

    @classmethod
    def network_config(cls, options: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the doubled backbone, and the head."""
        backbone, head = super().network_config(options)
        return {"class_path": "ltr.backbones.Bilateral", "init_args": {"backbone": backbone}}, head

    def on_fit_start(self) -> None:
        """Refuse batches that do not consist of pairs."""
        data = getattr(self.trainer, "datamodule", None)
        if data is not None:
            if data.sampler.streams != 2:
                raise InputError("BBN needs pairs of images: pass `--data.sampler Bilateral`.")
            if data.batch_size % 2:
                raise InputError(f"BBN needs pairs of images: pass an even `--data.batch_size`, not {data.batch_size}.")
        super().on_fit_start()

    def check_views(self, views: int) -> None:
        """Raise `InputError` if there are several views of an image."""
        if views > 1:
            raise InputError("BBN pairs single images: use an augmentation without MultiView.")

    def on_train_epoch_start(self) -> None:
        """Set the share a of the original distribution."""
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
