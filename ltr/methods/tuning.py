"""Retrain the classifier of a trained network on its frozen features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ltr.backbones import OpenCLIP
from ltr.backbones.library import Library
from ltr.contracts import Backbone, HeadFactory, LossFactory, Schedule
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.heads.directions import of_means, of_texts
from ltr.losses import GML
from ltr.methods.cached import Cached
from ltr.methods.features import Extraction
from ltr.run import weights
from ltr.schedules import Cosine

TEMPLATE = "a photo of a {}."


class Tuning(Cached):
    """Freeze a trained backbone and train a new head with any loss; GML tuning by default.

    The features are computed once, and the head is trained on them. The checkpoint has the whole network, and the head
    of the file beside the new one, for `TemperatureEnsemble`.

    Args:
        backbone: a `Pretrained` one, or one of a library, such as `Timm`, frozen.
        counts: training images per class; the command line takes them from the data.
        old_head: the head class of the classifier in the file; a projection beside it need not be named.
        reset: start the new head from random weights, as in dgme-syz/NOLB. If false, it starts from the old one's
            weights and hardly depends on the seed; the old head must then be of the same class, or of one that the new
            head only adds to, such as `LWS`. On a network of a library, such as `Timm`, the head always starts anew.
        initial: start the new head, a `Cosine` or `Linear` one, from the mean training feature of each class (`means`),
            from the name of each class as the `OpenCLIP` backbone reads it (`text`), or from 0 (`zero`, `Linear` only).
        templates: sentences with `{}` in place of the name, whose features are averaged, for `text`; by default
            "a photo of a {}.".
        loss: builds the loss from the counts (C,).
        schedule: the factor of the learning rate per epoch; `Cosine` by default.
        **others: the arguments of `Cached` and `Method`.

    Reference:
        Du and Wu, "No One Left Behind: Improving the Worst Categories in Long-Tailed Learning", CVPR 2023,
        https://arxiv.org/abs/2303.03630; Kang et al., "Decoupling Representation and Classifier for Long-Tailed
        Recognition", ICLR 2020, https://arxiv.org/abs/1910.09217, for the retraining as such.
    """

    old_known: Tensor

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        old_head: HeadFactory = Linear,
        reset: bool = False,
        initial: Literal["means", "text", "zero"] | None = None,
        templates: list[str] | None = None,
        loss: LossFactory = GML,
        schedule: Schedule | None = None,
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, loss=loss, schedule=schedule or Cosine(), **others)
        self.old_head = old_head(backbone.dim, len(counts)).requires_grad_(False)
        self.reset, self.initial, self.templates = reset, initial, templates or [TEMPLATE]
        if initial == "zero" and not isinstance(self.head, Linear):
            raise InputError(f"a {type(self.head).__name__} head cannot start from 0: pass `--model.head Linear`.")
        if bad := [template for template in self.templates if template.count("{}") != 1]:
            raise InputError(f"a template has `{{}}` in place of the name of a class, once; this one is {bad[0]!r}.")
        if reset and self.head.added:
            raise InputError(
                f"{type(self.head).__name__} adds to a trained classifier, which cannot be reset: leave out "
                "`--model.reset true`."
            )
        self.register_buffer("old_known", torch.tensor(False))

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Keep the head of the file, and start the new one from it unless it starts anew.

        A classifier of another number of classes is left behind if the new head starts anew.
        """
        # The weights of a library come without a classifier for these classes.
        anew = self.reset or self.initial is not None or isinstance(self.backbone, Library)
        if classifier:
            try:
                with advice("Pass its head class with `--model.old_head`.", on=weights.ClassifierError):
                    weights.load_head(self.old_head, classifier)
                self.old_known.fill_(True)
            except weights.OtherClassesError as error:
                if not anew:
                    raise InputError(f"{error} Start a new head with `--model.initial zero`.") from error
        if not anew:
            with advice("Start a new head with `--model.reset true`.", on=weights.ClassifierError):
                weights.load_head(self.head, classifier, added=self.head.added)

    def on_fit_start(self) -> None:
        """Start the head of a new training."""
        super().on_fit_start()
        if self.initial is not None and self.trainer.ckpt_path is None:
            self.head.start_from(self.directions())

    def directions(self) -> Tensor:
        """Return (C, D) the direction of each class from which the head starts.

        Raises:
            InputError: if the classes have no names, or the backbone does not read text.
        """
        data, classes = self.data, len(self.counts)
        if self.initial == "zero":
            return torch.zeros(classes, self.backbone.dim, device=self.device)
        if self.initial == "means":
            return of_means(self.extract_features(data, "train"), data.splits["train"].labels, classes)
        if not isinstance(self.backbone, OpenCLIP):
            raise InputError(
                f"{self.backbone.title} does not read text: pass `--model.initial means`, or an OpenCLIP backbone."
            )
        if all(name.isdecimal() for name in data.classes):
            raise InputError("the classes have numbers instead of names: pass `--model.initial means`.")
        names = [name.replace("_", " ") for name in data.classes]
        texts = [template.replace("{}", name) for template in self.templates for name in names]
        features, projection = self.backbone.texts_and_projection(texts)
        return of_texts(features.view(len(self.templates), classes, -1), projection).to(self.device)

    def evaluation_features(self, name: str) -> Tensor | None:
        """Return those that the training has cached; after it, those that were kept on disk for the whole split."""
        if self.fitting or not self.cache or any(adjustment.several_views for adjustment in self.adjustments):
            return super().evaluation_features(name)
        kept = Extraction(self, self.data, name).whole()
        return None if kept is None else kept[None].to(self.device)

    def train(self, mode: bool = True) -> Tuning:
        """Switch the new head to training mode; the old one stays in evaluation mode."""
        super().train(mode)
        self.old_head.eval()
        return self
