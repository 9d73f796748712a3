"""Checkpoints without the weights that a training did not change."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr.app.networks import network
from ltr.backbones import Timm
from ltr.errors import InputError
from ltr.predictor import Predictor
from ltr.run import base_weights
from ltr.run.checkpoint_fields import check_fields

pytest.importorskip("timm")

FIT = (
    "fit --config ce.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 --model.backbone Timm "
    "--model.backbone.name test_vit --model.backbone.size 16 --model.backbone.options.depth 2 "
    "--model.backbone.pretrained vit.pt "
    "--model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs 2 --trainer.check_val_every_n_epoch 2 "
    "--trainer.enable_progress_bar false --trainer.accelerator cpu --trainer.precision 32-true"
)
WAYS = {
    "adapter": "--model.backbone.adapter AdaptFormer",
    "low rank": "--model.backbone.adapter LoRA --trainer.callbacks EMA",
    "bias and norm": "--model.train [bias,norm]",
}
IMAGES = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    torch.save(network_of_two_blocks(), tmp_path / "vit.pt")
    return tmp_path / "vit.pt"


def network_of_two_blocks() -> dict[str, torch.Tensor]:
    """Return new weights of the network."""
    weights: dict[str, torch.Tensor] = Timm("test_vit", size=16, options={"depth": 2}).network.state_dict()
    return weights


@pytest.mark.slow
@pytest.mark.usefixtures("vit")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_predictions_are_those_of_the_whole_checkpoint(way: str, ltr) -> None:
    assert ltr(FIT, way, "--name whole") == 0
    assert ltr(FIT, way, "--name small --model.save changed") == 0
    whole, small = (Path("checkpoints", name, "last.ckpt") for name in ("whole", "small"))
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    logits = [Predictor.load(name).output(IMAGES).logits for name in ("whole", "small")]
    assert torch.equal(*logits)
    assert ltr("test --ckpt_path whole") == ltr("test --ckpt_path small") == 0
    tested = [Path("checkpoints", name, "test", "predictions.pt") for name in ("whole", "small")]
    found, wanted = (torch.load(path)["probabilities"] for path in tested)
    assert torch.equal(found, wanted)
    # Resumed from its first epoch, it ends the same.
    Path("checkpoints/small/previous.ckpt").replace(small)
    assert ltr("fit --ckpt_path checkpoints/small/last.ckpt") == 0
    assert torch.equal(Predictor.load("small").output(IMAGES).logits, logits[0])
    # Exported, it is whole.
    assert ltr("export --ckpt_path small --to checkpoint --output checkpoints/exported") == 0
    Path("vit.pt").unlink()
    assert torch.equal(Predictor.load("exported").output(IMAGES).logits, logits[0])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where `small` keeps its training for the next test."""
    return tmp_path_factory.mktemp("kept") / "start"


@pytest.fixture
def small(kept: Path, tmp_path: Path, request: pytest.FixtureRequest, ltr) -> Path:
    """Return a checkpoint without its base weights, of a training of one epoch, beside these weights."""
    if kept.exists():
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    else:
        request.getfixturevalue("vit")
        assert ltr(FIT, WAYS["adapter"], "--name small --model.save changed --trainer.max_epochs 1") == 0
        shutil.copytree(tmp_path, kept)
    return tmp_path / "checkpoints/small/last.ckpt"


@pytest.mark.slow
def test_one_sentence_says_that_the_weights_are_missing(small: Path, ltr, capsys) -> None:
    Path("vit.pt").unlink()
    sentence = (
        "the checkpoint has only what its training changed, and the weights that it started from are missing: there is "
        "no file vit.pt with the weights of Timm test_vit."
    )
    with pytest.raises(InputError) as raised:
        Predictor.load(small)
    assert str(raised.value) == sentence
    capsys.readouterr()
    assert ltr("test --ckpt_path small") != 0
    assert capsys.readouterr().err.strip().endswith(sentence)


@pytest.mark.slow
def test_other_weights_are_refused_and_the_right_ones_may_be_elsewhere(small: Path, ltr) -> None:
    shutil.move("vit.pt", "elsewhere.pt")
    torch.manual_seed(1)
    torch.save(network_of_two_blocks(), "vit.pt")
    with pytest.raises(InputError, match=r"are missing: what is in their place has the sha256 \w{12}, not \w{12}\.$"):
        Predictor.load(small)
    assert ltr("test --ckpt_path small --model.backbone.pretrained elsewhere.pt") == 0


