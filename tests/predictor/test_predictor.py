"""A trained network answers as the command line does, without the images it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import ltr as package
from ltr.__main__ import main
from ltr.backbones import ResNet20
from ltr.callbacks import LogitAdjustment, TemperatureEnsemble
from ltr.errors import InputError
from ltr.methods import Method
from ltr.predictor import Predictor

pytestmark = pytest.mark.usefixtures("here")

SMALL = (
    "--data FolderLT --data.root images --data.size 8 --data.batch_size 8 --trainer.accelerator cpu "
    "--trainer.enable_progress_bar false --trainer.max_epochs 1 --model.schedule Cosine --model.schedule.warmup 0"
)
NARROW = "--model.backbone ResNet20 --model.backbone.width 4"


def write_images(root: Path) -> None:
    """Write class folders of three classes, with 8, 4 and 2 images to train on and 4 to test on."""
    generator = torch.Generator().manual_seed(1)
    for label, count in enumerate((8, 4, 2)):
        for split, number in (("train", count), ("test", 4)):
            folder = root / split / f"class {label}"
            folder.mkdir(parents=True)
            for index in range(number):
                pixels = torch.randint(256, (8, 8, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs and what `ltr predict` says; the images are gone."""
    home = tmp_path_factory.mktemp("runs")
    write_images(home / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("PL_GLOBAL_SEED", "0")
        for precision in ("32-true", "bf16-mixed"):
            kept = f"--trainer.precision {precision}"
            main(f"fit --config ce.yaml {SMALL} {NARROW} {kept} --name {precision}".split())
            main(f"predict --ckpt_path {precision}".split())
        tuned = "--config gml.yaml --model.backbone.checkpoint 32-true --trainer.precision 32-true"
        main(f"fit {tuned} {SMALL} --name tuned".split())
        with pytest.warns(UserWarning, match="replace those of ensemble.yaml"):
            main(["predict", "--ckpt_path", "tuned", "--config", "ensemble.yaml", "--config", "logit_adjustment.yaml"])
        both = "--config ensemble.yaml --trainer.callbacks+=LogitAdjustment --evaluation both"
        main(f"predict --ckpt_path tuned {both}".split())
        main(["predict", "--ckpt_path", "tuned", "--config", "ncm.yaml", "--evaluation", "ncm"])
        (home / "pixels").mkdir()
        from ltr import load

        torch.save(load("tuned").data.splits["test"].images[:], home / "pixels" / "test.pt")
        (home / "images").rename(home / "away")
    return home


@pytest.fixture
def here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the runs are."""
    monkeypatch.chdir(runs)


def images() -> Tensor:
    pixels: Tensor = torch.load("pixels/test.pt")
    return pixels


def predicted(run: str, evaluation: str = "predict") -> Tensor:
    """Return the probabilities that `ltr predict` wrote."""
    said: Tensor = torch.load(f"checkpoints/{run}/{evaluation}/predictions.pt")["probabilities"]
    return said


@pytest.mark.slow_but_one
@pytest.mark.parametrize("run", ["32-true", "bf16-mixed"])
def test_it_answers_as_the_command_line_bit_for_bit(run: str) -> None:
    predictor = Predictor.load(run)
    assert torch.equal(predictor.predict(images()).probabilities, predicted(run))
    assert not predictor.method.training
    assert (predictor.name, predictor.classes) == (run, ["class 0", "class 1", "class 2"])
    assert (predictor.counts, predictor.preprocessing.size) == ((8, 4, 2), 8)


def test_precision_can_be_chosen() -> None:
    exact, rounded = (Predictor.load("32-true", precision=name).output(images()) for name in ("32-true", "bf16-mixed"))
    assert (exact.logits.dtype, rounded.logits.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(exact.logits, rounded.logits.float(), rtol=0.1, atol=0.1)


@pytest.mark.slow
def test_adjustments_act_in_their_order() -> None:
    Path("both.yaml").write_text(
        "trainer:\n  callbacks:\n    - {class_path: ltr.callbacks.TemperatureEnsemble, init_args: {t_old: 2.0}}\n"
        "    - ltr.callbacks.LogitAdjustment\n"
    )
    predictor = Predictor.load("tuned", "both.yaml")
    assert [type(item).__name__ for item in predictor.adjustments] == ["TemperatureEnsemble", "LogitAdjustment"]
    assert torch.equal(predictor.predict(images()).probabilities, predicted("tuned", "both"))
    alone = Predictor.load("tuned", adjustments=[LogitAdjustment()])
    plain = Predictor.load("tuned").predict(images()).logits
    prior = torch.tensor([8, 4, 2]) / 14
    torch.testing.assert_close(alone.predict(images()).logits, plain - prior.log())


def test_adjustments_cannot_be_changed_past_the_check_of_their_order() -> None:
    predictor = Predictor(Method(ResNet20(width=2), [2, 1]), adjustments=[LogitAdjustment()])
    for adjustments in (predictor.adjustments, predictor.method.adjustments):
        assert isinstance(adjustments, tuple)
    with pytest.raises(InputError, match="list TemperatureEnsemble before LogitAdjustment"):
        predictor.method.adjustments = [*predictor.adjustments, TemperatureEnsemble()]


def test_callbacks_that_those_of_a_later_config_replace_are_noted() -> None:
    with pytest.warns(UserWarning, match=r"of logit_adjustment.yaml replace those of ensemble.yaml \(TemperatureEns"):
        predictor = Predictor.load("tuned", "ensemble.yaml", "logit_adjustment.yaml")
    assert [type(item).__name__ for item in predictor.adjustments] == ["LogitAdjustment"]
    with pytest.warns(UserWarning, match=r"pass `--trainer.callbacks\+=LogitAdjustment` instead of"):
        package.load("tuned", "ensemble.yaml", "logit_adjustment.yaml")


def test_an_adjustment_that_reads_images_says_that_they_are_missing() -> None:
    with pytest.raises(InputError, match="NCM reads the images of the run"):
        Predictor.load("tuned", "ncm.yaml")
    shutil.copytree("away", "images")
    try:
        assert torch.equal(
            Predictor.load("tuned", "ncm.yaml").predict(images()).probabilities, predicted("tuned", "ncm")
        )
    finally:
        shutil.rmtree("images")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(2, 3, 8, 8), "images are uint8 values from 0 to 255; these are torch.float32"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"have the shape \(B, 3, H, W\) or \(3, H, W\); this one has \(8, 8\)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"have the shape \(B, 3, 8, 8\)"),
        (torch.zeros(2, 3, 8, 9, dtype=torch.uint8), "takes images of 8 x 8 pixels; these have 8 x 9"),
    ],
)
def test_other_images_are_refused(given: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Predictor.load("32-true").predict(given)


def test_damaged_weights_are_refused() -> None:
    predictor = Predictor.load("32-true")
    with torch.no_grad():
        next(predictor.method.head.parameters()).fill_(torch.inf)
    with pytest.raises(InputError, match="are not finite: its weights are damaged"):
        predictor.predict(images())


def test_it_leaves_the_generators_as_they_were() -> None:
    before = torch.get_rng_state()
    Predictor.load("tuned", "ensemble.yaml")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_network_is_exported_without_its_images(tmp_path: Path) -> None:
    main(f"export --ckpt_path tuned --config ensemble.yaml --to torch --output {tmp_path}/network.pt2".split())
    answer = torch.export.load(tmp_path / "network.pt2").module()
    wanted = Predictor.load("tuned", "ensemble.yaml").predict(images()).probabilities
    torch.testing.assert_close(answer(images()).softmax(1), wanted, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(wanted, Predictor.load("tuned").predict(images()).probabilities, rtol=1e-3)
