"""A backbone whose weights come from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm
from torch.nn import functional as F

from ltr.backbones.bilateral import Bilateral
from ltr.backbones.resnet_cifar import ResNet20, ResNet32, ResNet44, ResNet56
from ltr.contracts import ADAPTERS, Backbone, Freeze
from ltr.errors import InputError, advice
from ltr.preprocessing import Preprocessing
from ltr.run import base_weights, weights
from ltr.run.checkpoint_fields import check_fields
from ltr.run.training_record import TrainingRecord

PREFIXES = ("module.", "_orig_mod.", "encoder_q.", "encoder.", "model.", "net.", "network.", "backbone.")
BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm)
CLASSIFIERS = ("fc.", "linear.", "classifier.")


class Pretrained(Backbone):
    """A backbone from a checkpoint, frozen or as a start.

    The file may be a run of `ltr` (its folder, name or `last.ckpt`), a bare state_dict, a safetensors file, or a
    checkpoint of public code: weights under keys such as `state_dict`, `model` or `net`, also with a separate
    classifier; names with prefixes of data-parallel, compiled or wrapped networks; a classifier named `fc`, `linear` or
    `classifier`, also the normalised one of LDAM. The file is read when a new training starts, and not again: the
    checkpoint of the training has the whole network.

    Args:
        checkpoint: path of the file, or the name of a run.
        backbone: the architecture. By default `ltr fit` and `ltr.build` take that of the run, with the class of its
            head; for other files it is a ResNet-32.
        freeze: `features` trains the head only, `all` trains nothing (the file is used unchanged), `none` trains
            everything, starting from the file. A frozen backbone stays in evaluation mode, so its running statistics do
            not change.
        shift_bn: let the batch norm of a backbone with frozen features normalise by the batch and update its running
            statistics while the head is trained, with fixed affine weights. The old head of a `Tuning` then gets the
            new features too.

    Reference:
        shift_bn: Zhong et al., "Improving Calibration for Long-Tailed Recognition", CVPR 2021,
        https://arxiv.org/abs/2104.00466; official code dvlab-research/MiSLAS, train_stage2.py.
    """

    def __init__(
        self,
        checkpoint: str,
        backbone: Backbone | None = None,
        freeze: Freeze = "features",
        *,
        shift_bn: bool = False,
    ) -> None:
        super().__init__()
        if shift_bn and freeze != "features":
            raise InputError(
                "shift_bn updates the statistics of a backbone with frozen weights while a head is trained: pass "
                "`--model.backbone.freeze features`, or leave it out."
            )
        self.checkpoint, self.shift_bn = checkpoint, shift_bn
        self.backbone = backbone or ResNet32()
        self.dim, self.experts = self.backbone.dim, self.backbone.experts
        self.preprocessing = self.backbone.preprocessing
        self.set_freeze(freeze)

    def set_freeze(self, freeze: Freeze) -> None:
        """Freeze the weights of the network in it, with its adapters, or let them be trained."""
        if freeze == "none":
            self.backbone.set_freeze(freeze)
        super().set_freeze(freeze)

    def adapt(self, classes: int) -> None:
        """Insert the adapters of the network in it."""
        super().adapt(classes)
        self.set_freeze(self.freeze)

    @property
    def pretraining(self) -> str:
        """The file."""
        return self.checkpoint

    @property
    def title(self) -> str:
        """That of the network in it."""
        return self.backbone.title

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, except for frozen parts."""
        super().train(mode)
        if self.shift_bn:
            for module in self.modules():
                if isinstance(module, BATCH_NORMS):
                    module.train(mode)
        return self

    @property
    def inner(self) -> Backbone:
        """That of the network in it."""
        return self.backbone.inner

    @property
    def software(self) -> str:
        """That of the network in it."""
        return self.backbone.software

    def check_stages(self, what: str, least: int = 1) -> None:
        """Raise `InputError` if the network in it has too few named stages for a method."""
        self.backbone.check_stages(what, least)

    def maps(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to the feature maps of the backbone."""
        return self.backbone.maps(images)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to features (B, dim)."""
        features: Tensor = self.backbone(images)
        return features

    def load(self) -> dict[str, Tensor]:
        """Read the file; return the weights of its classifier, empty if it has none.

        Raises:
            InputError: if the file is unreadable or of another architecture, naming what does not fit.
        """
        content = weights.read(self.checkpoint)
        if base_weights.KEY in content:
            check_fields(content, self.checkpoint)
            with advice("Where they are, `ltr export --to checkpoint` writes it whole."):
                base_weights.restore(content, self.backbone, self.checkpoint)
        state = weights.tensors(content, self.checkpoint)
        body, classifier = split(state)
        wanted = self.backbone.state_dict()
        ours = {_bare(key): key for key in wanted}  # a part of it may be named as a prefix
        body = {ours.get(key, key): value for key, value in body.items()}
        if not any(key.startswith(ADAPTERS) for key in body):  # those of the network start anew
            wanted = {key: value for key, value in wanted.items() if not key.startswith(ADAPTERS)}
        weights.check_finite(body, self.checkpoint)
        problems = weights.misfits(body, wanted)
        if problems:
            kind = self.backbone.title
            raise InputError(f"{self.checkpoint} does not fit a {kind} ({'; '.join(problems)}){_architecture(body)}")
        self.backbone.load_state_dict(body, strict=False)
        self.training_record = TrainingRecord.read(content)
        self.classes = list(content.get("classes") or [])
        self.preprocessing_in_training = Preprocessing.read(content) or self.preprocessing
        return self.normalised(classifier)

    def normalised(self, classifier: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a classifier; one of the `NormedLinear` of LDAM as a linear layer with rows of length 1.

        Its weights (D, C) are the only ones that are transposed and have no bias.
        """
        weight = classifier.get("fc.weight")
        if weight is None or "fc.bias" in classifier or weight.shape[0] != self.dim or weight.shape[1] == self.dim:
            return classifier
        rank_zero_warn(
            f"the classifier of {self.checkpoint} is a normalised linear layer: a Cosine head is the same, and a "
            "Linear head makes the same predictions with other probabilities."
        )
        return classifier | {"fc.weight": F.normalize(weight.T)}


def split(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split a state_dict into the tensors of the backbone and those of the classifier, with the names of `ltr`.

    Args:
        state: tensors by the names of the file.

    Returns:
        The backbone's tensors without prefix, and the classifier's as a `Head` names them.
    """
    ours = any(key.startswith("backbone.") for key in state) and any(key.startswith("head.") for key in state)
    if ours:
        body = {key: value for key, value in state.items() if key.startswith("backbone.")}
        classifier = {key.removeprefix("head."): value for key, value in state.items() if key.startswith("head.")}
        return {_bare(key): value for key, value in body.items()}, classifier
    if any("encoder_q." in key for key in state):  # beside it are a momentum encoder and its queue
        state = {key: value for key, value in state.items() if "encoder_q." in key}
    bare = {_bare(key): value for key, value in state.items() if key != "n_averaged"}  # of torch's AveragedModel
    body = {key: value for key, value in bare.items() if not key.startswith(CLASSIFIERS)}
    classifier = {f"fc.{key.split('.', 1)[1]}": value for key, value in bare.items() if key not in body}
    return body, classifier


def _bare(key: str) -> str:
    """Remove all known prefixes."""
    while key.startswith(PREFIXES):
        key = key.split(".", 1)[1]
    return key


def _architecture(body: Mapping[str, Tensor]) -> str:
    """Return the end of an error sentence: the architecture that would fit, if one is known."""
    for candidate in (ResNet20, ResNet32, ResNet44, ResNet56):
        if not weights.misfits(body, candidate().state_dict()):
            return f": pass `--model.backbone.backbone {candidate.__name__}`."
        if not weights.misfits(body, Bilateral(candidate()).state_dict()):
            inner = f" --model.backbone.backbone.backbone {candidate.__name__}"
            return f": pass `--model.backbone.backbone Bilateral{inner * (candidate is not ResNet32)}`."
    return ": pass its architecture with `--model.backbone.backbone`."
