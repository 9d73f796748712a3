"""A classifier per expert, retrained and evaluated like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from ltr.contracts import Output
from ltr.counts import per_class
from ltr.heads import ExpertHeads
from ltr.losses import GML, PerExpert

SMALL = (
    "--data Synthetic --data.imbalance 4 --trainer.enable_progress_bar false --trainer.accelerator cpu "
    "--trainer.precision 32-true"
)
NETWORK = "--model.backbone.backbone ResNet20 --model.backbone.backbone.width 2"


@pytest.fixture
def tuned(ltr) -> dict[str, torch.Tensor]:
    """Tune each expert of a network with GML; return what the run holds."""
    assert ltr(f"fit --config ride.yaml {SMALL} {NETWORK} --trainer.max_epochs 0 --name ride") == 0
    assert ltr(f"fit --config ride_gml.yaml {SMALL} --trainer.max_epochs 3 --name gml") == 0
    state: dict[str, torch.Tensor] = torch.load("checkpoints/gml/last.ckpt", weights_only=True)["state_dict"]
    return state


@pytest.mark.slow
def test_every_expert_is_tuned_and_none_of_their_features(tuned: dict[str, torch.Tensor]) -> None:
    first = torch.load("checkpoints/ride/last.ckpt", weights_only=True)["state_dict"]
    for number in range(3):
        name = f"heads.{number}.weight"
        assert torch.equal(tuned[f"old_head.{name}"], first[f"head.{name}"])
        assert not torch.equal(tuned[f"head.{name}"], first[f"head.{name}"])
    for name, value in first.items():
        if name.startswith("backbone."):
            assert torch.equal(tuned[name.replace("backbone.", "backbone.backbone.", 1)], value), name


@pytest.mark.slow
@pytest.mark.usefixtures("tuned")
def test_the_tuned_run_is_tested_alone_and_with_its_old_heads(ltr) -> None:
    assert ltr("test --ckpt_path gml") == 0
    assert ltr("test --ckpt_path gml --config ensemble.yaml --evaluation both") == 0
    assert ltr("test --ckpt_path gml --config sade_aggregation.yaml --evaluation weighted") == 0
    folders = {name: Path("checkpoints/gml") / name for name in ("test", "both", "weighted")}
    found = {name: torch.load(folder / "predictions.pt")["probabilities"] for name, folder in folders.items()}
    assert not torch.allclose(found["test"], found["both"])
    settings = json.loads((folders["weighted"] / "metrics.json").read_text())["adjustments"][0]["ExpertAggregation"]
    assert sum(settings["weights"]) == pytest.approx(1)


def test_gml_is_that_of_each_expert() -> None:
    counts, labels = torch.tensor([9, 4, 2]), torch.tensor([0, 0, 1, 2])
    output: Output = ExpertHeads(6, 3, experts=2)(torch.randn(4, 6))
    assert output.experts is not None
    expected = 0.0
    for logits in output.experts:
        p = F.softmax(logits + (counts / 15).log(), 1)[torch.arange(4), labels]
        means = torch.zeros(3).index_add(0, labels, p) / per_class(labels, 3)
        expected -= means.log().mean().item()
    assert PerExpert(counts, losses=[GML])(output, labels).tolist() == pytest.approx([expected] * 4, rel=1e-4)
