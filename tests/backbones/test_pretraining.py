"""What published weights were trained on, and which classes of a task it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ltr.backbones import Torchvision
from ltr.backbones.pretraining import UNKNOWN, note, overlap, sets, shared
from ltr.studies.table import external_data

CLASSES = ["apple", "aquarium_fish", "lawn_mower", "clock", "sea", "pickup truck", "man"]
TINY = (
    "fit --config gml.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 --model.backbone Torchvision "
    "--model.backbone.name resnet10 --trainer.max_epochs 1 --trainer.accelerator cpu --trainer.precision 32-true "
    "--trainer.enable_progress_bar false"
)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("tf_efficientnet_lite0.in1k of timm", ["ImageNet-1k"]),
        ("vit_base_patch16_224.augreg2_in21k_ft_in1k of timm", ["ImageNet-1k", "ImageNet-21k"]),
        ("convnext_tiny.fb_in22k of timm", ["ImageNet-21k"]),
        ("resnet50.IMAGENET1K_V2 of torchvision", ["ImageNet-1k"]),
        ("regnet_y_128gf.IMAGENET1K_SWAG_E2E_V1 of torchvision", ["ImageNet-1k"]),
        ("ViT-B-16.laion2b_s34b_b88k of open_clip", [UNKNOWN]),
        ("thin1k.pth (Timm test_vit)", [UNKNOWN]),
    ],
)
def test_the_name_of_weights_says_what_they_were_trained_on(weights: str, said: list[str]) -> None:
    assert sets(weights) == tuple(said)


def test_a_classifier_in_a_file_says_it_by_its_size() -> None:
    assert sets("weights.pth", 1000) == ("ImageNet-1k",)
    assert sets("weights.pth", 21843) == ("ImageNet-21k",)
    assert sets("weights.pth", 100) == sets("weights.pth") == (UNKNOWN,)
    assert sets("vit.augreg_in21k", 1000) == ("ImageNet-21k",), "the name comes first"


def test_classes_are_shared_by_name_or_by_a_kind_of_them() -> None:
    assert shared("ImageNet-1k", CLASSES) == ["apple", "lawn_mower", "clock"]  # a custard apple, an analog clock
    assert shared(UNKNOWN, CLASSES) is None
    assert overlap(["ImageNet-1k", UNKNOWN], CLASSES) == {"ImageNet-1k": 3, UNKNOWN: None}


def test_imagenet_21k_has_more_of_them() -> None:
    pytest.importorskip("timm")
    found = shared("ImageNet-21k", CLASSES)
    assert found is not None
    assert found == [name for name in CLASSES if name not in ("aquarium_fish", "sea")]


def test_the_note_names_what_is_shared() -> None:
    assert note({UNKNOWN: None, "ImageNet-1k": 0}, 100) == ""
    assert note({"ImageNet-1k": 57, UNKNOWN: None}, 100) == (
        "the weights were trained on ImageNet-1k, in which 57 of the 100 classes, or kinds of them, occur: do not "
        "compare the results with those of networks trained from scratch."
    )


def test_a_training_notes_what_is_shared(ltr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltr.backbones.pretraining.class_names", lambda _: frozenset({"class 0", "class 4"}))
    torch.save(Torchvision("resnet10").state_dict(), tmp_path / "weights.pth")
    with pytest.warns(UserWarning, match="in which 2 of the 5 classes, or kinds of them, occur"):
        assert ltr(TINY, "--model.backbone.pretrained weights.pth --name noted") == 0
    content = torch.load("checkpoints/noted/last.ckpt")
    assert content["provenance"]["pretrained_on"] == {UNKNOWN: 2}
    assert external_data({"data": {}}, content["provenance"]) == f"{UNKNOWN} (2 of the classes), 0 synthetic images"


@pytest.mark.slow
def test_runs_and_what_starts_from_them_say_it(ltr, tmp_path: Path) -> None:
    network = Torchvision("resnet10").state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(network, tmp_path / "weights.pth")
    assert ltr(TINY, "--model.backbone.pretrained weights.pth --name first") == 0
    assert ltr("fit --config gml.yaml --model.backbone.checkpoint first --trainer.max_epochs 1 --name second") == 0
    for name in ("first", "second"):
        assert torch.load(f"checkpoints/{name}/last.ckpt")["training_record"]["sets"] == ["ImageNet-1k"]
        assert ltr(f"test --ckpt_path {name}") == 0
        written = json.loads(Path(f"checkpoints/{name}/test/metrics.json").read_text())
        assert written["provenance"]["pretrained_on"] == {"ImageNet-1k": 0}
