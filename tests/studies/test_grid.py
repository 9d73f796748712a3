"""A front of heads over seeds."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from matplotlib.figure import Figure
from tiny import small

from ltr import files
from ltr.metrics import over_seeds, undominated
from ltr.run.folder import RIGHT
from ltr.studies.grid import tables

SMALL = (
    "--data Synthetic --data.imbalance 4 --data.batch_size 16 --model.backbone.checkpoint start "
    f"{small('--model.backbone.backbone')} --trainer.max_epochs 10 "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false --config grid.yaml"
)
GRID = {
    "model": {
        "class_path": "ltr.methods.Tuning",
        "init_args": {"backbone": "ltr.backbones.Pretrained", "schedule": "ltr.schedules.Cosine"},
    },
    "trainer": {
        "callbacks": [
            {
                "class_path": "ltr.callbacks.HeadGrid",
                "init_args": {
                    "losses": {"GML": "ltr.losses.GML", "CE": "ltr.losses.CrossEntropy"},
                    "lrs": [0.01, 0.1],
                    "t_old": [2.0],
                },
            }
        ]
    },
}


@pytest.mark.slow
def test_a_grid_over_seeds(trained, ltr, tmp_path: Path, capsys, drawn: dict[str, Figure]) -> None:
    trained("--name start")
    Path("grid.yaml").write_text(yaml.safe_dump(GRID))
    capsys.readouterr()
    assert ltr(f"tune-grid {SMALL} --seeds 1 2") == 0
    home = tmp_path / "checkpoints/tune_grid"
    said = capsys.readouterr().out
    assert (home / "front.md").read_text() in said
    rows = read(home / "front.csv")
    (star,) = (line for line in drawn["front.png"].axes[0].lines if line.get_label() == "old head")
    assert star.get_xydata()[0] == pytest.approx([100 * float(rows[0][key]) for key in ("top1", "hm")])
    each = [read(home / seed / "grid.csv") for seed in ("1", "2")]
    assert len(rows) == len(each[0]) == 1 + 2 * 2 * 2
    for row, one, other in zip(rows, *each, strict=True):
        assert [row[key] for key in ("loss", "lr", "t_old")] == [one[key] for key in ("loss", "lr", "t_old")]
        pair = [float(one["hm"]), float(other["hm"])]
        assert float(row["hm"]) == pytest.approx(statistics.mean(pair))
        assert float(row["hm_std"]) == pytest.approx(statistics.stdev(pair))
    assert {row["seed"] for row in each[1]} == {"2"}
    assert {row["seed"] for row in read(home / "run/grid.csv")} == {"1", "2"}, "one pass for both"
    assert json.loads((home / "1/arguments.json").read_text())["fit"][:2] == ["--config", "grid.yaml"]

    for seed, table in zip(("1", "2"), each, strict=True):
        right = torch.load(home / seed / "right.pt")["right"]
        assert right.double().mean(1).tolist() == pytest.approx([float(row["top1"]) for row in table])

    before = (home / "1/grid.csv").stat().st_mtime_ns
    assert ltr(f"tune-grid {SMALL} --seeds 1 3") == 0
    assert (home / "1/grid.csv").stat().st_mtime_ns == before, "what is finished is kept"
    assert {row["seed"] for row in read(home / "run/grid.csv")} == {"3"}
    assert ltr(f"tune-grid {SMALL} --seeds 1 --model.reset true") == 2
    assert "made with other arguments" in capsys.readouterr().err

    rows = (home / "1/grid.csv").read_text()
    (home / "1/grid.csv").write_text(rows.replace("0.", "1.", 1))
    assert ltr(f"tune-grid {SMALL} --seeds 1") == 2
    assert "1/grid.csv is damaged: delete it, and the same command computes it again" in capsys.readouterr().err
    (home / "1/arguments.json").write_text("{")
    assert ltr(f"tune-grid {SMALL} --seeds 1") == 2
    assert "1/arguments.json is damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_heads_that_start_anew_are_tuned_seed_by_seed(trained, ltr, tmp_path: Path, capsys) -> None:
    trained("--name start")
    Path("grid.yaml").write_text(yaml.safe_dump(GRID))
    assert ltr(f"tune-grid {SMALL} --model.reset true --seeds 1 2") == 2
    assert "`ltr tune-grid --separate`" in capsys.readouterr().err
    assert ltr(f"tune-grid {SMALL} --model.reset true --seeds 1 2 --separate") == 0
    home = tmp_path / "checkpoints/tune_grid"
    assert {row["seed"] for row in read(home / "run/grid.csv")} == {"2"}
    assert {row["seeds"] for row in read(home / "front.csv")} == {"2"}


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_tuning_without_a_grid_is_refused(trained, ltr, capsys) -> None:
    trained("--name start")
    Path("grid.yaml").write_text(yaml.safe_dump({"model": GRID["model"]}))
    assert ltr(f"tune-grid {SMALL} --seeds 1") == 2
    assert "grid.yaml trains no grid: its last callback has to be a HeadGrid" in capsys.readouterr().err
    Path("grid.yaml").write_text(yaml.safe_dump(GRID))
    assert ltr(f"tune-grid {SMALL} --seeds 1 --trainer.fast_dev_run true") == 2
    assert "no head was trained" in capsys.readouterr().err


def row(top1: float, hm: float, **said: Any) -> dict[str, Any]:
    """Return a row of a table."""
    return {"split": "test", "loss": "GML", "lr": 0.1, "t_old": None, "top1": top1, "hm": hm, **said}


def test_the_front_is_what_nothing_beats() -> None:
    best, worst_classes, beaten, twin = row(0.5, 0.1), row(0.4, 0.3), row(0.4, 0.2), row(0.5, 0.1, lr=0.2)
    assert undominated([best, worst_classes, beaten, twin], "hm") == [best, worst_classes, twin]


def test_a_measure_that_is_missing_stays_missing() -> None:
    rows = over_seeds([row(0.5, 0.1, few=None, seed=0), row(0.7, 0.1, few=None, seed=1)])
    assert rows[0]["top1"] == pytest.approx(0.6)
    assert rows[0]["top1_std"] == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert "few" not in rows[0]
    assert rows[0]["seeds"] == 2


def test_an_interruption_does_not_part_the_seeds_of_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"seed": str(seed), "split": "test", "loss": "CE", "lr": "0.1"} for seed in (0, 1)]

    def tune(*_: object, **__: object) -> None:
        files.write_csv(tmp_path / "run/grid.csv", rows)
        files.save(tmp_path / "run" / RIGHT, {"right": torch.ones(2, 3)})

    move = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target.parent.name == "1":
            monkeypatch.undo()
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tables(tmp_path, (0, 1), ["--config", "grid.yaml"], tune)
    assert all((tmp_path / seed / "grid.csv").is_file() for seed in "01")
    assert len(tables(tmp_path, (0, 1), ["--config", "grid.yaml"], pytest.fail)) == 2