@pytest.mark.slow
def test_a_second_stage_starts_from_it(small: Path, ltr) -> None:
    words = (
        "fit --config gml.yaml --trainer.max_epochs 1 --trainer.enable_progress_bar false --trainer.accelerator cpu "
        "--trainer.precision 32-true --model.backbone.checkpoint small"
    )
    assert ltr(words, "--name second") == 0
    state = Predictor.load("second").method.backbone.state_dict()
    first = Predictor.load(small).method.backbone.state_dict()
    for name, value in first.items():
        assert torch.equal(state[f"backbone.{name}"], value), name
    Path("vit.pt").unlink()
    assert ltr("test --ckpt_path second") == 0
    assert ltr(words, "--name third") != 0


@pytest.mark.slow
def test_a_tuned_head_without_the_network_that_it_is_on(trained, ltr, capsys) -> None:
    trained("--name first")
    words = (
        "fit --config gml.yaml --trainer.max_epochs 1 --trainer.enable_progress_bar false --trainer.accelerator cpu "
        "--trainer.precision 32-true --model.backbone.checkpoint first"
    )
    assert ltr(words, "--name whole") == ltr(words, "--name small --model.save changed") == 0
    assert torch.equal(*(Predictor.load(name).output(IMAGES).logits for name in ("whole", "small")))
    kept = torch.load("checkpoints/small/last.ckpt")["state_dict"]
    assert {"head.fc.weight", "backbone.backbone.bn1.running_mean"} <= kept.keys()
    assert "backbone.backbone.conv1.weight" not in kept
    shutil.move("checkpoints/first", "checkpoints/moved")
    assert ltr("test --ckpt_path small") != 0
    assert "the weights that it started from are missing: there is no checkpoint first" in capsys.readouterr().err
    assert ltr("test --ckpt_path small --model.backbone.checkpoint moved") == 0


def test_the_page_does_not_read_the_base_weights_of_an_upload(small: Path) -> None:
    assert network(small, trusted=True).predictor.output(IMAGES).logits.isfinite().all()
    with pytest.raises(InputError, match="has only what its training changed: `ltr export --to checkpoint` makes it"):
        network(small, trusted=False)


def test_random_weights_cannot_be_left_out(ltr, capsys) -> None:
    words = FIT.replace("--model.backbone.pretrained vit.pt", WAYS["adapter"])
    assert ltr(words, "--model.save changed") != 0
    assert "this network starts from random ones: leave it out." in capsys.readouterr().err


UNSOUND: list[Any] = [
    5,
    {"sha256": "x"},
    {"sha256": 3, "types": {}},
    {"sha256": "x", "types": {"w": "load"}},
    {"sha256": "x", "types": ["w"]},
]


@pytest.mark.parametrize("value", UNSOUND)
def test_a_file_with_other_fields_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="`base_weights` is not that of a checkpoint of `ltr`"):
        check_fields({base_weights.KEY: value}, "x.ckpt")


class Base(torch.nn.Module):
    """What reads its weights again."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(3))
        self.b = torch.nn.Parameter(torch.zeros(2))

    def load(self) -> None:
        self.w.data = torch.tensor([1.0, 2.0, 1 / 3])
        self.b.data = torch.ones(2)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_weights_come_back_in_their_own_precision(kind: torch.dtype) -> None:
    base = Base()
    base.load()
    state = {f"backbone.{name}": value.to(kind) for name, value in base.state_dict().items()}
    changed = {**state, "backbone.b": torch.tensor([5.0, 6.0]).to(kind)}
    checkpoint = {"state_dict": dict(changed), "current_model_state": dict(changed), "epoch": 1}
    base_weights.leave_out(checkpoint, ["backbone.w"])
    assert list(checkpoint["state_dict"]) == list(checkpoint["current_model_state"]) == ["backbone.b"]
    kept = checkpoint["state_dict"]
    base_weights.restore(checkpoint, Base(), "it")
    assert base_weights.KEY not in checkpoint
    for found in (checkpoint["state_dict"], checkpoint["current_model_state"]):
        assert found.keys() == changed.keys()
        assert all(torch.equal(found[name], value) and found[name].dtype == kind for name, value in changed.items())
    assert checkpoint["state_dict"] is kept  # which its reader holds


def test_a_whole_checkpoint_stays_as_it_is() -> None:
    checkpoint = {"state_dict": {"w": torch.ones(1)}}
    base_weights.leave_out(checkpoint, [])
    base_weights.restore(checkpoint, Base(), "it")
    assert list(checkpoint) == ["state_dict"]
