"""A config in words."""

from __future__ import annotations

from typing import Any

from ltr.run import description

SGD = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "nesterov": False, "dampening": 0, "foreach": None}}


def test_a_method_is_described_by_its_parts() -> None:
    inner = {
        "class_path": "torch.optim.SGD",
        "init_args": {"lr": 0.1, "nesterov": False, "dampening": 0, "foreach": None},
    }
    optimizer = {"class_path": "ltr.optimizers.SAM", "init_args": {"base": inner, "radius": 0.05}}
    callbacks = [{"class_path": "ltr.callbacks.EMA"}, {"class_path": "mine.Own", "init_args": {"files": ["a", "b"]}}]
    model = {"class_path": "mine.Method", "init_args": {"loss": "ltr.losses.GML", "mix": None, "optimizer": optimizer}}
    assert description.method({"model": model, "trainer": {"callbacks": callbacks}}) == [
        ("method", "Method"),
        ("loss", "GML"),
        ("optimizer", "SAM(SGD(lr 0.1, dampening 0), radius 0.05)"),
        ("callbacks", "EMA, Own(files ['a', 'b'])"),
    ]
    assert description.method({}) == []


def test_settings_that_hold_anyway_are_left_out() -> None:
    other = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.2, "nesterov": False, "dampening": 0}}
    assert description.part(other, SGD) == "SGD(lr 0.2)"
    assert description.part(other, {**SGD, "class_path": "torch.optim.Adam"}) == "SGD(lr 0.2, dampening 0)"
    assert description.part(SGD, switched_off=True) == "SGD(lr 0.1, nesterov False, dampening 0, foreach None)"


def test_an_architecture_is_named_with_the_network_in_it() -> None:
    inner: dict[str, Any] = {"class_path": "ltr.backbones.ResNet32", "init_args": {"width": 4}}
    wrapped = {"class_path": "ltr.backbones.Pretrained", "init_args": {"checkpoint": "a", "backbone": inner}}
    assert description.architecture(wrapped) == "Pretrained(ResNet32)"
    assert description.architecture(inner) == "ResNet32"


def test_data_are_described_by_what_chooses_the_images() -> None:
    measured = {"name": "CIFAR-100-LT", "imbalance": 100.0, "tail": "exp", "subset_seed": 0, "official": True}
    assert description.split(measured) == "CIFAR-100-LT, imbalance 100 (exp), subset seed 0"
    drawn = {**measured, "subset_seed": None, "official": False, "synthetic": [1000, 234]}
    assert description.split(drawn) == (
        "CIFAR-100-LT, imbalance 100 (exp), 1,234 synthetic training images, not the official split"
    )
    assert description.data_set(measured, {}) == "CIFAR-100-LT, IF 100"
    config = {"class_path": "ltr.data.FolderLT", "init_args": {"imbalance": None}}
    assert description.data_set({}, config) == "FolderLT"
    assert description.data_set({}, {}) == ""


def test_adjustments_are_named_with_their_settings() -> None:
    found = [
        {"LogitAdjustment": {"tau": 1.5}},
        {"VectorScaling": {"scale": [1.0, 2.0]}},
        {"LogitAdjustment": {"tau": 1}},
    ]
    assert description.adjustments(found) == "LogitAdjustment(tau 1.5), VectorScaling, LogitAdjustment(tau 1)"
    assert description.adjustments([]) == ""
