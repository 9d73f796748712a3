"""What is exported is the network that was tested."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from commands import metrics, network, run
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from ltr.data import Synthetic
from ltr.methods import Method
from ltr.predictor import Predictor

pytestmark = pytest.mark.usefixtures("onnx_operators")

KINDS = ("plain", "cosine", "experts", "tuned")
AS_IT_IS = (
    "fit --config pretrained.yaml --data Synthetic --data.imbalance 4 --trainer.accelerator cpu --trainer.precision "
    f"32-true {network('--model.backbone.backbone')} --trainer.enable_progress_bar false"
)


def same_result(one: str, other: str) -> None:
    first, second = metrics(one), metrics(other)
    for key in ("recall", "ece", "top1", "hm", "counts", "params", "seen_in_training"):
        assert first[key] == second[key], key


def agrees_with_the_test(name: str, answer: Callable[[Tensor], Tensor]) -> None:
    """Assert that a function of uint8 images says what `ltr test` wrote."""
    data = Synthetic(imbalance=4)
    data.setup()
    images = data.splits["test"].images
    assert images.dtype == torch.uint8
    told = torch.load(f"checkpoints/{name}/test/predictions.pt")["probabilities"]
    for size in (1, 3, len(images)):
        torch.testing.assert_close(answer(images[:size]).softmax(1), told[:size], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def written() -> dict[str, Path]:
    """Return the ONNX files that `onnx_file` has written, by the names of the runs."""
    return {}


@pytest.fixture
def onnx_file(written: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what gives the ONNX file of a run, which is written once and alone in its folder."""

    def make(name: str) -> Path:
        if name not in written:
            file = tmp_path_factory.mktemp(name) / "network.onnx"
            assert run(f"export --ckpt_path {name} --to onnx --output {file}") == 0
            written[name] = file
        return written[name]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_program_of_torch(name: str, tmp_path: Path) -> None:
    file = tmp_path / "network.pt2"
    assert run(f"export --ckpt_path {name} --to torch --output {file}") == 0
    agrees_with_the_test(name, torch.export.load(file).module())


@pytest.mark.slow_but_one
@pytest.mark.parametrize("name", KINDS)
def test_onnx(name: str, onnx_file: Callable[[str], Path]) -> None:
    file = onnx_file(name)
    assert [path.name for path in file.parent.iterdir()] == ["network.onnx"], "the weights are in the file"
    onnx.checker.check_model(onnx.load(file), full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["batch", 3, 8, 8])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 5])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == [f"class {label}" for label in range(5)]
    assert json.loads(about["counts"]) == [20, 14, 10, 7, 5]
    assert (json.loads(about["size"]), json.loads(about["crop"])) == ([8, 8], None)
    assert json.loads(about["mean"]) == pytest.approx([0.4914, 0.4822, 0.4465])
    assert json.loads(about["std"]) == pytest.approx([0.2023, 0.1994, 0.2010])
    agrees_with_the_test(name, lambda batch: torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0]))


ADJUSTMENTS: dict[str, dict[str, Any]] = {
    "ClassWeights": {"weights": {"class 1": 5}},
    "LogitAdjustment": {},
    "NCM": {},
    "Retarget": {},
    "TauNorm": {},
    "TemperatureScaling": {"temperature": 2.0},
}


