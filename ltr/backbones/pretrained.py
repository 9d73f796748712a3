"""A backbone whose weights come from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor
from torch.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm

from ltr.backbones.bilateral import Bilateral
from ltr.backbones.resnet_cifar import ResNet20, ResNet32, ResNet44, ResNet56
from ltr.contracts import Backbone
from ltr.errors import InputError
from ltr.run import weights
from ltr.run.training_record import TrainingRecord

PREFIXES = ("module.", "encoder_q.", "model.", "backbone.")
BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm)
CLASSIFIERS = ("fc", "linear", "classifier")


class Pretrained(Backbone):
    """A backbone from a checkpoint, frozen or as a start.

    The file may be a run of ours (its folder, name or `last.ckpt`), a bare state_dict, a `{"state_dict": ...}` file or
    a safetensors file. Prefixes (`module.`, `encoder_q.`, `model.`, `backbone.`) and the names of the classifier
    (`fc`, `linear`, `classifier`) are recognised. It is read when a fresh training starts and never again: the
    training's own checkpoint is whole.

    Args:
        checkpoint: path of the file, or the name of a run.
        backbone: the architecture. If none is named, `ltr fit` and `ltr.build` take that of the run, together with the
            kind of its classifier; else it is a ResNet-32.
        freeze: `features` trains the head only, `all` neither backbone nor head (the file is used unchanged), `none`
            takes the file as a start and trains everything. A frozen backbone stays in evaluation mode, so that its
            running statistics do not move.
        shift_bn: whether the batch norm of a backbone with frozen features normalises by the batch and goes on
            estimating its running statistics while the head is trained, its affine weights fixed: statistics of the
            images that the sampler of the second stage shows. What a `Tuning` then keeps as the old head sees the new
            features, too.

    Reference:
        shift_bn: Zhong et al., "Improving Calibration for Long-Tailed Recognition", CVPR 2021,
        https://arxiv.org/abs/2104.00466; official code dvlab-research/MiSLAS, train_stage2.py.
    """

    def __init__(
        self,
        checkpoint: str,
        backbone: Backbone | None = None,
        freeze: Literal["features", "all", "none"] = "features",
        *,
        shift_bn: bool = False,
    ) -> None:
        super().__init__()
        if shift_bn and freeze != "features":
            raise InputError(
                "shift_bn moves the statistics of a backbone whose weights are frozen while a head is trained: say "
                "`--model.backbone.freeze features`, or leave it out."
            )
        self.checkpoint, self.freeze, self.shift_bn = checkpoint, freeze, shift_bn
        self.backbone = backbone or ResNet32()
        self.dim, self.experts = self.backbone.dim, self.backbone.experts
        if self.frozen:
            self.requires_grad_(False).train()  # at once: a training starts in the modes that Lightning finds

    @property
    def frozen(self) -> bool:
        """Whether the weights stay as they are."""
        return self.freeze != "none"

    def train(self, mode: bool = True) -> Pretrained:
        """Switch to training mode, except where frozen."""
        super().train(mode and not self.frozen)
        if self.shift_bn:
            for module in self.modules():
                if isinstance(module, BATCH_NORMS):
                    module.train(mode)
        return self

    def maps(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to the feature maps of the backbone."""
        return self.backbone.maps(images)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to features (B, dim)."""
        features: Tensor = self.backbone(images)
        return features

    def load(self) -> dict[str, Tensor]:
        """Read the file; return the weights of the classifier in it, empty where it has none.

        Raises:
            InputError: where the file is unreadable or of another architecture, naming what does not fit.
        """
        content = weights.read(self.checkpoint)
        state = weights.tensors(content, self.checkpoint)
        body, classifier = split(state)
        problems = weights.misfits(body, self.backbone.state_dict())
        if problems:
            kind = type(self.backbone).__name__
            raise InputError(f"{self.checkpoint} does not fit a {kind} ({'; '.join(problems)}){_architecture(body)}")
        self.backbone.load_state_dict(body, strict=False)
        self.training_record = TrainingRecord.read(content)
        self.classes = list(content.get("classes") or [])
        return classifier


def split(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part a state_dict into the tensors of the backbone and those of the classifier, under the names of `ltr`.

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
    if any("encoder_q." in key for key in state):  # a momentum encoder and its queue lie beside the query encoder
        state = {key: value for key, value in state.items() if "encoder_q." in key}
    bare = {_bare(key): value for key, value in state.items()}
    body = {key: value for key, value in bare.items() if key.split(".")[0] not in CLASSIFIERS}
    classifier = {f"fc.{key.split('.', 1)[1]}": value for key, value in bare.items() if key not in body}
    return body, classifier


def _bare(key: str) -> str:
    """Strip the known prefixes, as often as they come."""
    while key.startswith(PREFIXES):
        key = key.split(".", 1)[1]
    return key


def _architecture(body: Mapping[str, Tensor]) -> str:
    """Return the end of an error sentence: the architecture that would fit, where one is known."""
    for candidate in (ResNet20, ResNet32, ResNet44, ResNet56):
        if not weights.misfits(body, candidate().state_dict()):
            return f": pass `--model.backbone.backbone {candidate.__name__}`."
        if not weights.misfits(body, Bilateral(candidate()).state_dict()):
            inner = f" --model.backbone.backbone.backbone {candidate.__name__}"
            return f": pass `--model.backbone.backbone Bilateral{inner * (candidate is not ResNet32)}`."
    return ": name its architecture with `--model.backbone.backbone`."
