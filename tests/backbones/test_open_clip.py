"""The image and text networks of OpenCLIP, against OpenCLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_clip import VISION, add_models
from torch.nn import functional as F

from ltr.backbones import OpenCLIP
from ltr.errors import InputError

open_clip = pytest.importorskip("open_clip")

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", autouse=True)
def configurations(tmp_path_factory: pytest.TempPathFactory) -> None:
    add_models(tmp_path_factory.mktemp("configurations"))


@pytest.fixture(params=VISION)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any, str]:
    model = open_clip.create_model(request.param).eval()
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    return request.param, model, str(tmp_path / "clip.pt")


def test_images_and_texts_are_those_of_open_clip(made: tuple[str, Any, str]) -> None:
    name, model, file = made
    network = OpenCLIP(name, file, projection=True).eval()
    assert network.load() == {}
    texts = ["a photo of a cat.", "a photo of a sea lion."]
    with torch.no_grad():
        torch.testing.assert_close(network(IMAGES), model.encode_image(IMAGES))  # torch fuses frozen attention
        expected = F.normalize(model.encode_text(open_clip.get_tokenizer(name)(texts)), dim=1)
    assert torch.equal(network.texts_and_projection(texts)[0], expected)
    assert network.dim == 16
    assert not any("text" in key or "token_embedding" in key for key in network.state_dict())


def test_the_feature_before_the_projection_is_its_input(made: tuple[str, Any, str]) -> None:
    name, model, file = made
    network = OpenCLIP(name, file).eval()
    network.load()
    with torch.no_grad():
        features = network(IMAGES)
        projected = features @ model.visual.proj if name == "ltr_tiny" else model.visual.head(features)
        torch.testing.assert_close(projected, model.encode_image(IMAGES))
    texts, projection = network.texts_and_projection(["a cat"])
    assert projection is not None
    torch.testing.assert_close(features @ projection, projected)
    assert texts.shape == (1, projection.shape[1])
    assert features.shape == (2, network.dim) == (2, 24 if name == "ltr_tiny" else 64)


def test_activation_and_normalisation_are_those_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    published = open_clip.get_pretrained_cfg("ViT-B-32", "openai")
    monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda _: ["openai", "other"])
    monkeypatch.setattr(
        open_clip, "get_pretrained_cfg", lambda _, tag: published if tag == "openai" else {"mean": [0.5] * 3}
    )
    kinds = {tag: {type(part).__name__ for part in OpenCLIP("ltr_tiny", tag).modules()} for tag in ("openai", "other")}
    assert "QuickGELU" in kinds["openai"] - kinds["other"]
    network, other = OpenCLIP("ltr_tiny", True), OpenCLIP("ltr_tiny", "other")
    assert network.preprocessing is not None
    assert other.preprocessing is not None
    assert (network.preprocessing.size, network.preprocessing.crop) == (32, None)
    assert network.preprocessing.interpolation == "bicubic"
    assert network.preprocessing.mean == pytest.approx(open_clip.OPENAI_DATASET_MEAN)
    assert other.preprocessing.mean == (0.5, 0.5, 0.5)
    assert network.weights_name == "ltr_tiny.openai"
    assert network.source == "https://huggingface.co/timm/vit_base_patch32_clip_224.openai"


def test_what_open_clip_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OpenCLIP has no model ltr_tinny; did you mean ltr_tiny"):
        OpenCLIP("ltr_tinny")
    with pytest.raises(InputError, match="no weights laion2b for ViT-B-32, and there is no such file; did you mean"):
        OpenCLIP("ViT-B-32", "laion2b")
    with pytest.raises(InputError, match="OpenCLIP has no weights for ltr_tiny: pass the path of a file"):
        OpenCLIP("ltr_tiny", True)
    with pytest.raises(InputError, match="random weights, so its text features mean nothing"):
        OpenCLIP("ltr_tiny").texts_and_projection(["a cat"])
    torch.save({"logit_scale": torch.zeros(())}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt does not fit OpenCLIP ltr_tiny"):
        OpenCLIP("ltr_tiny", str(tmp_path / "other.pt")).load()


def test_a_head_is_tuned_from_the_names_of_the_classes(ltr, made: tuple[str, Any, str]) -> None:
    name, model, file = made
    words = (
        "fit --config gml.yaml --data Synthetic --data.imbalance 4 --model.backbone OpenCLIP "
        f"--model.backbone.name {name} --model.backbone.pretrained {file} --model.initial text --model.head Cosine "
        "--model.head.scale 25 --model.optimizer.lr 0 --trainer.max_epochs 1 --trainer.accelerator cpu "
        "--trainer.precision 32-true --trainer.enable_progress_bar false --name clip"
    )
    assert ltr(words) == 0
    Path(file).unlink()
    assert ltr("test --ckpt_path clip") == 0
    weight = torch.load("checkpoints/clip/last.ckpt")["state_dict"]["head.weight"]
    tokens = open_clip.get_tokenizer(name)([f"a photo of a class {label}." for label in range(5)])
    with torch.no_grad():
        texts = F.normalize(model.encode_text(tokens), dim=1)
        projection = model.visual.proj if name == "ltr_tiny" else model.visual.head.proj.weight.T
    torch.testing.assert_close(weight, F.normalize(texts @ projection.T, dim=1))
