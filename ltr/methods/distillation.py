"""Distillation: training on the labels and on the predictions of a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ltr.contracts import Backbone, Batch, Head, HeadFactory, Loss, Output, Target
from ltr.errors import InputError, advice
from ltr.heads import Linear
from ltr.methods.method import Method
from ltr.ranges import NonNegative, Positive
from ltr.run import weights
from ltr.run.training_record import TrainingRecord


class Distillation(Method):
    """Train a network on a loss and on the predictions of a frozen teacher for the same augmented images.

    With logits z of the student and t of the teacher, the value of a sample is a loss(z, y) + b T^2 KL(softmax(p t / T)
    || softmax(z / T)). With p = 1 this is Hinton's distillation. With p < 1 it is DiVE, which raises the teacher's
    distribution at temperature T to the power p and normalises it again. The teacher gets the images of the student:
    after a mix, and the first of several views. So it must have been trained on images of the same size and
    normalisation.

    The logits of a student with experts are their mean, and the divergence is counted once. In
    frank-xwang/RIDE-LongTailRecognition both the divergence and the loss are counted once per expert, so its objective
    is this one times the number of experts, which amounts to a larger learning rate.

    The teacher's file is read when a new training starts. From then on the checkpoint has the teacher, separate from
    the student: a resumed training does not need the file, and the student is a run like any other.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        teacher: a `Pretrained` backbone, from a run or a public file.
        teacher_head: the head class of the classifier in the teacher's file.
        label_weight: a, weight of the loss.
        teacher_weight: b, weight of the divergence.
        temperature: T.
        power: p.
        **others: the arguments of `Method`.

    Reference:
        Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531; He, Wu
        and Wei, "Distilling Virtual Examples for Long-tailed Recognition", ICCV 2021, https://arxiv.org/abs/2103.15042,
        as in `DiVEKLD` of zhangyongshun/BagofTricks-LT.
    """

    def __init__(
        self,
        backbone: Backbone,
        counts: Sequence[int],
        *,
        teacher: Backbone,
        teacher_head: HeadFactory = Linear,
        label_weight: NonNegative = 1.0,
        teacher_weight: NonNegative = 1.0,
        temperature: Positive = 2.0,
        power: Positive = 1.0,
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, **others)
        if self.mix is not None and self.mix.hidden:
            raise InputError(
                f"{type(self.mix).__name__} blends features of the student, which the teacher does not have: use a mix "
                "of images, such as Mixup."
            )
        self.teacher = Teacher(teacher, teacher_head(teacher.dim, len(counts)))
        self.label_weight, self.teacher_weight = label_weight, teacher_weight
        self.temperature, self.power = temperature, power

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Read the file of the teacher.

        Raises:
            InputError: if the teacher was trained on images that were preprocessed in another way.
        """
        super().start(classifier)
        self.teacher.load()
        theirs, ours = self.teacher.backbone.preprocessing_in_training, self.preprocessing
        if theirs and ours and replace(theirs, interpolation=ours.interpolation).input != ours.input:
            raise InputError(
                f"the teacher was trained on images of {theirs.input}, and gets those of the student, of {ours.input}: "
                "train both with the same options of the data, or pass another `--model.teacher.checkpoint`."
            )

    def inherited_record(self) -> TrainingRecord:
        """Return the training images of the student's weights and of the teacher."""
        return super().inherited_record() | self.teacher.backbone.training_record

    def on_fit_start(self) -> None:
        """Move the teacher to the device of the student."""
        super().on_fit_start()
        self.teacher.to(self.device, next(self.parameters()).dtype)

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) the loss and the divergence from the teacher, weighted."""
        images = batch.images if batch.images.dim() == 4 else batch.images[:, 0]
        distance = divergence(output.logits, self.teacher(images), temperature=self.temperature, power=self.power)
        return self.label_weight * super().values(output, target, batch) + self.teacher_weight * distance

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the teacher, separate from the student."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["teacher"] = self.teacher.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the teacher from the checkpoint."""
        super().on_load_checkpoint(checkpoint)
        if "teacher" not in checkpoint:
            raise InputError("the checkpoint has no teacher: start from it with `--model.backbone Pretrained`.")
        self.teacher.restore(checkpoint["teacher"])


def divergence(student: Tensor, teacher: Tensor, *, temperature: float, power: float = 1.0) -> Tensor:
    """Return (B,) T^2 KL(softmax(p t / T) || softmax(z / T)) in at least float32.

    Args:
        student: (B, C) logits z.
        teacher: (B, C) logits t, which get no gradient.
        temperature: T.
        power: p.
    """
    log_p = (Loss.precise(student) / temperature).log_softmax(1)
    log_q = (power * Loss.precise(teacher.detach()) / temperature).log_softmax(1)
    return temperature**2 * (log_q.exp() * (log_q - log_p)).sum(1)


class Teacher:
    """A trained backbone and its classifier, frozen.

    It is not a module, so its parameters are not among those of the student: no optimizer, average or other process
    changes them.

    Args:
        backbone: a `Pretrained` one.
        head: of the class of the classifier in the file.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        self.backbone, self.head = backbone, head
        backbone.adapt(head.classes)
        for part in (backbone, head):
            part.requires_grad_(False).eval()

    def load(self) -> None:
        """Read the file.

        Raises:
            InputError: if it does not fit, or has another number of classes or another kind of classifier.
        """
        classifier = self.backbone.load()
        with (
            advice("This is the file of the teacher."),
            advice("Pass the head class of its classifier with `--model.teacher_head`.", on=weights.ClassifierError),
        ):
            weights.load_head(self.head, classifier)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device and a precision; the backbone is stored channels last."""
        self.backbone.to(device, dtype).to(memory_format=torch.channels_last)
        self.head.to(device, dtype)

    def state(self) -> dict[str, Any]:
        """Return the tensors, for a checkpoint."""
        return {"backbone": self.backbone.state_dict(), "head": self.head.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load the tensors of a checkpoint."""
        self.backbone.load_state_dict(state["backbone"])
        self.head.load_state_dict(state["head"])

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Return features (B, D) for images (B, 3, H, W)."""
        features: Tensor = self.backbone(images)
        return features

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, C) for images (B, 3, H, W)."""
        logits: Tensor = self.head(self.features(images)).logits
        return logits
