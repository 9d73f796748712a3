"""What a test keeps for its figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import small
from torch import Tensor

from ltr.callbacks.figure_data import SIDE, examples, sample
from ltr.data import FolderLT, Synthetic
from tests.own_process import run_in_two

GML = (
    "fit --config gml.yaml --data Synthetic --data.imbalance 4 --trainer.max_epochs 2 --trainer.precision 32-true "
    f"{small('--model.backbone.backbone')} --trainer.enable_progress_bar false "
    "--trainer.accelerator cpu --model.backbone.checkpoint a --name gml"
)


def kept(run: str, evaluation: str = "test") -> dict[str, Any]:
    """Return what a test has written."""
    return dict(torch.load(Path("checkpoints") / run / evaluation / "predictions.pt", weights_only=True))


def test_a_test_keeps_features_lengths_and_images(trained, ltr) -> None:
    trained("--name a")
    assert ltr("test --ckpt_path a") == 0
    found = kept("a")
    weight = torch.load("checkpoints/a/last.ckpt", weights_only=True)["state_dict"]["head.fc.weight"]
    torch.testing.assert_close(found["lengths"], weight.norm(dim=1)[None])
    assert "old_predictions" not in found
    assert found["features"].dtype == torch.float16
    assert found["featured"].tolist() == list(range(20)), "all images of a small split, in its order"
    bias = torch.load("checkpoints/a/last.ckpt", weights_only=True)["state_dict"]["head.fc.bias"]
    again = (found["features"].float() @ weight.T + bias).softmax(1)
    torch.testing.assert_close(again, found["probabilities"], atol=5e-3, rtol=0)
    data = Synthetic(imbalance=4)
    data.setup()
    assert torch.equal(found["examples"], data.splits["test"].images[found["exampled"]])


@pytest.mark.slow
def test_a_tuned_run_keeps_the_answers_of_its_old_head(trained, ltr) -> None:
    trained("--name a")
    assert ltr("test --ckpt_path a") == 0
    assert ltr(GML) == 0
    assert ltr("test --ckpt_path gml") == 0
    before, after = kept("a"), kept("gml")
    assert torch.equal(after["old_predictions"], before["probabilities"].argmax(1))
    torch.testing.assert_close(after["old_lengths"], before["lengths"])
    assert not torch.equal(after["lengths"], before["lengths"])
    measures = json.loads(Path("checkpoints/gml/test/metrics.json").read_text())
    assert measures["old_recall"] == json.loads(Path("checkpoints/a/test/metrics.json").read_text())["recall"]


@pytest.mark.slow
def test_experts_are_kept_side_by_side_and_cosines_have_no_lengths(ltr) -> None:
    words = (
        "fit --config ride.yaml --data Synthetic --data.imbalance 4 --data.batch_size 16 --trainer.max_epochs 5 "
        "--model.schedule Cosine --model.schedule.warmup 0 --trainer.enable_progress_bar false --name a "
        "--trainer.accelerator cpu --trainer.precision 32-true"
    )
    assert ltr(words) == 0
    assert ltr("test --ckpt_path a") == 0
    found = kept("a")
    assert len(found["features"]) == 20
    assert found["features"].shape[1] % 3 == 0
    assert "lengths" not in found


@pytest.mark.slow
def test_two_processes_keep_what_one_does(trained, ltr, tmp_path: Path) -> None:
    trained("--name a")
    assert ltr(GML) == 0
    assert ltr("test --ckpt_path gml --evaluation one") == 0
    words = "test --ckpt_path gml --evaluation two --trainer.devices 2 --trainer.strategy ddp --trainer.accelerator cpu"
    run_in_two(words, tmp_path)
    one, two = kept("gml", "one"), kept("gml", "two")
    assert one.keys() == two.keys()
    for key, value in one.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(two[key], value, msg=key)


def test_the_sample_lies_evenly_in_the_order_of_the_counts(labels_of: Callable[[list[int]], Tensor]) -> None:
    labels = labels_of([300] * 40)
    counts = [1000 - label if label % 2 else 10 + label for label in range(40)]
    chosen = sample(labels, counts)
    found = torch.bincount(labels[chosen], minlength=40)
    assert sorted(found.unique().tolist()) == [0, 200]
    ranks = sorted(range(40), key=lambda label: -counts[label])
    assert [ranks.index(label) for label in ranks if found[label]] == [0, 4, 9, 13, 17, 22, 26, 30, 35, 39]
    assert torch.equal(chosen, sample(labels, counts)), "the same in every process"
    assert torch.equal(chosen, chosen.sort().values)


def test_classes_without_images_are_not_sampled() -> None:
    assert sample(torch.tensor([2, 0, 2]), [9, 8, 7]).tolist() == [0, 1, 2]


def test_examples_are_of_the_worst_classes() -> None:
    data = Synthetic(classes=7, test_per_class=10, imbalance=20, largest=40)
    data.setup()
    labels = data.splits["test"].labels
    predictions = labels.clone()
    for label, wrong in enumerate([0, 1, 2, 9, 9, 3, 10]):
        predictions[10 * label : 10 * label + wrong] = (label + 1) % 7
    recall = [(predictions[labels == label] == label).double().mean().item() for label in range(7)]
    found = examples(data, labels, predictions, indices=torch.arange(70), recall=recall)
    chosen = labels[found["exampled"]]
    assert list(dict.fromkeys(chosen.tolist())) == [6, 4, 3, 5, 2], "of equals the one with fewer training images first"
    right = (predictions == labels)[found["exampled"]]
    each = {
        label: (int((~right[chosen == label]).sum()), int(right[chosen == label].sum())) for label in (6, 4, 3, 5, 2)
    }
    assert each == {6: (4, 0), 4: (4, 1), 3: (4, 1), 5: (3, 2), 2: (2, 2)}
    assert torch.equal(found["examples"], data.splits["test"].images[found["exampled"]])


def test_streamed_files_become_small_images(tmp_path: Path) -> None:
    from PIL import Image

    for split, colour in (("train", 50), ("test", 200)):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (90, 120), (colour, number, 0)).save(tmp_path / split / name / f"{number}.png")
    data = FolderLT(str(tmp_path), size=80, crop=72, memory=0, workers=0)
    data.setup()
    labels = data.splits["test"].labels
    found = examples(data, labels, 1 - labels, indices=torch.arange(4), recall=[0.0, 0.0])
    assert found["examples"].shape == (4, 3, SIDE, SIDE)
    assert found["examples"].dtype == torch.uint8
    assert found["examples"][:, 0].unique().tolist() == [200]
