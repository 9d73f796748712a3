"""Prediction sets of a test and of a prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from pixels import network
from quiet import quiet_trainer

from ltr.callbacks import Conformal, LogitAdjustment
from ltr.contracts import Output
from ltr.data import Synthetic
from ltr.errors import InputError

Make = Callable[..., Trainer]


def measured(trainer: Make, data: Synthetic, folder: Path, *callbacks: Any) -> dict[str, Any]:
    """Return what a test leaves."""
    trainer(callbacks=list(callbacks)).test(network(data), datamodule=data, verbose=False)
    return json.loads((folder / "conformal.json").read_text()) | torch.load(folder / "sets.pt", weights_only=True)


def test_a_test_leaves_the_sets_and_what_they_are_worth(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(largest=60, imbalance=2, val_per_class=19, test_per_class=40)
    method, found = network(data), measured(trainer, data, tmp_path, Conformal(0.1))
    assert found["calibration_images"] == [19] * 5
    assert found["always"] == 0
    for label in range(5):
        images = data.splits["val"].images[data.splits["val"].labels == label]
        with torch.no_grad():
            own = 1 - method(data.prepare(images)).logits.softmax(1)[:, label]
        assert found["thresholds"][label] == pytest.approx(float(own.sort().values[17]), abs=1e-6)  # the 18th of 19
    sets, labels = found["sets"], found["labels"]
    assert sets.shape == (200, 5)
    assert found["coverage"] == pytest.approx(float(sets[torch.arange(200), labels].double().mean()))
    assert found["size"] == pytest.approx(float(sets.sum(1).double().mean()))
    assert found["macro_coverage"] == pytest.approx(found["coverage"])
    assert len(found["class_coverage"]) == 5


def test_a_class_with_too_few_images_is_in_every_set(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(largest=60, imbalance=30, val_per_class=9)
    found = measured(trainer, data, tmp_path, Conformal(0.1))
    assert found["calibration_images"][-1] == 1
    few = torch.tensor(found["calibration_images"]) < 9
    assert found["always"] == few.sum() == 2
    assert bool(found["sets"][:, few].all())
    assert not bool(found["sets"][:, ~few].all())


def test_for_all_images_a_few_suffice(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(largest=60, imbalance=30, val_per_class=9)
    found = measured(trainer, data, tmp_path, Conformal(0.1, share=0, score="aps"))
    assert len(set(found["thresholds"])) == 1
    assert found["always"] == 0


def test_adjustments_act_wherever_they_stand(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(largest=60, imbalance=30, val_per_class=9)
    results = [
        measured(trainer, data, tmp_path, *callbacks)["thresholds"]
        for callbacks in (
            [Conformal(share=0)],
            [Conformal(share=0), LogitAdjustment()],
            [LogitAdjustment(), Conformal(share=0)],
        )
    ]
    assert results[1] == results[2]
    assert results[0] != results[1]
    method, val = network(data), data.splits["val"]
    with torch.no_grad():
        logits = method(data.prepare(val.images)).logits
    conformal, adjustment = Conformal(share=0), LogitAdjustment()
    adjustment.prepare(method, data)
    conformal.calibrate(adjustment.adjust(method, Output(logits, logits)).logits.double(), val.labels)
    assert conformal.thresholds.tolist() == pytest.approx(results[1], abs=1e-6)


def test_a_prediction_has_the_sets_of_the_test(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(largest=60, imbalance=2, val_per_class=19)
    tested = measured(trainer, data, tmp_path, Conformal())["sets"]
    (tmp_path / "sets.pt").unlink()
    trainer(callbacks=[Conformal()]).predict(network(data), datamodule=data)
    assert torch.equal(torch.load(tmp_path / "sets.pt", weights_only=True)["sets"], tested)


def test_images_that_the_network_has_seen_are_refused(trainer: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no validation split: .*--data\.val_per_class"):
        measured(trainer, Synthetic(), tmp_path, Conformal())
    method = network(Synthetic())
    with pytest.raises(InputError, match=r"trained on 9 of the 9 images of the .*leave out `Conformal`"):
        trainer(callbacks=[Conformal()]).test(method, datamodule=Synthetic(val_per_class=2), verbose=False)


def test_two_processes_find_what_one_does(trainer: Make, tmp_path: Path, in_two_processes) -> None:
    data = Synthetic(largest=60, imbalance=2, test_per_class=9, val_per_class=19)
    expected = measured(trainer, data, tmp_path, Conformal())
    in_two_processes(half, str(tmp_path))
    for rank in range(2):
        folder = tmp_path / str(rank)
        assert torch.equal(torch.load(folder / "sets.pt", weights_only=True)["sets"], expected["sets"])
        found = json.loads((folder / "conformal.json").read_text())
        assert found["thresholds"] == pytest.approx(expected["thresholds"], abs=1e-6)
        assert found["coverage"] == expected["coverage"]


def half(rank: int, folder: str) -> None:
    """Test in one of two processes; both think that they are the first, and each writes into its own folder."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    data = Synthetic(largest=60, imbalance=2, test_per_class=9, val_per_class=19)
    quiet_trainer(
        default_root_dir=Path(folder) / str(rank),
        callbacks=[Conformal()],
    ).test(network(data), datamodule=data, verbose=False)
