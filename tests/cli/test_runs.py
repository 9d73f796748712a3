"""A run from its training to its evaluations: folder, resume, refusal, data of its own."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tiny import TINY, small
from torch.utils._pytree import tree_leaves

from ltr.__main__ import main
from ltr.callbacks import Run

RUN = Path("checkpoints/a")
GML = (
    "--config gml.yaml --data Synthetic --data.imbalance 4 --trainer.max_epochs 3 --trainer.precision 32-true "
    f"{small('--model.backbone.backbone')} --trainer.enable_progress_bar false "
    "--trainer.accelerator cpu --trainer.check_val_every_n_epoch 3"
)


def metrics(evaluation: str = "test", run: Path = RUN) -> dict[str, object]:
    return dict(json.loads((run / evaluation / "metrics.json").read_text()))


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as lines:
        return list(csv.DictReader(lines))


def test_a_run_is_a_folder(tiny, capsys) -> None:
    assert tiny("--name a") == 0
    assert sorted(path.name for path in RUN.iterdir()) == ["config.yaml", "last.ckpt", "metrics.csv", "previous.ckpt"]
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    assert config["data"]["class_path"] == "ltr.data.Synthetic"
    assert config["model"]["init_args"]["backbone"]["init_args"]["width"] == 4
    rows = table(RUN / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert rows[0]["test/top1"] == ""
    assert 0 <= float(rows[1]["test/top1"]) <= 1
    assert float(rows[0]["train/lr"]) == 0.1
    assert "ltr test --ckpt_path checkpoints/a/last.ckpt" in capsys.readouterr().out


def test_the_next_command_names_any_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["fit", *TINY.split(), "--trainer.max_epochs", "0", "--name", "my run"])
    assert capsys.readouterr().out.endswith("; next: ltr test --ckpt_path 'checkpoints/my run/last.ckpt'\n")


def test_the_checkpoint_is_plain_data(tiny) -> None:
    assert tiny("--name a") == 0
    content = torch.load(RUN / "last.ckpt", weights_only=True)
    assert content["config"] == (RUN / "config.yaml").read_text()
    assert content["state_dict"]["counts"].tolist() == [20, 14, 10, 7, 5]


@pytest.mark.usefixtures("rendered")
def test_a_test_agrees_with_the_end_of_the_training(trained, ltr, capsys) -> None:
    trained("--name a")
    capsys.readouterr()
    assert ltr("test --ckpt_path checkpoints/a/last.ckpt") == 0
    assert capsys.readouterr().out.startswith("checkpoints/a/test: top-1 ")
    last = table(RUN / "metrics.csv")[-1]
    found = metrics()
    for key in ("top1", "gm", "hm", "lowest", "zero_recall", "ece"):
        assert float(last[f"test/{key}"]) == found[key]
    assert found["counts"] == [20, 14, 10, 7, 5]
    assert found["seed"] == 0
    assert found["params"] > 0
    assert found["adjustments"] == []
    assert found["data"]["official"] is True
    assert {path.name for path in (RUN / "test").iterdir()} == {
        "metrics.json",
        "predictions.pt",
        "confusion.png",
        "recall.png",
    }
    for name in ("confusion.png", "recall.png"):
        with Image.open(RUN / "test" / name) as picture:
            assert len(picture.convert("L").getcolors() or ()) > 10, f"{name} is blank"
    predictions = torch.load(RUN / "test" / "predictions.pt", weights_only=True)
    hits = predictions["probabilities"].argmax(1) == predictions["labels"]
    assert hits.double().mean().item() == found["top1"]


def test_a_checkpoint_is_read_once(trained, ltr, monkeypatch: pytest.MonkeyPatch) -> None:
    trained("--name a")
    load, files = torch.load, []

    def noted(file: Path, **options: object) -> object:
        files.append(file)
        return load(file, **options)

    monkeypatch.setattr(torch, "load", noted)
    for verb in ("test", "validate", "predict"):
        files.clear()
        assert ltr(f"{verb} --ckpt_path a") == 0
        assert files == [RUN / "last.ckpt"]


@pytest.mark.slow
def test_a_run_is_scored_on_its_own_data_and_flags_win(tiny, ltr) -> None:
    assert tiny("--name a --data.imbalance 2 --data.subset_seed 3 --data.classes 4") == 0
    assert ltr("test --ckpt_path checkpoints/a/last.ckpt") == 0
    assert metrics()["data"]["imbalance"] == 2
    assert metrics()["data"]["subset_seed"] == 3
    assert len(metrics()["recall"]) == 4
    assert ltr("test --ckpt_path a --data.test_per_class 3 --evaluation fewer") == 0
    predictions = torch.load(RUN / "fewer" / "predictions.pt", weights_only=True)
    assert len(predictions["labels"]) == 12


def test_a_checkpoint_carries_its_config_wherever_it_goes(trained, ltr, tmp_path: Path) -> None:
    trained("--name a")
    away = tmp_path / "elsewhere"
    away.mkdir()
    (RUN / "last.ckpt").rename(away / "mine.ckpt")
    assert ltr("test --ckpt_path elsewhere/mine.ckpt") == 0
    assert (away / "test" / "metrics.json").is_file()


def test_counts_and_shot_groups_are_those_of_the_training(trained, ltr) -> None:
    trained("--name a")
    assert ltr("test --ckpt_path a --data.imbalance 10 --evaluation other") == 0
    assert metrics("other")["counts"] == [20, 14, 10, 7, 5]


def test_predict_writes_a_table(trained, ltr) -> None:
    trained("--name a")
    assert ltr("predict --ckpt_path a") == 0
    rows = table(RUN / "predict" / "predictions.csv")
    assert len(rows) == 20
    assert rows[0]["label"] == "class 0"
    assert float(rows[0]["probability_1"]) >= float(rows[0]["probability_2"])


def test_validate_reports_every_followed_split(trained, ltr, capsys) -> None:
    trained("--name a --data.val_per_class 2")
    capsys.readouterr()
    assert ltr("validate --ckpt_path a") == 0
    out = capsys.readouterr().out
    assert "val: top-1" in out
    assert "test: top-1" in out


def test_an_existing_run_is_refused_or_replaced(tiny, capsys) -> None:
    assert tiny("--name a") == 0
    before = (RUN / "last.ckpt").read_bytes()
    assert tiny("--name a") == 2
    assert "exists already" in capsys.readouterr().err
    assert (RUN / "last.ckpt").read_bytes() == before
    (RUN / "notes.txt").write_text("mine")
    (RUN / "test").mkdir()
    (RUN / "test" / "metrics.json").write_text("{}")
    assert tiny("--name a --overwrite --seed_everything 1") == 0
    assert (RUN / "last.ckpt").read_bytes() != before
    assert not (RUN / "test").exists(), "it measured other weights"
    assert (RUN / "notes.txt").read_text() == "mine", "`ltr` did not write it"


def test_a_run_that_is_replaced_from_another_checkpoint_keeps_no_old_results(trained, tiny, capsys) -> None:
    trained("--name a")
    old = Path("checkpoints/b/test/metrics.json")
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    assert tiny("--name b --overwrite --ckpt_path a --trainer.max_epochs 3") == 0
    assert not old.exists(), "it measured other weights"
    assert tiny("--name b --overwrite --ckpt_path last") == 2
    assert "which `--overwrite` would replace: leave one of them out" in capsys.readouterr().err


def test_an_option_that_would_be_ignored_is_refused(trained, tiny, ltr, capsys) -> None:
    trained("--name a")
    Path("images").mkdir()
    words = {
        "test --ckpt_path a": ("--name b", "--overwrite"),
        "predict --ckpt_path a --images images": ("--name b", "--overwrite"),
        "validate --ckpt_path a": ("--name b", "--overwrite", "--evaluation b"),
        "export --ckpt_path a": ("--name b", "--overwrite"),
    }
    for command, options in words.items():
        for option in options:
            assert ltr(command, option) == 2, (command, option)
            assert f"{option.split()[0]} changes nothing here" in capsys.readouterr().err
    assert tiny("--name b --evaluation c") == 2
    assert "--evaluation changes nothing here" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", ".", "..", "../keep", "a/b", "/elsewhere", ".hidden"])
def test_a_name_is_one_folder_below_the_runs(name: str, trained, tiny, ltr, capsys) -> None:
    trained("--name a")
    keep = Path("keep")
    keep.mkdir()
    (keep / "last.ckpt").write_text("a run elsewhere")
    before = sorted(path for path in Path().rglob("*"))
    for words in ([f"--name={name}", "--overwrite"], [f"--name={name}"]):
        assert tiny(*words) == 2
        assert "--name cannot be" in capsys.readouterr().err
    assert ltr("test --ckpt_path a", f"--evaluation={name}") == 2
    assert "--evaluation cannot be" in capsys.readouterr().err
    assert sorted(path for path in Path().rglob("*")) == before


def test_a_folder_that_is_no_run_is_never_replaced(tiny, capsys) -> None:
    home = Path("checkpoints/thesis")
    home.mkdir(parents=True)
    (home / "thesis.txt").write_text("not a run")
    assert tiny("--name thesis --overwrite") == 2
    error = capsys.readouterr().err
    assert "is not a run of `ltr`, so `--overwrite` does not replace it" in error
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]
    (home / "config.yaml").write_text("of another program")
    assert tiny("--name thesis") == 2
    assert "has a config.yaml and is not a run of `ltr`" in capsys.readouterr().err
    assert (home / "config.yaml").read_text() == "of another program"


def test_replacing_a_run_keeps_what_other_callbacks_write(tiny) -> None:
    every_step = "--trainer.callbacks+=ModelCheckpoint --trainer.callbacks.save_top_k -1"
    every_step += " --trainer.callbacks.every_n_train_steps 1"
    written = {}
    for name, overwrite in (("plain", ""), ("over", "--overwrite")):
        assert tiny(f"--name {name} {overwrite}", every_step) == 0
        written[name] = sorted(path.name for path in Path(f"checkpoints/{name}").rglob("*"))
    assert written["plain"] == written["over"]
    assert len(written["plain"]) > 5


@contextmanager
def interruption() -> Iterator[None]:
    """End trainings by hand once their second epoch is saved."""
    save = Run.on_train_epoch_end

    def die(self, trainer, module) -> None:
        save(self, trainer, module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "on_train_epoch_end", die)
        yield


def same_run(one: str, other: str) -> None:
    """Fail unless two runs have the same curves and weights, bit for bit."""
    assert Path(f"checkpoints/{one}/metrics.csv").read_text() == Path(f"checkpoints/{other}/metrics.csv").read_text()
    first, second = (
        [part for part in tree_leaves(torch.load(f"checkpoints/{name}/last.ckpt")) if isinstance(part, torch.Tensor)]
        for name in (one, other)
    )
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


WAYS = {
    "as it is": "",
    "with averaged weights": "--trainer.callbacks+=EMA --trainer.callbacks.decay 0.6",
    "with a switch, a mix and AutoAugment": "--config drs.yaml --data.sampler.start 0.5 --config remix.yaml "
    "--config recipes/autoaugment.yaml",
    "with reworked images": "--trainer.callbacks+=CAMSampling",
    "with rates": '--model.rates {"backbone":0.1,"head.fc.bias":2.0}',
    "with two streams": f"--config bbn.yaml --data.batch_size 16 {small('--model.backbone')} "
    "--model.schedule Cosine --model.schedule.warmup 0",
    "with generated samples": f"--config rsg.yaml {small('--model.backbone')} "
    "--model.schedule Cosine --model.start 0.25 --model.loss.start 0.5",
    "with SAM": "--model.optimizer ltr.optimizers.SAM --model.optimizer.base torch.optim.SGD "
    "--model.optimizer.base.lr 0.05 --model.optimizer.base.momentum 0.9",
}


@pytest.mark.slow_but_one
@pytest.mark.parametrize("way", WAYS)
def test_a_resumed_run_equals_an_undisturbed_one(tiny, way: str) -> None:
    assert tiny("--name a --trainer.max_epochs 4", WAYS[way]) == 0
    with interruption():
        assert tiny("--name b --trainer.max_epochs 4", WAYS[way]) == 130
    # A row that was written after the last checkpoint belongs to an epoch that is trained again.
    with Path("checkpoints/b/metrics.csv").open("a") as rows:
        rows.write("2,9,9\n")
    assert tiny("--name b --trainer.max_epochs 4 --ckpt_path last", WAYS[way]) == 0
    same_run("a", "b")


@pytest.mark.slow_but_one
@pytest.mark.parametrize("steps", [1, 3])
def test_a_resumed_tuning_equals_an_undisturbed_one(trained, ltr, steps: int) -> None:
    trained("--name start")
    more = f"--trainer.max_epochs 4 --model.views 2 --model.steps_per_execution {steps}"
    tuning = ("fit", GML, f"--model.backbone.checkpoint start {more}")
    assert ltr(*tuning, "--name a") == 0
    with interruption():
        assert ltr(*tuning, "--name b") == 130
    Path("checkpoints/start/last.ckpt").unlink()
    assert ltr("fit --ckpt_path checkpoints/b/last.ckpt") == 0
    same_run("a", "b")


def test_the_seed_decides(tiny) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert tiny(f"--name {name} --seed_everything {seed}") == 0
    curves = [Path(f"checkpoints/{name}/metrics.csv").read_text() for name in "abc"]
    assert curves[0] == curves[1] != curves[2]


def test_what_a_checkpoint_says_of_hyper_parameters_changes_no_option(trained, tiny, ltr) -> None:
    trained("--name a")
    content = torch.load(RUN / "last.ckpt", weights_only=True)
    content["hyper_parameters"] = {"_class_path": "ltr.methods.BBN", "rates": {"head": 0.0}}
    torch.save(content, RUN / "last.ckpt")
    assert tiny("--name a --ckpt_path last --trainer.max_epochs 3") == 0
    written = yaml.safe_load((RUN / "config.yaml").read_text())["model"]
    assert ltr("test --ckpt_path a") == 0
    for model in (written, metrics()["config"]["model"]):
        assert model["class_path"] == "ltr.methods.Method"
        assert model["init_args"]["rates"] is None


@pytest.mark.slow
def test_a_run_is_named_after_its_method(tiny) -> None:
    assert tiny() == 0
    assert Path("checkpoints/ce/last.ckpt").is_file()
    Path("recipes").mkdir()
    Path("recipes/mine.yaml").write_text("data: {init_args: {batch_size: 8}}\n")
    assert tiny("--config recipes/mine.yaml --overwrite") == 0
    assert [path.name for path in Path("checkpoints").iterdir() if path.name != ".locks"] == ["ce"]
    assert tiny("--config balanced_softmax.yaml --config recipes/mine.yaml") == 0
    assert Path("checkpoints/balanced_softmax/last.ckpt").is_file()


@pytest.mark.slow
def test_tuning_survives_the_loss_of_the_file_it_started_from(trained, ltr) -> None:
    trained("--name a")
    assert ltr("fit", GML, "--name gml --model.backbone.checkpoint a") == 0
    gml = Path("checkpoints/gml")
    assert ltr("test --ckpt_path gml") == 0
    before = metrics(run=gml)
    (RUN / "last.ckpt").unlink()
    assert ltr("test --ckpt_path gml --evaluation again") == 0
    after = metrics("again", run=gml)
    assert before["recall"] == after["recall"]
    assert before["ece"] == after["ece"]
    last = table(gml / "metrics.csv")[-1]
    assert float(last["test/ece"]) == pytest.approx(before["ece"], abs=1e-9)


@pytest.mark.slow
def test_adjustments_reach_metrics_and_predictions(trained, ltr) -> None:
    trained("--name a")
    assert ltr("fit", GML, "--name gml --model.backbone.checkpoint a --model.reset true") == 0
    gml = Path("checkpoints/gml")
    assert ltr("test --ckpt_path gml") == 0
    assert ltr("test --ckpt_path gml --config ensemble.yaml --evaluation ensemble") == 0
    assert ltr("test --ckpt_path a --config logit_adjustment.yaml --evaluation la") == 0
    assert ltr("test --ckpt_path a") == 0
    assert metrics("ensemble", gml)["adjustments"] == [
        {"TemperatureEnsemble": {"t_new": 1.0, "t_old": 2.0, "temperatures": "given"}}
    ]
    assert metrics("la")["adjustments"] == [{"LogitAdjustment": {"tau": 1.0}}]
    plain, both, old, adjusted = (
        torch.load(path / "predictions.pt", weights_only=True)["probabilities"].double()
        for path in (gml / "test", gml / "ensemble", RUN / "test", RUN / "la")
    )
    softened = old.log().div(2).softmax(1)
    torch.testing.assert_close(both, (plain + softened) / 2, atol=1e-5, rtol=0)
    prior = torch.tensor([20.0, 14, 10, 7, 5]).double()
    torch.testing.assert_close(adjusted, (old.log() - prior.log()).softmax(1), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_file_can_be_taken_as_it_is(trained, ltr) -> None:
    trained("--name a")
    assert ltr("test --ckpt_path a") == 0
    assert (
        ltr(
            "fit --config pretrained.yaml --data Synthetic --data.imbalance 4 --trainer.precision 32-true",
            f"--model.backbone.checkpoint a {small('--model.backbone.backbone')}",
            "--name same --trainer.accelerator cpu",
        )
        == 0
    )
    assert ltr("test --ckpt_path same") == 0
    assert metrics(run=Path("checkpoints/same"))["recall"] == metrics()["recall"]


@pytest.mark.slow
def test_temperatures_are_fitted_on_images_that_nothing_has_seen(trained, tiny, ltr, capsys) -> None:
    trained("--name a --data.val_per_class 2")
    assert ltr("fit", GML, "--name gml --model.backbone.checkpoint a --data.val_per_class 2") == 0
    fit = "--config ensemble.yaml --trainer.callbacks.temperatures fitted --evaluation fitted"
    assert ltr("test --ckpt_path gml", fit) == 0
    said = metrics("fitted", Path("checkpoints/gml"))["adjustments"][0]["TemperatureEnsemble"]
    assert said["temperatures"] == "fitted"
    assert (said["t_new"], said["t_old"]) != (1.0, 2.0)
    assert tiny("--name b") == 0
    assert ltr("fit", GML, "--name gml2 --model.backbone.checkpoint b --data.val_per_class 2") == 0
    capsys.readouterr()
    assert ltr("test --ckpt_path gml2", fit) == 2
    assert "images of the validation split" in capsys.readouterr().err
