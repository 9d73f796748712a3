"""Weights from files: every kind that occurs is understood, and none can do harm."""

from __future__ import annotations

import argparse
import datetime
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from ltr.backbones import Pretrained, ResNet10, ResNet20, ResNet32, ResNet44
from ltr.errors import InputError
from ltr.heads import Cosine, Linear
from ltr.methods import Method, Tuning
from ltr.run import weights

COUNTS = [9, 4, 2]
FILE = "weights.pt"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def network() -> ResNet20:
    """Return a small network that has seen something: its running statistics are not those of a new one."""
    torch.manual_seed(1)
    net = ResNet20(width=2)
    net(torch.randn(8, 3, 8, 8))
    return net.eval()


def classifier() -> dict[str, Tensor]:
    """Return a classifier as heads name it."""
    torch.manual_seed(2)
    return {key: value.detach() for key, value in Linear(8, 3).state_dict().items()}


def bare(name: str = "linear", prefix: str = "") -> dict[str, Tensor]:
    """Return the state of a network and its classifier as files have it."""
    state = network().state_dict() | {key.replace("fc", name): value for key, value in classifier().items()}
    return {prefix + key: value.clone() for key, value in state.items()}


def check(checkpoint: str = FILE) -> None:
    """Assert that the file gives the network and the classifier that were saved."""
    pretrained = Pretrained(checkpoint, ResNet20(width=2))
    found = pretrained.load()
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(pretrained(images), network()(images))
    assert set(found) == set(classifier())
    for key, value in classifier().items():
        assert torch.equal(found[key], value)


@pytest.mark.parametrize("name", ["fc", "linear", "classifier"])
@pytest.mark.parametrize(
    "prefix",
    [
        *("", "module.", "model.", "backbone.", "module.encoder_q.", "model.backbone.", "module.model."),
        *("_orig_mod.", "module._orig_mod.", "model._orig_mod.", "net.", "encoder."),
    ],
)
def test_prefixes_and_names_of_classifiers(prefix: str, name: str) -> None:
    torch.save(bare(name, prefix), FILE)
    check()


def test_a_file_with_a_state_dict_inside() -> None:
    torch.save({"epoch": 200, "state_dict": bare(prefix="module."), "best": 0.4}, FILE)
    check()


