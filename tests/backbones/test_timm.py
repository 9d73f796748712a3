"""The networks of timm, against timm."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image
from safetensors.torch import save_file

from ltr.backbones import Pretrained, Timm
from ltr.data import FolderLT
from ltr.data.images import decode
from ltr.errors import InputError
from ltr.methods import RSG, Method
from ltr.mixes import ManifoldMixup
from ltr.predictor import Predictor
from ltr.preprocessing import Preprocessing
from ltr.schedules import Cosine

timm = pytest.importorskip("timm")

NAMES = ["test_vit", "test_convnext", "test_efficientnet", "mobilenetv3_small_050"]
TUNED = (
    "fit --config gml.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 --model.backbone Timm "
    "--model.backbone.name test_vit --model.backbone.size 16 --trainer.max_epochs 2 --trainer.accelerator cpu "
    "--trainer.precision 32-true --trainer.enable_progress_bar false"
)


def pixels(side: int) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def saved(path: Path, name: str = "test_vit", classes: int = 5, **options: Any) -> Any:
    network = timm.create_model(name, num_classes=classes, **options).eval()
    state = network.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return network


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_timm(name: str, tmp_path: Path) -> None:
    known = saved(tmp_path / "model.safetensors", name)
    network = Timm(name, str(tmp_path / "model.safetensors")).eval()
    network.load()
    images = pixels(64 if "vit" not in name else 160)
    with torch.no_grad():
        features = network(images)
        assert torch.equal(known.get_classifier()(features), known(images))
    assert features.shape == (2, network.dim)


def test_weights_without_a_classifier_and_of_another_size_are_read(tmp_path: Path) -> None:
    known = saved(tmp_path / "weights.pth", classes=0)
    network = Timm("test_vit", str(tmp_path / "weights.pth"), "none", size=32)
    network.load()
    known.set_input_size(img_size=32)
    with torch.no_grad():
        assert torch.equal(network.eval()(pixels(32)), known(pixels(32)))
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert network.preprocessing is not None
    assert (network.preprocessing.size, network.preprocessing.crop) == (33, 32)


def test_pretrained_reads_a_file_of_timm(tmp_path: Path) -> None:
    known = saved(tmp_path / "weights.pth", classes=0)
    network = Pretrained(str(tmp_path / "weights.pth"), Timm("test_vit"))
    network.load()
    with torch.no_grad():
        assert torch.equal(network.eval()(pixels(160)), known(pixels(160)))
    assert network.preprocessing == Timm("test_vit").preprocessing


def ported(names: list[str]) -> dict[str, str]:
    """Return the names of an EfficientNet of timm in the PyTorch port of 2019, which counts the blocks through."""
    blocks = list(dict.fromkeys(name.rsplit(".")[1] + "." + name.split(".")[2] for name in names if "blocks" in name))
    found = {}
    for name in names:
        first, *rest = name.split(".")
        if first != "blocks":
            top = {
                "conv_stem": "_conv_stem",
                "bn1": "_bn0",
                "conv_head": "_conv_head",
                "bn2": "_bn1",
                "classifier": "_fc",
            }
            found[name] = ".".join([top[first], *rest])
            continue
        number = blocks.index(f"{rest[0]}.{rest[1]}")
        layer, value = ".".join(rest[2:-1]), rest[-1]
        inner = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
        if number == 0:  # the only block that makes no more channels first
            inner |= {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
        else:
            inner |= {
                "conv_pw": "_expand_conv",
                "bn1": "_bn0",
                "bn2": "_bn1",
                "conv_pwl": "_project_conv",
                "bn3": "_bn2",
            }
        found[name] = f"_blocks.{number}.{inner[layer]}.{value}"
    return found


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "efficientnet_b0"])
def test_an_efficientnet_with_the_names_of_another_port_is_read(name: str, tmp_path: Path) -> None:
    known = timm.create_model(name, num_classes=7).eval()
    state, names = known.state_dict(), ported([*known.state_dict()])
    assert names["blocks.1.0.conv_pw.weight"] == "_blocks.1._expand_conv.weight"
    assert names["blocks.6.0.bn3.bias"] == "_blocks.15._bn2.bias"
    torch.save({names[key]: value for key, value in state.items()}, tmp_path / "ported.pth")
    network = Timm(name, str(tmp_path / "ported.pth")).eval()
    network.load()
    with torch.no_grad():
        features = network(pixels(64))
        assert torch.equal(known.get_classifier()(features), known(pixels(64)))
    state["blocks.1.0.conv_pw.weight"] = state["blocks.1.0.conv_pw.weight"][:5]
    torch.save({names[key]: value for key, value in state.items()}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=rf"other\.pth does not fit Timm {name}"):
        Timm(name, str(tmp_path / "other.pth")).load()


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "weights.pth", "test_vit2")
    with pytest.raises(InputError, match=r"weights\.pth does not fit Timm test_vit"):
        Timm("test_vit", str(tmp_path / "weights.pth")).load()
    with pytest.raises(InputError, match=r"there is no file gone\.pth with the weights of Timm test_vit"):
        Timm("test_vit", "gone.pth").load()


def test_without_a_network_the_sentence_says_which_file_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    cache = SimpleNamespace(repos=[])
    monkeypatch.setattr(Timm, "read", offline)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: SimpleNamespace(head=offline))
    monkeypatch.setattr("huggingface_hub.scan_cache_dir", lambda: cache)
    fetch = "download https://huggingface.co/timm/test_vit.r160_in1k/"
    with pytest.raises(InputError, match=rf"https://\S+ does not answer\): {fetch}"):
        Timm("test_vit", True).load()
    cache.repos.append(SimpleNamespace(repo_id="timm/test_vit.r160_in1k"))
    with pytest.raises(InputError, match=rf"no route to host\): {fetch}"):
        Timm("test_vit", True).load()
    assert Timm("test_vit", "hf-hub:user/name@main").repository == "user/name"


def test_what_timm_does_not_have_is_named() -> None:
    with pytest.raises(InputError, match="no network vit_tiny_patch16_225; did you mean vit_tiny_patch16_224"):
        Timm("vit_tiny_patch16_225")
    with pytest.raises(InputError, match=r"did you mean test_vit\.r160_in1k"):
        Timm("test_vit.r160_in2k")
    with pytest.raises(InputError, match="give the name of its architecture, and with `pretrained` the weights"):
        Timm("hf-hub:timm/test_vit.r160_in1k")
    with pytest.raises(InputError, match="`checkpoint_path` is no option to hand on"):
        Timm("test_vit", options={"checkpoint_path": "x.pth"})
    with pytest.raises(InputError, match="timm cannot build test_vit with these options"):
        Timm("test_vit", options={"depths": 3})


def test_it_says_what_it_was_pretrained_on() -> None:
    assert Timm("test_vit").pretraining == ""
    assert Timm("test_vit", True).pretraining == "test_vit.r160_in1k of timm"
    assert Timm("test_vit", "some/weights.pth").pretraining == "weights.pth (Timm test_vit)"
    assert Timm("test_vit", "folder/without_an_ending").pretraining == "without_an_ending (Timm test_vit)"
    assert Timm("test_vit", "hf-hub:timm/test_vit.r160_in1k").pretraining == "hf-hub:timm/test_vit.r160_in1k of timm"


def test_methods_between_stages_refuse_it() -> None:
    with pytest.raises(InputError, match="RSG works between the stages of a network, which Timm test_vit does not"):
        RSG(Timm("test_vit"), [3, 2])
    with pytest.raises(InputError, match="manifold mixup within a network works between the stages"):
        ManifoldMixup([3, 2], stage="layer1").attach(Timm("test_vit"))


def test_images_are_resized_to_its_input() -> None:
    wanted = Timm("test_vit", size=16).preprocessing
    assert wanted is not None
    look = wanted.reading(8, None)
    assert (look.size, look.crop, look.resized, look.side) == (8, None, 16, 16)
    images = torch.randint(64, 192, (3, 3, 8, 8), dtype=torch.uint8)  # PIL cuts off after each axis
    for position, image in enumerate(images):
        file = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((16, 16), Image.Resampling.BICUBIC)
        found = (look(images)[position] * 0.5 + 0.5) * 255
        expected = torch.from_numpy(np.array(file)).permute(2, 0, 1).float()
        assert (found - expected).abs().max() < 1.1
    assert wanted.reading(wanted.size, wanted.crop) == wanted


def test_files_are_read_as_the_network_wants_them(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            noise = torch.randint(0, 256, (40, 50, 3), dtype=torch.uint8, generator=generator)
            Image.fromarray(noise.numpy()).save(tmp_path / name / f"{number}.png")
    method = Method(Timm("test_vit", size=16), [3, 3], schedule=Cosine())
    data = FolderLT(str(tmp_path), batch_size=4)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=1, enable_checkpointing=False, **quiet)
    trainer.fit(method, datamodule=data)
    assert method.preprocessing == method.backbone.preprocessing
    assert data.splits["train"].images.shape[-1] == method.preprocessing.size == 16
    first = data.files["train"].source(0)
    assert torch.equal(data.splits["train"].images[0], decode(first, 16, "bicubic"))
    assert not torch.equal(data.splits["train"].images[0], decode(first, 16))
    data.read_for(None)
    assert (data.size, data.preprocessing.mean, data.splits) == (32, data.mean, {})


@pytest.mark.slow
def test_a_head_is_tuned_on_its_frozen_features_from_the_command_line(ltr, tmp_path: Path) -> None:
    known = saved(tmp_path / "vit.safetensors")
    assert ltr(TUNED, "--model.backbone.pretrained vit.safetensors --name vit") == 0
    (tmp_path / "vit.safetensors").unlink()
    assert ltr("test --ckpt_path vit") == 0
    written = json.loads(Path("checkpoints/vit/test/metrics.json").read_text())
    assert written["provenance"]["starts_from"] == ["vit.safetensors (Timm test_vit)"]
    predictor = Predictor.load("vit")
    assert predictor.preprocessing == Preprocessing(8, None, (0.5,) * 3, (0.5,) * 3, "bicubic", 16)
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    known.set_input_size(img_size=16)
    known.reset_classifier(0)
    with torch.no_grad():
        features = known(predictor.preprocessing(images))
    torch.testing.assert_close(predictor.output(images).features, features)
    assert predictor.predict(images).logits.shape == (5, 5)