@pytest.mark.slow
def test_adjustments_are_part_of_the_file(tmp_path: Path) -> None:
    data = Synthetic(imbalance=4)
    data.setup()
    images = data.splits["test"].images
    for name, options in ADJUSTMENTS.items():
        config = {"trainer": {"callbacks": [{"class_path": f"ltr.callbacks.{name}", "init_args": options}]}}
        (tmp_path / "adjusted.yaml").write_text(yaml.safe_dump(config))
        file = tmp_path / f"{name}.onnx"
        assert run(f"export --ckpt_path plain --to onnx --output {file} --config {tmp_path}/adjusted.yaml") == 0, name
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        wanted = Predictor.load("plain", tmp_path / "adjusted.yaml").output(images).logits
        torch.testing.assert_close(torch.from_numpy(logits).softmax(1), wanted.softmax(1), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_onnx_code_of_the_documentation_answers_as_a_prediction(
    trained: Path,
    onnx_file: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)  # has to be cut and resized
    Image.fromarray(pixels).save(tmp_path / "new.png")
    page = Path(__file__).parents[2] / "docs" / "checkpoints.md"
    section = page.read_text(encoding="utf-8").partition("an ONNX file")[2]
    (code, *_) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    for name in KINDS:
        shutil.copy(onnx_file(name), tmp_path / "net.onnx")
        assert run(f"predict --ckpt_path {name} --images {tmp_path}/new.png --runs {trained}/checkpoints") == 0
        capsys.readouterr()
        variables: dict[str, Any] = {}
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            exec(compile(code, str(page), "exec"), variables)
        wanted = torch.load(f"checkpoints/{name}/predict/predictions.pt")["probabilities"]
        torch.testing.assert_close(torch.from_numpy(variables["logits"]).softmax(1), wanted, rtol=1e-4, atol=1e-5)
        assert capsys.readouterr().out == f"class {int(wanted.argmax())}\n"


@pytest.mark.slow_but_one
@pytest.mark.parametrize("name", KINDS)
def test_safetensors_are_a_run(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "away" / "network.safetensors"
    assert run(f"export --ckpt_path {name} --output {file}") == 0
    assert "the same network, its logits differ by at most 0.0e+00" in capsys.readouterr().out
    assert run(f"test --ckpt_path {file}") == 0
    same_result(f"checkpoints/{name}/test", str(file.parent / "test"))


def test_safetensors_are_a_backbone(tmp_path: Path) -> None:
    file = tmp_path / "network.safetensors"
    assert run(f"export --ckpt_path plain --output {file}") == 0
    assert run(f"{AS_IT_IS} --model.backbone.checkpoint {file} --runs {tmp_path} --name kept") == 0
    assert run(f"test --ckpt_path {tmp_path}/kept/last.ckpt") == 0
    same_result("checkpoints/plain/test", f"{tmp_path}/kept/test")


def test_safetensors_say_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "network.safetensors"
    assert run(f"export --ckpt_path cosine --output {file}") == 0
    with safe_open(file, "pt") as content:
        said = content.metadata()
    assert json.loads(said["classes"]) == [f"class {label}" for label in range(5)]
    assert json.loads(said["counts"]) == [20, 14, 10, 7, 5]
    assert json.loads(said["architecture"])["head"]["init_args"]["scale"] == 16
    assert json.loads(said["mean"]) == pytest.approx([0.4914, 0.4822, 0.4465])
    assert said["ltr"]


@pytest.mark.slow
def test_a_small_checkpoint_is_a_run_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    light = tmp_path / "light"
    assert run(f"export --ckpt_path tuned --to checkpoint --output {light}") == 0
    files = {str(path.relative_to(light)) for path in light.rglob("*") if path.is_file()}
    beside = {"config.yaml", "metrics.csv", "test/metrics.json", "test/confusion.png", "test/recall.png"}
    assert files == {"last.ckpt", *beside}
    old, new = (torch.load(path / "last.ckpt") for path in (Path("checkpoints/tuned"), light))
    assert "optimizer_states" in old
    assert not {"optimizer_states", "lr_schedulers", "callbacks", "loops"} & set(new)
    assert all(torch.equal(value, new["state_dict"][key]) for key, value in old["state_dict"].items())
    assert f"name: light\nruns: {tmp_path}\n" in (light / "config.yaml").read_text()
    before = metrics(str(light / "test"))
    assert run(f"test --ckpt_path {light}/last.ckpt") == 0
    assert metrics(str(light / "test"))["recall"] == before["recall"]
    assert run("export --ckpt_path tuned --to checkpoint --output checkpoints/plain") == 2, "a run is not replaced"
    assert run(f"fit --ckpt_path {light}/last.ckpt --trainer.max_epochs 2") == 2
    assert "cannot be resumed: start another training from it" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["safetensors", "checkpoint"])
def test_an_adjustment_that_a_format_does_not_keep_is_refused(
    to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"export --ckpt_path plain --to {to} --config logit_adjustment.yaml --output {tmp_path}/a.{to}") == 2
    assert f"`--to {to}` keeps the run as it is, without LogitAdjustment" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_run_is_not_exported_over_files_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("of: mine")
    assert run(f"export --ckpt_path plain --to checkpoint --output {tmp_path}") == 2
    assert f"{config} exists already" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [config]
    assert config.read_text() == "of: mine"


def test_another_network_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = Method.load_state_dict
    times = iter(range(9))

    def forgetful(self: Method, state: dict[str, Tensor], **options: Any) -> Any:
        bias = state["head.fc.bias"] + next(times)  # wrong where the file is read again
        return read(self, state | {"head.fc.bias": bias}, **options)

    monkeypatch.setattr(Method, "load_state_dict", forgetful)
    assert run(f"export --ckpt_path plain --output {tmp_path}/network.safetensors") == 2
    assert "the exported network differs: its logits differ by up to 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_network_that_decides_as_it_goes_is_no_one_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = Method.forward

    def decides(self: Method, images: Tensor) -> Any:
        output = forward(self, images)
        return output if output.logits.sum() > 0 else output._replace(logits=-output.logits)

    monkeypatch.setattr(Method, "forward", decides)
    assert run(f"export --ckpt_path plain --to torch --output {tmp_path}/network.pt2") == 2
    assert "this Method cannot be written as one computation" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_missing_or_misnamed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"export --ckpt_path plain --to torch --output {tmp_path}/network.pt") == 2
    assert "ends in .pt2: pass `--output NAME.pt2`." in capsys.readouterr().err
    assert run("export --ckpt_path plain --to onnx --output .") == 2
    assert "ends in .onnx: pass `--output NAME.onnx`." in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert run(f"export --ckpt_path plain --to onnx --output {tmp_path}/network.onnx") == 2
    assert 'pip install -e ".[export]"' in capsys.readouterr().err
    assert run("export --to onnx") == 2
    assert "ckpt_path" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