def parts(prefix: str = "module.") -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the states of a network and of its classifier."""
    fc = {f"{prefix}fc.{key.removeprefix('fc.')}": value for key, value in classifier().items()}
    return {prefix + key: value.clone() for key, value in network().state_dict().items()}, fc


LAYOUTS: dict[str, Callable[[], dict[str, Any]]] = {
    "a number of numpy beside it": lambda: {"state_dict": bare("fc"), "best_acc1": np.float64(38.0), "n": np.int64(3)},
    "the arguments of a script": lambda: {"state_dict": bare("fc", "module."), "args": argparse.Namespace(lr=0.1)},
    "MiSLAS": lambda: dict(zip(("state_dict_model", "state_dict_classifier"), parts(), strict=True)),
    "Decoupling": lambda: {"state_dict_best": dict(zip(("feat_model", "classifier"), parts(), strict=True))},
    "DeiT": lambda: {"model": bare("fc"), "optimizer": {"state": {0: torch.ones(3)}}, "epoch": 3},
    "tutorials": lambda: {"model_state_dict": bare("fc")},
    "kuangliu": lambda: {"net": bare("linear", "module."), "acc": 93.1},
    "timm, with an average": lambda: {"state_dict": bare("fc"), "state_dict_ema": {}},
    "an average alone": lambda: {"model_ema": bare("fc")},
    "AveragedModel": lambda: bare("fc", "module.") | {"n_averaged": torch.tensor(7)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_public_code(layout: str) -> None:
    torch.save(LAYOUTS[layout](), FILE)
    check()


def test_numbers_of_numpy_1_are_read() -> None:
    torch.save({"state_dict": bare("fc"), "best": np.float64(1.5)}, FILE)
    with zipfile.ZipFile(FILE) as new:
        entries = {name: new.read(name) for name in new.namelist()}
    (pickled,) = (name for name in entries if name.endswith("data.pkl"))
    entries[pickled] = entries[pickled].replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in entries[pickled]
    with zipfile.ZipFile(FILE, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data)
    check()


@pytest.mark.filterwarnings("error")
def test_the_normalised_classifier_of_ldam() -> None:
    directions = F.normalize(torch.randn(8, 3), dim=0)  # of NormedLinear(8, 3), columns of length 1
    torch.save({"state_dict": network().state_dict() | {"linear.weight": directions}}, FILE)
    pretrained = Pretrained(FILE, ResNet20(width=2))
    with pytest.warns(UserWarning, match="a Cosine head is the same"):
        found = pretrained.load()
    features = torch.randn(5, 8)
    cosines = F.normalize(features) @ directions
    for head, scale in ((Cosine(8, 3), 30.0), (Linear(8, 3), features.norm(dim=1, keepdim=True))):
        weights.load_head(head, found)
        torch.testing.assert_close(head(features).logits, scale * cosines)


def test_a_linear_classifier_without_a_bias() -> None:
    weight = torch.randn(3, 8)
    torch.save(network().state_dict() | {"fc.weight": weight}, FILE)
    found = Pretrained(FILE, ResNet20(width=2)).load()
    for head in (Linear(8, 3), Linear(8, 3, bias=False)):
        weights.load_head(head, found)
        torch.testing.assert_close(head(torch.eye(8)).logits, weight.T)


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(number: float) -> None:
    for name in ("conv1.weight", "fc.bias"):
        state = bare("fc")
        state[name].view(-1)[0] = number
        torch.save(state, FILE)
        with pytest.raises(InputError, match=rf"NaN or infinite numbers in {name}: its training diverged"):
            weights.load_head(Linear(8, 3), Pretrained(FILE, ResNet20(width=2)).load())


def test_an_object_of_other_code_is_named() -> None:
    torch.save({"state_dict": bare(), "when": datetime.timedelta(1)}, FILE)
    with pytest.raises(InputError, match=r"is refused: it holds a datetime\.timedelta"):
        Pretrained(FILE).load()


def test_safetensors() -> None:
    save_file(bare(), "weights.safetensors")
    check("weights.safetensors")


def test_a_file_of_torchvision_is_a_start_for_other_classes() -> None:
    known = models.resnet.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1]).eval()
    torch.save(known.state_dict(), FILE)
    pretrained = Pretrained(FILE, ResNet10(), "none")
    method = Method(pretrained, COUNTS)
    method.start(pretrained.load())
    known.fc = nn.Identity()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(pretrained.eval()(images), known(images))
    assert method(images).logits.shape == (2, 3), "its classifier of 1,000 classes is left behind"


@pytest.mark.slow
def test_a_momentum_encoder_and_its_queue_are_left_out() -> None:
    state = bare("fc", "module.encoder_q.")
    state |= {key.replace("encoder_q", "encoder_k"): torch.zeros_like(value) for key, value in state.items()}
    torch.save({"state_dict": state | {"module.queue": torch.zeros(4, 9)}}, FILE)
    check()


def test_old_files_do_not_count_batches() -> None:
    torch.save({key: value for key, value in bare().items() if "num_batches" not in key}, FILE)
    check()


def run_of_ours(method: Method, name: str = "mine") -> None:
    """Save a method as a run."""
    path = Path("checkpoints") / name / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"epoch": 3, "state_dict": method.state_dict(), "seconds": 1.5}, path)


@pytest.mark.parametrize("checkpoint", ["mine", "checkpoints/mine", "checkpoints/mine/last.ckpt"])
def test_a_run_of_ours(checkpoint: str) -> None:
    method = Method(network(), COUNTS)
    method.head.load_state_dict(classifier())
    run_of_ours(method)
    check(checkpoint)


def test_a_tuned_run_of_ours() -> None:
    tuned = Tuning(Pretrained("anything", network()), COUNTS)
    tuned.head.load_state_dict(classifier())
    run_of_ours(tuned)
    check("mine")


def test_the_training_images_of_a_public_file_are_not_known() -> None:
    torch.save(bare(), FILE)
    pretrained = Pretrained(FILE, ResNet20(width=2))
    pretrained.load()
    assert not pretrained.training_record.complete


def test_the_file_is_not_read_before_training_starts() -> None:
    pretrained = Pretrained("no such file", ResNet20(width=2))
    with pytest.raises(InputError, match="there is no checkpoint no such file"):
        pretrained.load()


@pytest.mark.parametrize("freeze", ["features", "all"])
def test_frozen_means_frozen(freeze: Any) -> None:
    torch.save(bare(), FILE)
    pretrained = Pretrained(FILE, ResNet20(width=2), freeze)
    pretrained.load()
    method = Method(pretrained, COUNTS)
    method.train()
    assert method.head.training
    assert not any(module.training for module in pretrained.modules())
    before = {key: value.clone() for key, value in pretrained.state_dict().items()}
    features = pretrained(5 + torch.randn(8, 3, 8, 8))
    assert not features.requires_grad
    for key, value in pretrained.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_start_is_trained() -> None:
    torch.save(bare(), FILE)
    pretrained = Pretrained(FILE, ResNet20(width=2), "none")
    pretrained.load()
    pretrained.train()
    mean = pretrained.backbone.bn1.running_mean.clone()
    pretrained(5 + torch.randn(8, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in pretrained.parameters())
    assert not torch.equal(pretrained.backbone.bn1.running_mean, mean)


@pytest.mark.parametrize(("kind", "wanted"), [(ResNet20, None), (ResNet44, ResNet20())])
def test_another_architecture_is_named(kind: type, wanted: Any) -> None:
    torch.save(kind().state_dict(), FILE)
    with pytest.raises(InputError, match=rf"`--model\.backbone\.backbone {kind.__name__}`") as raised:
        Pretrained(FILE, wanted).load()
    assert f"does not fit a {type(wanted or ResNet32()).__name__}" in str(raised.value)


def test_what_does_not_fit_is_listed() -> None:
    state = bare()
    del state["layer1.0.conv1.weight"]
    state["layer4.weight"] = torch.zeros(3)
    state["conv1.weight"] = torch.zeros(2, 3, 5, 5)
    torch.save(state, FILE)
    with pytest.raises(InputError) as raised:
        Pretrained(FILE, ResNet20(width=2)).load()
    message = str(raised.value)
    assert "missing: layer1.0.conv1.weight" in message
    assert "unexpected: layer4.weight" in message
    assert "of another shape: conv1.weight (2, 3, 5, 5) instead of (2, 3, 3, 3)" in message
    assert "pass its architecture with `--model.backbone.backbone`" in message


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_files(zipped: bool) -> None:
    torch.save(bare(), FILE, _use_new_zipfile_serialization=zipped)
    content = Path(FILE).read_bytes()
    for part in range(1, 40):
        Path(FILE).write_bytes(content[: len(content) * part // 40])
        with pytest.raises(InputError, match=FILE):
            Pretrained(FILE, ResNet20(width=2)).load()


@pytest.mark.parametrize(
    "content", [b"", b"just some words", b"\x80\x02", b"PK\x03\x04nothing", bytes(range(256)), b"{}"]
)
def test_files_that_are_no_weights(content: bytes) -> None:
    for name in (FILE, "weights.safetensors"):
        Path(name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            Pretrained(name).load()


def test_a_truncated_safetensors_file() -> None:
    save_file(bare(), "weights.safetensors")
    content = Path("weights.safetensors").read_bytes()
    Path("weights.safetensors").write_bytes(content[:-50])
    with pytest.raises(InputError, match="truncated or no safetensors file"):
        Pretrained("weights.safetensors").load()


class Hostile:
    """Write a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path(self.path), "here")


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle", "ours"])
def test_a_file_that_would_run_code_is_refused(way: str, folder: Path) -> None:
    trace = folder / "trace"
    state: dict[str, Any] = bare() | {"extra": Hostile(str(trace))}
    if way == "pickle":
        Path(FILE).write_bytes(pickle.dumps(state, protocol=2))
    elif way == "ours":
        torch.save({"state_dict": bare(), "hyper_parameters": Hostile(str(trace))}, FILE)
    else:
        torch.save(state, FILE, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(InputError, match="is refused"):
        Pretrained(FILE, ResNet20(width=2)).load()
    assert not trace.exists()
    pickle.loads(pickle.dumps(state))
    assert trace.exists(), "the trap itself works"


@pytest.mark.parametrize("content", [{"a": 1}, {"state_dict": {}}, {"state_dict": {"a": "b"}}])
def test_a_file_without_tensors(content: dict[str, Any]) -> None:
    torch.save(content, FILE)
    with pytest.raises(InputError, match="holds no tensors"):
        Pretrained(FILE).load()


@pytest.mark.parametrize("content", [[torch.zeros(2)], torch.zeros(2), 3, {"state_dict": [torch.zeros(2)]}])
def test_a_file_without_a_dictionary(content: Any) -> None:
    torch.save(content, FILE)
    with pytest.raises(InputError, match="not a dictionary"):
        Pretrained(FILE).load()


def test_a_tensor_with_the_name_of_a_classifier_alone_is_unexpected() -> None:
    torch.save({**bare(), "fc": torch.ones(1)}, FILE)
    with pytest.raises(InputError, match="unexpected: fc"):
        check()


def test_a_tensor_without_a_name_is_refused() -> None:
    torch.save({**bare(), 7: torch.ones(1)}, FILE)
    with pytest.raises(InputError, match="holds a tensor under the int 7: the name of one is text"):
        check()
