"""A test is told of the images that the network was trained on."""

from __future__ import annotations

import csv
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

OPTIONS = (
    "--data FolderLT --data.root images --data.size 8 --data.batch_size 16 --model.schedule Cosine "
    "--model.schedule.warmup 0 --trainer.max_epochs 1 --trainer.enable_progress_bar false --trainer.accelerator cpu "
    "--trainer.precision 32-true"
)
PLAIN = f"fit --config ce.yaml {OPTIONS} --model.backbone ResNet20 --model.backbone.width 4"
TUNED = f"fit --config gml.yaml {OPTIONS} --model.backbone.backbone ResNet20 --model.backbone.backbone.width 4"


@pytest.fixture(autouse=True)
def noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write 30 different images of two classes, of which 6 are for testing."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name, count in {"a": 20, "b": 10}.items():
        (Path("images") / name).mkdir(parents=True)
        for at in range(count):
            Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(f"images/{name}/{at}.png")


def split(seed: int) -> dict[str, set[str]]:
    """Return the names of the images of each split that was drawn, as they are in its file."""
    with Path(f"images/ltr_split_0.2_{seed}.csv").open() as lines:
        rows = list(csv.reader(lines))[1:]
    return {name: {row[0] for row in rows if row[1] == name} for name in ("train", "test")}


def seen(run: str, evaluation: str = "test") -> int | None:
    found: int | None = json.loads(Path(f"checkpoints/{run}/{evaluation}/metrics.json").read_text())["seen_in_training"]
    return found


def test_the_test_split_of_a_run_is_new_to_it(ltr) -> None:
    assert ltr(PLAIN, "--name a") == 0
    assert ltr("test --ckpt_path a") == 0
    assert seen("a") == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* were drawn for it")
def test_a_split_that_was_drawn_again_is_not(ltr) -> None:
    assert ltr(PLAIN, "--name a") == 0
    assert ltr(PLAIN, "--name b --data.subset_seed 1") == 0  # which keeps the split that it draws, a test does not
    other = "--ckpt_path a --data.subset_seed 1"
    again = f"{other} --evaluation again"
    with pytest.warns(UserWarning, match="was trained on .* of the 6 images of the test split"):
        assert ltr("test", again) == 0
    expected = len(split(0)["train"] & split(1)["test"])
    assert expected > 0
    assert seen("a", "again") == expected
    # Neither the size of the images nor where they are held makes other images of them.
    with pytest.warns(UserWarning, match=f"was trained on {expected} of"):
        assert ltr("test", again, "--data.memory 0 --data.size 16 --data.workers 0") == 0
    for verb in (f"predict {again}", f"validate {other}"):
        with pytest.warns(UserWarning, match=f"was trained on {expected} of"):
            assert ltr(verb) == 0


def test_the_backbone_has_seen_images_too(ltr) -> None:
    assert ltr(PLAIN, "--name a") == 0
    assert ltr(TUNED, "--name tuned --data.subset_seed 1 --model.backbone.checkpoint a") == 0
    with pytest.warns(UserWarning, match="was trained on"):
        assert ltr("test --ckpt_path tuned") == 0
    assert seen("tuned") == len(split(0)["train"] & split(1)["test"])
    record = torch.load("checkpoints/tuned/last.ckpt")["training_record"]
    assert len(record["images"]) == len(split(0)["train"] | split(1)["train"])


def test_a_file_that_was_kept_as_it_is_has_seen_nothing_more(ltr) -> None:
    assert ltr(PLAIN, "--name a") == 0
    as_it_is = TUNED.replace("gml", "pretrained").replace("max_epochs 1", "max_epochs 0")
    assert ltr(as_it_is, "--name b --data.subset_seed 1 --model.backbone.checkpoint a") == 0
    first, second = (torch.load(f"checkpoints/{name}/last.ckpt")["training_record"]["images"] for name in "ab")
    assert torch.equal(first, second)


@pytest.mark.parametrize("stranger", [False, True])
def test_what_is_not_known_is_not_called_nothing(ltr, stranger: bool) -> None:
    assert ltr(PLAIN, "--name a") == 0
    content = torch.load("checkpoints/a/last.ckpt")
    del content["training_record"]
    torch.save(content, "checkpoints/a/last.ckpt")
    run = "a"
    if stranger:
        torch.save(content["state_dict"], "bare.pt")
        assert ltr(TUNED, "--name tuned --model.backbone.checkpoint bare.pt") == 0
        run = "tuned"
    assert ltr(f"test --ckpt_path {run}") == 0
    assert seen(run) is None


@pytest.mark.filterwarnings("ignore:.* has no test image of 1 class")
def test_copies_of_images_under_other_names_are_found(ltr) -> None:
    assert ltr(PLAIN, "--name a") == 0
    for at, name in enumerate(sorted(split(0)["train"])[:3]):
        (Path("others/test") / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("images") / name, (Path("others/test") / name).with_name(f"copy{at}.png"))
    shutil.copytree("images", "others/train", ignore=shutil.ignore_patterns("*.csv"))
    with pytest.warns(UserWarning, match="was trained on 3 of the 3 images"):
        assert ltr("test --ckpt_path a --data.root others --evaluation others") == 0


def test_it_is_a_note_on_the_command_line(ltr, capsys) -> None:
    assert ltr(PLAIN, "--name a") == 0
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *args, **_: print(warnings.formatwarning(*args), end="")  # past pytest's own
        assert ltr("predict --ckpt_path a --data.subset_seed 1") == 0
    assert "\nltr: note: the network was trained on " in capsys.readouterr().out
