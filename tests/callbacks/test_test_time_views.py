"""Several views of each test image: the crops of LIFT, and the mean of the logits wherever a network answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor

from ltr.app.allowed_paths import AllowedPaths
from ltr.app.prediction import from_run
from ltr.backbones import ResNet20
from ltr.callbacks import LogitAdjustment, TemperatureScaling, Views
from ltr.callbacks.views import corners
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.predictor import Predictor
from ltr.preprocessing import Preprocessing

(CASE,) = json.loads((Path(__file__).parents[1] / "references" / "lift_crops.json").read_text())["cases"]
SQUARE = [row for row in CASE["expected"]["rows"] if row["image"][0] == row["image"][1]]
LOOK = Preprocessing(8, None, (0.4, 0.5, 0.6), (0.2, 0.3, 0.2))
PIXELS = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("row", SQUARE, ids=lambda row: str(row["image"]))
def test_the_crops_are_those_of_the_official_code(row: dict[str, Any]) -> None:
    side, (size, _) = CASE["params"]["resolution"], row["image"]
    images = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    look = Preprocessing(size, None, (0.5,) * 3, (0.5,) * 3, "bilinear", side)
    made = Views().views(look, images).unflatten(0, (2, 5))
    whole = look.scaled(images, row["five_crops"]["resized"][0])
    for view, (left, top, right, bottom) in zip(made.unbind(1), row["five_crops"]["boxes"], strict=True):
        assert torch.equal(view, whole[..., top:bottom, left:right])


def test_an_odd_margin_rounds_half_to_even() -> None:
    assert corners(21)[-1] == (10, 10)  # as that of 357 pixels to 336
    assert corners(3)[-1] == (2, 2)


def test_mirror_images_follow_the_crops() -> None:
    five = Views(margin=2).views(LOOK, PIXELS).unflatten(0, (6, 5))
    both = Views(margin=2, flip=True).views(LOOK, PIXELS).unflatten(0, (6, 10))
    assert torch.equal(both[:, :5], five)
    assert torch.equal(both[:, 5:], five.flip(-1))
    centre = Views("centre", flip=True).views(LOOK, PIXELS).unflatten(0, (6, 2))
    assert torch.equal(centre[:, 0], LOOK.to_side(PIXELS))
    assert torch.equal(centre[:, 1], PIXELS.flip(-1))


def test_options_that_change_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="the centre alone is what the network sees anyway"):
        Views("centre")
    with pytest.raises(InputError, match="five crops without a margin are the same"):
        Views(margin=0)
    assert Views(margin=4).settings == {"crops": "five", "margin": 4, "flip": False}


def network() -> Method:
    """Return a network that is ready to answer."""
    method = Method(ResNet20(width=2), [9, 5, 1]).eval()
    method.preprocessing = LOOK
    return method


@torch.no_grad()
def test_adjustments_before_it_act_on_every_view_and_those_after_it_on_the_mean() -> None:
    method, views, scaling = network(), Views(margin=2), TemperatureScaling([0.5, 1.0, 2.0], per_class=True)
    each = [method(method.preprocessing.normalised(view)) for view in views.views(LOOK, PIXELS).split(1)]
    for order in ([scaling, views], [views, scaling]):
        method.adjustments = order
        found = method.predict(PIXELS).logits
        for image in range(6):
            logits = [output.logits for output in each[5 * image : 5 * image + 5]]
            if order[0] is scaling:
                logits = [scaling.adjust(method, Output(one)).logits for one in logits]
            expected = torch.stack(logits).mean(0)
            if order[0] is views:
                expected = scaling.adjust(method, Output(expected)).logits
            torch.testing.assert_close(found[image : image + 1], expected, check_dtype=False, rtol=1e-4, atol=1e-5)


def test_experts_and_features_are_averaged() -> None:
    output = Output(torch.randn(4, 3), torch.randn(4, 2), experts=torch.randn(2, 4, 3))
    found = Views("centre", flip=True).adjust(network(), output)
    torch.testing.assert_close(found.features[1], (output.features[2] + output.features[3]) / 2)
    assert output.experts is not None
    assert found.experts is not None
    torch.testing.assert_close(found.experts[1, 0], (output.experts[1, 0] + output.experts[1, 1]) / 2)


def test_views_of_views_are_refused(trainer) -> None:
    data = Synthetic()
    method = Method(ResNet20(width=2), data.counts)
    with pytest.raises(InputError, match="list `Views` once"):
        trainer(callbacks=[Views(), LogitAdjustment(), Views()]).test(method, datamodule=data)


def test_temperatures_before_it_are_fitted_to_single_images(trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltr.callbacks.fitting.check_unseen", lambda *_: None)
    data, fitted = Synthetic(val_per_class=2), []
    method = Method(ResNet20(width=2), data.counts)
    for callbacks in ([], [Views()]):
        scaling = TemperatureScaling()
        trainer(callbacks=[scaling, *callbacks]).test(method, datamodule=data, verbose=False)
        fitted.append(float(scaling.temperatures))
    assert fitted[0] == fitted[1]


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_test_prediction_python_page_and_export_agree(trained, ltr) -> None:
    trained("--config five_crops.yaml --name run")  # a training is not changed, and the run answers so from then on
    assert ltr("test --ckpt_path run") == 0
    assert ltr("predict --ckpt_path run") == 0
    wanted = torch.load("checkpoints/run/test/predictions.pt")["probabilities"]
    written = json.loads(Path("checkpoints/run/test/metrics.json").read_text())
    assert written["adjustments"] == [{"Views": {"crops": "five", "margin": None, "flip": False}}]
    same(torch.load("checkpoints/run/predict/predictions.pt")["probabilities"], wanted)

    data = Synthetic(imbalance=4)
    data.setup()
    images = data.splits["test"].images
    predictor = Predictor.load("run")
    same(predictor.predict(images).probabilities, wanted)
    plain = Predictor.load("run", adjustments=[]).predict(images).probabilities
    assert not torch.allclose(plain, wanted, rtol=1e-2)

    paths = AllowedPaths(Path("checkpoints"))
    same(from_run(paths, "run").predict(images).logits.softmax(1), wanted)

    assert ltr("export --ckpt_path run --to onnx --output net.onnx") == 0
    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    for number in (1, 3, len(images)):
        logits = session.run(["logits"], {"images": images[:number].numpy()})[0]
        same(torch.from_numpy(logits).softmax(1), wanted[:number])
