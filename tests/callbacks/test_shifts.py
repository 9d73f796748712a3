"""One test under many class distributions."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from matplotlib.figure import Figure
from pixels import network
from quiet import quiet_trainer
from torch import Tensor

from ltr.callbacks import LogitAdjustment, Retarget, Shifts
from ltr.data import Shift, Synthetic
from ltr.errors import InputError

Make = Callable[..., Trainer]
FIGURES = ("images", "top1", "gm", "hm", "lowest", "l1")


def table(folder: Path) -> dict[tuple[str, float, str], dict[str, str]]:
    """Return the rows of shifts.csv by distribution and treatment."""
    with (folder / "shifts.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    return {(row["distribution"], float(row["parameter"]), row["treatment"]): row for row in rows}


def gaussians() -> tuple[Tensor, Tensor, Tensor]:
    """Return exact log-posteriors (N, C) of a balanced test set under long-tailed counts, labels and the counts."""
    counts, labels = torch.tensor([100, 30, 10, 3]), torch.arange(4).repeat_interleave(2000)
    corners = torch.tensor([[0.0, 0], [0, 2], [2, 0], [2, 2]], dtype=torch.float64)
    points = corners[labels] + torch.randn(8000, 2, dtype=torch.float64)
    return counts.log() - (points[:, None] - corners).square().sum(2) / 2, labels, counts


def test_where_probabilities_are_exact_the_estimate_is_as_good_as_the_truth() -> None:
    logits, labels, counts = gaussians()
    shifts = Shifts([2, 10, 50], concentrations=[1.0])
    rows = shifts.measure(logits, labels, counts)
    assert len(rows) == 8 * 3
    for plain, known, em in zip(*[iter(rows)] * 3, strict=True):
        assert [row["treatment"] for row in (plain, known, em)] == ["as it is", "known prior", "EM"]
        assert known["l1"] == 0
        assert em["l1"] < 0.1
        assert em["top1"] == pytest.approx(known["top1"], abs=0.01)
        assert known["top1"] > plain["top1"] - 0.005
    assert rows[1]["top1"] > rows[0]["top1"] + 0.2, "backward 50 is where the prior of the training misleads most"


def test_the_figures_as_a_loop() -> None:
    logits, labels, counts = gaussians()
    row = Shifts([10]).measure(logits, labels, counts)[1]
    drawn = Shift("backward", 10).draw(counts.tolist(), labels)
    images = np.bincount(labels[drawn].numpy())
    assert images.tolist() == [200, 430, 928, 2000]
    prior = images / images.sum()
    joint = logits.exp().numpy() * prior / (counts.numpy() / counts.sum().item())
    hits = joint.argmax(1) == labels.numpy()
    recall = [hits[labels.numpy() == label].mean() for label in range(4)]
    assert (row["distribution"], row["parameter"], row["images"]) == ("backward", 10, images.sum())
    assert row["top1"] == pytest.approx(hits[drawn.numpy()].mean())
    assert row["gm"] == pytest.approx(np.prod(recall) ** 0.25)
    assert row["hm"] == pytest.approx(4 / sum(1 / value for value in recall))
    assert row["lowest"] == pytest.approx(min(recall))


def test_as_it_is_the_distance_is_that_of_what_was_assumed() -> None:
    logits, labels, counts = gaussians()
    for assumed, source in {"train": counts / counts.sum(), "uniform": torch.full((4,), 0.25)}.items():
        row = Shifts([10], assumed=assumed).measure(logits, labels, counts)[3]  # type: ignore[arg-type]
        assert (row["distribution"], row["treatment"]) == ("uniform", "as it is")
        assert row["l1"] == pytest.approx(float((source - 0.25).abs().sum()), abs=1e-6)


def test_a_class_that_was_not_drawn_does_not_count() -> None:
    logits, labels, counts = gaussians()
    assert Shift("dirichlet", 0.2, seed=4).counts(counts.tolist(), [2000] * 4) == [1705, 1999, 133, 0]
    known = Shifts([10], concentrations=[0.2], seed=4).measure(logits, labels, counts)[-2]
    assert (known["distribution"], known["treatment"]) == ("dirichlet", "known prior")
    assert known["lowest"] > 0.05


@pytest.mark.slow
def test_a_test_leaves_table_and_picture_after_one_look_at_the_images(
    trainer: Make, tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    data = Synthetic(test_per_class=10)
    method, looks = network(data), []
    method.backbone.register_forward_hook(lambda *call: looks.append(len(call[-1])))
    trainer(callbacks=[Shifts([2, 5])]).test(method, datamodule=data, verbose=False)
    assert sum(looks) == 50
    rows = table(tmp_path)
    assert len(rows) == 5 * 3
    plain = rows["uniform", 1, "as it is"]
    for key in ("top1", "gm", "hm", "lowest"):
        assert float(plain[key]) == pytest.approx(method.measures[f"test/{key}"]), key
    trainer(callbacks=[LogitAdjustment()]).test(method, datamodule=data, verbose=False)
    known = rows["uniform", 1, "known prior"]
    assert float(known["top1"]) == pytest.approx(method.measures["test/top1"])
    assert known["top1"] != plain["top1"], "the prior matters, or nothing was compared"
    text = (tmp_path / "shifts.md").read_text()
    assert text.count("\n| backward 5 | ") == 3
    (line,) = (line for line in drawn["shifts.png"].axes[0].lines if line.get_label() == "known prior")
    shifted = [("backward", 5), ("backward", 2), ("uniform", 1), ("forward", 2), ("forward", 5)]
    assert list(line.get_ydata()) == pytest.approx([100 * float(rows[*at, "known prior"]["top1"]) for at in shifted])


def test_adjustments_come_first_wherever_they_stand(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(test_per_class=10, val_per_class=3)
    method, found = network(data), []
    shifts, retarget, estimate = Shifts([2], assumed="uniform"), Retarget([1] * 5), Retarget("bbse", assumed="uniform")
    for callbacks in ([shifts, retarget], [retarget, shifts]):
        trainer(callbacks=callbacks).test(method, datamodule=data, verbose=False)
        found.append(table(tmp_path))
    assert found[0] == found[1]
    assert float(found[0]["uniform", 1, "as it is"]["top1"]) == pytest.approx(method.measures["test/top1"])
    trainer(callbacks=[retarget, estimate]).test(method, datamodule=data, verbose=False)
    assert float(found[0]["uniform", 1, "BBSE"]["top1"]) == pytest.approx(method.measures["test/top1"])
    assert float(found[0]["uniform", 1, "BBSE"]["l1"]) == pytest.approx(float((estimate.target - 0.2).abs().sum()))


def test_bbse_where_there_is_a_validation_split(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(test_per_class=10, val_per_class=3)
    method, retarget = network(data), Retarget("bbse")
    trainer(callbacks=[Shifts([2])]).test(method, datamodule=data, verbose=False)
    trainer(callbacks=[retarget]).test(method, datamodule=data, verbose=False)
    row = table(tmp_path)["uniform", 1, "BBSE"]
    assert float(row["l1"]) == pytest.approx(float((retarget.target - 0.2).abs().sum()))
    assert float(row["top1"]) == pytest.approx(method.measures["test/top1"])
    whole = network(Synthetic(test_per_class=10))
    shifts = Shifts([2])
    for tested, known in ((data, True), (Synthetic(test_per_class=10), False)):
        trainer(callbacks=[shifts]).test(method, datamodule=tested, verbose=False)
        assert (("uniform", 1, "BBSE") in table(tmp_path)) == known, "the confusion is of this test"
    with pytest.raises(InputError, match=r"was trained on .*leave out `--data\.val_per_class`"):
        trainer(callbacks=[Shifts([2])]).test(whole, datamodule=data, verbose=False)


def test_what_cannot_be_drawn_is_said_before_anything_is_evaluated(trainer: Make, tmp_path: Path) -> None:
    data = Synthetic(test_per_class=4)
    method = network(data)
    with pytest.raises(InputError, match="the factor can be at most 4"):
        trainer(callbacks=[Shifts([50])]).test(method, datamodule=data, verbose=False)
    assert "test/top1" not in method.measures
    trainer(fast_dev_run=True, callbacks=[Shifts([50])]).test(method, datamodule=data, verbose=False)
    assert not list(tmp_path.iterdir()), "a rehearsal writes nothing"


@pytest.mark.parametrize("factors", [[], [2.0, 2.0]])
def test_factors_differ(factors: list[float]) -> None:
    with pytest.raises(InputError, match="no two equal ones"):
        Shifts(factors)


def test_two_processes_find_what_one_does(trainer: Make, tmp_path: Path, in_two_processes) -> None:
    data = Synthetic(test_per_class=9, val_per_class=3)  # 45 images: one process has one more
    callbacks = [Retarget("em"), Shifts([2, 5], assumed="uniform")]
    trainer(callbacks=callbacks).test(network(data), datamodule=data, verbose=False)
    in_two_processes(half, str(tmp_path))
    expected = table(tmp_path)
    for rank in range(2):
        found = table(tmp_path / str(rank))
        assert found.keys() == expected.keys()
        for key, row in found.items():
            assert [float(row[name]) for name in FIGURES] == pytest.approx(
                [float(expected[key][name]) for name in FIGURES], abs=1e-4
            )


def half(rank: int, folder: str) -> None:
    """Test in one of two processes; both think that they are the first, and each writes into its own folder."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    data = Synthetic(test_per_class=9, val_per_class=3)
    callbacks: list[Any] = [Retarget("em"), Shifts([2, 5], assumed="uniform")]
    quiet_trainer(
        default_root_dir=Path(folder) / str(rank),
        callbacks=callbacks,
    ).test(network(data), datamodule=data, verbose=False)
