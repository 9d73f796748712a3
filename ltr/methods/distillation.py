"""Learn from the labels and from what a trained network makes of the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ltr.contracts import Backbone, Batch, HeadFactory, Output, Target
from ltr.errors import InputError
from ltr.heads import Linear
from ltr.methods.method import Method
from ltr.methods.teacher import Teacher
from ltr.run.training_record import TrainingRecord


class Distillation(Method):
    """Train a network on a loss and on the answers of a frozen teacher to the same augmented images.

    With logits z of the student and t of the teacher, a sample counts as a loss(z, y) + b T^2 KL(softmax(p t / T) ||
    softmax(z / T)). With p = 1 this is Hinton's distillation; with p < 1 it is DiVE, which raises the teacher's
    distribution at temperature T to the power p and normalises it again. Both terms are of every sample, so that means
    are over the samples of all processes. The teacher sees what the student sees: the images after a mix, and of
    several views the first.

    The student's logits are the mean of its experts, where it has several. They are compared with the teacher's once:
    frank-xwang/RIDE-LongTailRecognition does so once per expert, but counts the loss of all experts as often, too, so
    that its whole objective is this one times their number. That is a matter of the learning rate.

    The teacher's file is read when a fresh training starts. From then on the teacher lies in the checkpoint, beside the
    student and not within it: a resumed training needs no file of it, and a student is a run like any other.

    Args:
        backbone: images to features.
        counts: training images per class; the command line takes them from the data.
        teacher: a `Pretrained` backbone, from a run or a public file.
        teacher_head: the kind of the classifier in the teacher's file.
        label_weight: a, weight of the loss.
        teacher_weight: b, weight of the divergence from the teacher.
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
        counts: list[int],
        *,
        teacher: Backbone,
        teacher_head: HeadFactory = Linear,
        label_weight: float = 1.0,
        teacher_weight: float = 1.0,
        temperature: float = 2.0,
        power: float = 1.0,
        **others: Any,
    ) -> None:
        super().__init__(backbone, counts, **others)
        if temperature <= 0:
            raise InputError(f"a temperature is positive, such as 2; it cannot be {temperature:g}.")
        if self.mix is not None and self.mix.hidden:
            raise InputError(
                f"{type(self.mix).__name__} blends within the student, where no teacher can follow: take a mix of "
                "images, such as Mixup."
            )
        self.teacher = Teacher(teacher, teacher_head(teacher.dim, len(counts)))
        self.label_weight, self.teacher_weight = label_weight, teacher_weight
        self.temperature, self.power = temperature, power

    def start(self, classifier: Mapping[str, Tensor]) -> None:
        """Read the teacher's file, too."""
        super().start(classifier)
        self.teacher.load()

    def inherited_record(self) -> TrainingRecord:
        """Return the images that the student's weights were trained on, and those of the teacher."""
        return super().inherited_record() | self.teacher.backbone.training_record

    def on_fit_start(self) -> None:
        """Bring the teacher to where the student is."""
        super().on_fit_start()
        self.teacher.to(self.device, next(self.parameters()).dtype)

    def values(self, output: Output, target: Target, batch: Batch) -> Tensor:
        """Return (B,) the loss and the divergence from the teacher, weighted."""
        images = batch.images if batch.images.dim() == 4 else batch.images[:, 0]
        apart = divergence(output.logits, self.teacher(images), temperature=self.temperature, power=self.power)
        return self.label_weight * super().values(output, target, batch) + self.teacher_weight * apart

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the teacher beside the student."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["teacher"] = self.teacher.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the teacher from the checkpoint, whatever has become of its file."""
        super().on_load_checkpoint(checkpoint)
        if "teacher" not in checkpoint:
            raise InputError("this checkpoint is of no distillation: start from it with `--model.backbone Pretrained`.")
        self.teacher.restore(checkpoint["teacher"])


def divergence(student: Tensor, teacher: Tensor, *, temperature: float, power: float = 1.0) -> Tensor:
    """Return (B,) T^2 KL(softmax(p t / T) || softmax(z / T)) in at least float32.

    Args:
        student: (B, C) logits z.
        teacher: (B, C) logits t, which get no gradient.
        temperature: T.
        power: p.
    """
    precise = torch.promote_types(student.dtype, torch.float32)
    log_p = (student.to(precise) / temperature).log_softmax(1)
    log_q = (power * teacher.detach().to(precise) / temperature).log_softmax(1)
    return temperature**2 * (log_q.exp() * (log_q - log_p)).sum(1)
