"""Runs of BBN and RSG are evaluated, and a classifier is retrained on what they have learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

COMMON = (
    "--data Synthetic --data.imbalance 4 --data.batch_size 16 --model.schedule Cosine --model.schedule.warmup 0 "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)
SMALL = "ResNet20 --model.backbone.backbone.width 4"
DOUBLE = "Bilateral --model.backbone.backbone.backbone ResNet20 --model.backbone.backbone.backbone.init_args.width 4"
RUNS = {
    "bbn": ("", DOUBLE, "Linear"),
    "rsg": ("--model.start 0.5 --model.loss.start 0.5", SMALL, "Cosine"),
}


@pytest.mark.slow_but_one
@pytest.mark.parametrize("name", RUNS)
def test_gml_tunes_the_classifier_of_a_run(name: str, ltr) -> None:
    words, backbone, head = RUNS[name]
    first = f"fit --config {name}.yaml {COMMON} --model.backbone ResNet20 --model.backbone.width 4 {words}"
    assert ltr(f"{first} --trainer.max_epochs 2 --trainer.check_val_every_n_epoch 2") == 0
    assert ltr(f"test --ckpt_path {name}") == 0
    assert 0 <= json.loads(Path(f"checkpoints/{name}/test/metrics.json").read_text())["top1"] <= 1
    tuning = f"fit --config gml.yaml {COMMON} --trainer.max_epochs 1 --model.backbone.checkpoint {name}"
    kinds = f"--model.backbone.backbone {backbone} --model.head {head} --model.old_head {head}"
    assert ltr(f"{tuning} {kinds}") == 0
    run, tuned = (torch.load(f"checkpoints/{which}/last.ckpt")["state_dict"] for which in (name, "gml"))
    kept = {key: value for key, value in run.items() if key.startswith("backbone.")}
    for key, value in kept.items():
        assert torch.equal(tuned[key.replace("backbone.", "backbone.backbone.", 1)], value), key
    assert not any(key.startswith("generator.") for key in tuned)
    assert ltr("test --ckpt_path gml") == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of small images in four classes."""
    for split, counts in (("train", (12, 8, 4, 4)), ("test", (2, 2, 2, 2))):
        for label, count in enumerate(counts):
            home = tmp_path / "images" / split / f"class{label}"
            home.mkdir(parents=True)
            for at in range(count):
                Image.new("RGB", (40, 32), (60 * label, 10 * at, 200 - 50 * label)).save(home / f"{at}.png")
    return tmp_path / "images"


STUDY = (
    "--config recipes/rsg_ldam_supcon.yaml --data FolderLT --data.size 32 --data.batch_size 14 --model.head_share 0.5 "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the network was trained on")  # of one colour, so equal in both splits
def test_the_study_of_mixtures_runs_on_image_folders(folder: Path, ltr) -> None:
    """Its own network takes a step; a smaller one is trained until samples are generated, and tested."""
    assert ltr(f"fit {STUDY} --data.root {folder} --trainer.fast_dev_run true") == 0
    small = "--model.backbone ResNet10 --trainer.max_epochs 2 --model.start 0.5 --trainer.check_val_every_n_epoch 2"
    assert ltr(f"fit {STUDY} --data.root {folder} {small} --name study") == 0
    state = torch.load("checkpoints/study/last.ckpt")["state_dict"]
    assert any(key.startswith("generator.") for key in state)
    assert ltr("test --ckpt_path study") == 0
    assert json.loads(Path("checkpoints/study/test/metrics.json").read_text())["data"]["name"] == "images"


@pytest.mark.parametrize("head", ["Linear", "Cosine"])
@pytest.mark.parametrize("weights", ["CostSensitive", "ClassBalanced", "none"])
def test_the_core_of_the_study_in_all_its_forms(head: str, weights: str, folder: Path, ltr, tmp_path: Path) -> None:
    scale = {"scale": 1.0} if head == "Linear" else {}
    ldam = {"class_path": "ltr.losses.LDAM", "init_args": {"margin": 0.3, **scale}}
    settings = {"CostSensitive": {"power": 1.0}, "ClassBalanced": {"beta": 0.999}}
    first = ldam
    if weights != "none":
        first = {"class_path": f"ltr.losses.{weights}", "init_args": {"loss": ldam, **settings[weights]}}
    parts = {"losses": [first, "ltr.losses.SupCon"], "weights": [0.1, 0.9]}
    loss = {"class_path": "ltr.losses.Combined", "init_args": parts}
    heads = {"class_path": "ltr.heads.Projection", "init_args": {"classifier": f"ltr.heads.{head}", "size": 8}}
    (tmp_path / "form.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"loss": loss, "head": heads}}}))
    network = "--model.backbone ResNet20 --model.backbone.width 4 --trainer.fast_dev_run true"
    assert ltr(f"fit {STUDY} --config form.yaml --data.root {folder} {network}") == 0
