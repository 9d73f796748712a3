"""What of a backbone is trained: biases, normalisation layers, parts by name, adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import SGD

from ltr.backbones import AdaptFormer, LoRA, Pretrained, ResNet20, Timm
from ltr.contracts import Backbone
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.heads import Cosine
from ltr.losses import GML, LDAM
from ltr.methods import Method, Tuning
from ltr.methods.feature_store import FOLDER
from ltr.samplers import ClassAware
from ltr.schedules import Cosine as CosineSchedule

Make = Callable[..., Trainer]
# Lightning wonders at modules in evaluation mode; that frozen parts stay in it is the point.
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")


def optimizer(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.1, momentum=0.9)


def changed(method: Method, data: Synthetic, trainer: Trainer) -> set[str]:
    """Train; return the names of the tensors of the backbone that are others afterwards, and of the head."""
    before = {name: value.clone() for name, value in method.state_dict().items()}
    trainer.fit(method, datamodule=data)
    after = method.state_dict()
    return {name for name, value in before.items() if not torch.equal(after[name], value)} - {"counts", "synthetic"}


def expected(backbone: Backbone, fits: Callable[[str], bool]) -> set[str]:
    head = {"head.fc.weight", "head.fc.bias"}
    return {f"backbone.{name}" for name in backbone.state_dict() if fits(f"backbone.{name}")} | head


def is_norm(name: str) -> bool:
    return ".bn" in name or ".downsample.1" in name


CASES: dict[str, tuple[list[str], Callable[[str], bool]]] = {
    "bias": (["bias"], lambda name: name.endswith("bias")),
    "norm": (["norm"], is_norm),
    "both": (["bias", "norm"], is_norm),
    "a part": (["backbone.layer3"], lambda name: name.startswith("backbone.layer3.")),
    "a part and biases": (
        ["backbone.layer3", "bias"],
        lambda name: name.startswith("backbone.layer3.") or name.endswith("bias"),
    ),
    "all": (["backbone"], bool),
    "none": ([], lambda name: not name),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_what_is_named_changes_with_its_statistics(
    case: tuple[list[str], Callable[[str], bool]], trainer: Make
) -> None:
    words, fits = case
    data = Synthetic(val_per_class=2)
    method = Method(ResNet20(width=2), data.counts, train=words, schedule=CosineSchedule(), optimizer=optimizer)
    # A validation comes in between, after which Lightning restores the modes.
    assert changed(method, data, trainer(2, check_val_every_n_epoch=1)) == expected(method.backbone, fits)


def test_a_part_of_a_trained_network_is_trained(run_file: Path, trainer: Make) -> None:
    data = Synthetic()
    backbone = Pretrained(str(run_file), ResNet20(width=2))
    method = Tuning(backbone, data.counts, cache=False, train=["backbone.backbone.layer3.2"], optimizer=optimizer)
    file = torch.load(run_file)["state_dict"]
    trainer(1).fit(method, datamodule=data)
    for name, value in file.items():
        if name.startswith("backbone."):
            now = method.state_dict()[name.replace("backbone.", "backbone.backbone.")]
            assert torch.equal(now, value) != name.startswith("backbone.layer3.2."), name


def test_features_that_change_are_not_cached(run_file: Path, trainer: Make) -> None:
    method = Tuning(Pretrained(str(run_file), ResNet20(width=2)), Synthetic().counts, train=["bias"])
    with pytest.raises(InputError, match=r"features that change cannot be cached: pass `--model\.cache false`"):
        trainer(1).fit(method, datamodule=Synthetic())


def test_what_is_nothing_of_a_backbone_is_refused(run_file: Path) -> None:
    for word in ("layer3", "backbone.lay", "head", "biases"):
        with pytest.raises(InputError, match=rf"`--model\.train` names {word}, .* such as backbone\.conv1\."):
            Method(ResNet20(width=2), [5, 3], train=[word])
    frozen = Pretrained(str(run_file), ResNet20(width=2), "all")
    with pytest.raises(InputError, match=r"`--model\.backbone\.freeze all` trains nothing: leave it out, or"):
        Method(frozen, [5, 3], train=["bias"])


@pytest.fixture
def vit(tmp_path: Path) -> str:
    """Return a file with the weights of a small ViT."""
    network = Timm("test_vit", size=16)
    torch.save(network.network.state_dict(), tmp_path / "vit.pt")
    return str(tmp_path / "vit.pt")


ADAPTED: list[dict[str, Any]] = [
    {"kind": AdaptFormer, "method": Method, "loss": GML},
    {"kind": LoRA, "method": Method, "head": Cosine, "loss": LDAM},
    {"kind": AdaptFormer, "method": Tuning, "cache": False, "initial": "means", "head": Cosine},
    {"kind": LoRA, "method": Tuning, "cache": False, "train": ["norm"]},
]


@pytest.mark.parametrize("options", ADAPTED, ids=lambda options: f"{options['kind'].__name__} {len(options)}")
def test_adapters_are_trained_with_any_loss_and_sampler(vit: str, trainer: Make, options: dict[str, Any]) -> None:
    options = dict(options)
    kind, method = options.pop("kind"), options.pop("method")
    data = Synthetic(sampler=ClassAware)
    backbone = Timm("test_vit", vit, adapter=kind, size=16)
    model = method(backbone, data.counts, schedule=CosineSchedule(), optimizer=optimizer, **options)
    trainer(0).fit(model, datamodule=data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer(1).fit(model, datamodule=data)
    state = backbone.state_dict()
    after = {name for name, value in state.items() if not torch.equal(value, before[f"backbone.{name}"])}
    norms = {name for name in state if "norm" in name and not name.startswith("adapters.")}
    assert after == set(backbone.adapter_weights) | (norms if "train" in options else set())


def test_features_with_adapters_are_not_those_of_the_store(
    vit: str, trainer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "features"))
    data = Synthetic()
    features: dict[bool, Tensor] = {}
    for adapted in (False, True):
        backbone = Timm("test_vit", vit, adapter=AdaptFormer if adapted else None, size=16)
        model = Tuning(backbone, data.counts, cache=False, reset=True)
        run = trainer(0)
        run.fit(model, datamodule=data)
        for weight in backbone.adapters.parameters() if adapted else ():
            torch.nn.init.normal_(weight)
        model.trainer = run
        data.setup()
        features[adapted] = model.extract_features(data, "train")
        assert len([*(tmp_path / "features").glob("*/*")]) == 1  # of the plain network only
    assert not torch.allclose(features[False], features[True])
