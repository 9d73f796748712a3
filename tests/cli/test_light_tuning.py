"""Adapters from the command line: trained, resumed, in two processes, exported, compiled."""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from ltr.backbones import Timm
from ltr.predictor import Predictor
from tests.own_process import run_in_two

pytest.importorskip("timm")

DEPTH = "--model.backbone.options.depth 2"
FIT = (
    "fit --config balanced_softmax.yaml --data Synthetic --data.imbalance 4 --model.backbone Timm "
    f"--model.backbone.name test_vit --model.backbone.size 16 {DEPTH} --model.backbone.pretrained vit.pt "
    "--model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs 2 --trainer.check_val_every_n_epoch 2 "
    "--trainer.enable_progress_bar false --trainer.accelerator cpu --trainer.precision 32-true"
)
KINDS = ("AdaptFormer", "LoRA")


@pytest.fixture(autouse=True)
def vit(tmp_path: Path) -> None:
    torch.save(Timm("test_vit", size=16, options={"depth": 2}).network.state_dict(), tmp_path / "vit.pt")


def state(name: str) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(f"checkpoints/{name}/last.ckpt")["state_dict"]
    return weights


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_operators")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_an_adapter_is_resumed_tested_and_exported(kind: str, ltr) -> None:
    assert ltr(FIT, f"--model.backbone.adapter {kind} --data.batch_size 16 --name a") == 0
    config = yaml.safe_load(Path("checkpoints/a/config.yaml").read_text())["model"]["init_args"]["backbone"]
    assert config["init_args"]["adapter"]["class_path"] == f"ltr.backbones.{kind}"
    wanted = state("a")
    assert any(wanted[name].abs().sum() > 0 for name in wanted if name.endswith((".up", "up.weight")))
    Path("checkpoints/a/previous.ckpt").replace("checkpoints/a/last.ckpt")
    assert ltr("fit --ckpt_path checkpoints/a/last.ckpt") == 0
    found = state("a")
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    Path("vit.pt").unlink()
    assert ltr("test --ckpt_path a") == 0
    for name, value in Predictor.load("a").method.state_dict().items():
        assert torch.equal(value, wanted[name])
    for form, ending in (("onnx", "onnx"), ("torch", "pt2"), ("safetensors", "safetensors")):
        assert ltr(f"export --ckpt_path a --to {form} --output a.{ending}") == 0


@pytest.mark.slow
def test_an_adapter_takes_the_options_of_its_class(ltr, capsys) -> None:
    assert ltr(FIT, "--model.backbone.adapter LoRA --model.backbone.adapter.width 3") != 0
    assert "LoRA has no option width, which AdaptFormer has" in capsys.readouterr().err
    assert ltr(FIT, "--model.backbone.adapter AdaptFormer --model.backbone.adapter.width 0") != 0
    assert "`width` of AdaptFormer must be at least 1" in capsys.readouterr().err
    unsized = FIT.replace(f"--model.backbone.size 16 {DEPTH}", "--model.backbone.adapter LoRA")
    assert ltr(unsized.replace("test_vit", "test_convnext")) != 0
    assert "and Timm test_convnext has none" in capsys.readouterr().err
    assert ltr(FIT, "--model.train bias --name b") == 0
    assert ltr(FIT, "--model.train layer3") != 0
    assert "`--model.train` names layer3, which is nothing of this backbone" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("way", [*(f"--model.backbone.adapter {kind}" for kind in KINDS), "--model.train [bias,norm]"])
def test_two_processes_are_one(way: str, ltr, tmp_path: Path) -> None:
    words = f"{FIT} {way} --data.augment Plain --data.sampler.q 0.5"
    assert ltr(words, "--name one --data.batch_size 16") == 0
    run_in_two(f"{words} --name two --data.batch_size 8 --trainer.devices 2 --trainer.strategy ddp", tmp_path)
    same(state("one"), state("two"))


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    """Assert that two networks have the same weights but for rounding."""
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_training_is_that_of_a_plain_one(kind: str, ltr, monkeypatch: pytest.MonkeyPatch) -> None:
    # The graph is compiled, but not to machine code: that of torch 2.14 for this ViT on a CPU writes beyond its memory.
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    whole = (
        "--data.batch_size 16 --trainer.limit_train_batches 4 --trainer.limit_val_batches 0"  # each size is compiled
    )
    for more in ("--name plain", "--name compiled --model.compile true"):
        assert ltr(FIT, f"--model.backbone.adapter {kind} {whole}", more) == 0
    same(state("plain"), state("compiled"))
