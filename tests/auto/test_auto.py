"""From a folder of images to a classifier, its page and its files."""

from __future__ import annotations

import csv
import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from ltr.auto.auto import images_of, network
from ltr.auto.candidates import Grid
from ltr.auto.network import data_words, library_of
from ltr.auto.work import Work
from ltr.backbones import Torchvision
from ltr.cli.command import perform
from ltr.data import FolderLT, Synthetic
from ltr.errors import InputError
from ltr.predictor import Predictor
from ltr.run.folder import RunFolder

Run = Callable[..., int]
pytestmark = pytest.mark.usefixtures("onnx_operators")
COUNTS = {"ant": 30, "bee": 16, "cat": 9, "dog": 5}


def draw(folder: Path, counts: dict[str, int], first: int = 0) -> None:
    """Write images of noise, each class with a colour of its own."""
    for place, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for at in range(first, first + count):
            pixels = np.random.default_rng([place, at]).integers(0, 160, (10, 10, 3))
            pixels[..., place % 3] += 30 * (place + 1) // 2
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{at}.png")


def lay_out(place: Path) -> Path:
    """Write images of noise and a small grid into a folder; return where the images are."""
    draw(place / "images", COUNTS)
    grid = yaml.safe_load((Path(__file__).parents[2] / "configs" / "auto.yaml").read_text())
    options = grid["trainer"]["callbacks"][0]["init_args"]
    options["losses"] = {name: options["losses"][name] for name in ("cross-entropy", "GML")}
    options["lrs"] = [0.03, 0.3]
    grid["trainer"]["max_epochs"] = 10
    (place / "grid.yaml").write_text(yaml.safe_dump(grid, sort_keys=False))
    return place / "images"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder of images of noise, each class with a colour of its own, beside a small grid."""
    return lay_out(tmp_path)


@pytest.fixture
def start(trained: Callable[..., None]) -> str:
    """Return the name of a small run."""
    trained("--name start")
    return "start"


@pytest.fixture
def auto(ltr: Run, home: Path, start: str) -> Run:
    """Return `ltr auto` on the images, with the features of a small trained run."""
    return lambda *words: ltr(f"auto {home} --grid grid.yaml --backbone {start}", *words)


class Whole(NamedTuple):
    """A whole `ltr auto`, to look at and not to change.

    Attributes:
        place: where it was called.
        told: what it printed.
        images: what was in the folder of images before it.
    """

    place: Path
    told: str
    images: list[Path]


@pytest.fixture(scope="module")
def wholes() -> list[Whole]:
    """Return where `whole` is kept for the next test."""
    return []


@pytest.fixture
def whole(
    wholes: list[Whole],
    ltr: Run,
    start: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Whole:
    """Return what one `ltr auto` has made; all tests look at the same."""
    if not wholes:
        place = tmp_path_factory.mktemp("whole")
        home = lay_out(place)
        shutil.copytree("checkpoints", place / "checkpoints")
        before = sorted(home.rglob("*"))
        with monkeypatch.context() as patch:
            patch.chdir(place)
            assert ltr(f"auto {home} --grid grid.yaml --backbone {start}") == 0
        wholes.append(Whole(place, capsys.readouterr().out, before))
    return wholes[0]


@pytest.mark.slow
def test_a_folder_becomes_a_classifier(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole.place)
    home = whole.place / "images"
    assert sorted(home.rglob("*")) == whole.images, "the folder of the images is not written to"
    folder = Path("checkpoints/auto")
    choice = json.loads((folder / "choice.json").read_text())
    assert choice["seeds"] == 3
    assert choice["heads"] == 1 + 6 + 2 * 2 * 3
    command = next(line for line in whole.told.splitlines() if line.startswith("new images: ltr predict "))
    run, config = command.split()[command.split().index("--ckpt_path") + 1], str(folder / "answer.yaml")
    predictor = Predictor.load(run, config, device="cpu")
    images = sorted(home.rglob("*.png"))[:5]
    answer = predictor.predict(images)
    assert answer.sets is not None, "prediction sets belong to the classifier"
    session = onnxruntime.InferenceSession(folder / "classifier.onnx", providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape[1] == len(COUNTS)
    page = (folder / "report.html").read_text()
    for said in ("plain cross-entropy", "logit adjustment", "Where the time went", "ltr predict --ckpt_path"):
        assert said in page, said
    rows = (folder / "table.md").read_text()
    assert "chosen: " in rows
    assert "| plain cross-entropy |" in rows


@pytest.mark.slow
def test_what_is_stopped_goes_on(
    whole: Whole, auto: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module("ltr.auto.auto")  # the package has the function of this name
    for place in ("network", "heads", "decide", "study", "exported"):
        with monkeypatch.context() as patch:
            done = getattr(module, place)

            def stop(*arguments: Any, done: Any = done, **options: Any) -> None:
                done(*arguments, **options)
                raise KeyboardInterrupt

            patch.setattr(module, place, stop)
            assert auto("--name stopped") == 130
            assert "the same command goes on, what is finished is kept" in capsys.readouterr().err
    assert auto("--name stopped") == 0
    undisturbed, stopped = whole.place / "checkpoints" / "auto", Path("checkpoints/stopped")
    assert (stopped / "choice.json").read_text() == (undisturbed / "choice.json").read_text()
    for seed in "012":
        table = Path("grid", seed, "grid.csv")
        assert (stopped / table).read_text() == (undisturbed / table).read_text()
    states = [torch.load(next(one.glob("network/last.ckpt")))["state_dict"] for one in (undisturbed, stopped)]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert auto("--name stopped --goal hm") == 2
    assert "stopped was made with other arguments" in capsys.readouterr().err


@pytest.mark.slow
def test_a_small_network_is_trained_within_the_time(
    ltr: Run, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # it is not needed for this
    assert ltr(f"auto {home} --grid grid.yaml --minutes 0.01 --goal lowest") == 0
    told = capsys.readouterr().out
    assert "No `--backbone` is given. It trains a ResNet on your images alone." in told
    assert "5 epochs fit into the time." in told, "no fewer are trained"
    assert "3 epochs of the heads fit into the time." in told
    record = json.loads(Path("checkpoints/auto/auto.json").read_text())
    assert record["seeds"] == 1
    assert " with one seed each, on " in told
    assert len(Path("checkpoints/auto/grid/run/metrics.csv").read_text().splitlines()) == 1 + 3
    assert not Path("checkpoints/auto/trial").exists()
    assert "There is no ONNX file: " in told
    assert not Path("checkpoints/auto/classifier.onnx").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_the_classifier_is_a_head_of_the_grid(whole: Whole, tmp_path: Path) -> None:
    shutil.copytree(whole.place / "checkpoints" / "auto", "checkpoints/auto")
    start = ["--model.backbone.checkpoint", "checkpoints/auto/network", "--data.batch_size", "32"]
    grid = Grid("grid.yaml", tmp_path / "again", start, perform)
    candidates, right, _ = grid.train([0])
    for place, candidate in enumerate(candidates):
        if candidate.lr is not None and candidate.t_old is None:
            words = grid.fit(candidate)
            assert words is not None
            perform("fit", [*words, "--name", "one", "--overwrite", "--seed_everything", "0"], tell=False)
            with Path("checkpoints/one/metrics.csv").open(newline="") as lines:
                last = [*csv.DictReader(lines)][-1]
            assert float(last["val/top1"]) == pytest.approx(float(right[place, 0].double().mean())), candidate.title
            assert last["epoch"] == "9", "of ten, as its file says"


def test_epochs_fit_into_a_time(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight batches take 4 s, so an epoch of 800 images takes 40 s; the rest of the work takes 6 s."""
    monkeypatch.chdir(home.parent)
    grid = Grid("grid.yaml", tmp_path, [], perform)

    @contextmanager
    def trial(*_: object) -> Iterator[RunFolder]:
        torch.save({"seconds": 10.0}, tmp_path / "last.ckpt")
        torch.save({"seconds": 4.0, "images": 80}, tmp_path / "right.pt")
        yield RunFolder(tmp_path)

    monkeypatch.setattr("ltr.auto.candidates.trial", trial)
    assert grid.epochs_within(6 + 7 * 40, 800) == 7
    assert grid.epochs_within(7.0, 800) == 3, "no fewer"
    assert (grid.cut(12), grid.words) == (False, [])
    assert (grid.cut(7), grid.words) == (True, ["--trainer.max_epochs", "7"])


@pytest.mark.slow
@pytest.mark.usefixtures("home", "start")
@pytest.mark.filterwarnings("ignore:1 file that is not an image is left out")
def test_a_class_of_one_image_and_two_classes(ltr: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "two" / "train", {"ant": 8, "bee": 1})
    draw(tmp_path / "two" / "test", {"ant": 3, "bee": 3}, first=50)
    (tmp_path / "two" / "train" / "ant" / "broken.png").write_text("no image")
    assert ltr(f"auto {tmp_path}/two --grid grid.yaml --backbone start --name two") == 0
    said = capsys.readouterr().out
    assert "1 file cannot be read to the end" in said
    assert "There are too few validation images to choose." in said, "one of the larger class"
    assert json.loads(Path("checkpoints/two/network/test/metrics.json").read_text())["counts"] == [7, 1]

    draw(tmp_path / "one", {"ant": 8, "bee": 1})
    assert ltr(f"auto {tmp_path}/one --grid grid.yaml --backbone start --name one") == 2
    assert "there is only one image of class bee" in capsys.readouterr().err


def test_what_cannot_be_used_is_said(ltr: Run, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ltr(f"auto {home} --goal best") == 2
    assert "--goal is mean-recall, top1, hm, lowest, or a YAML file" in capsys.readouterr().err
    assert ltr("auto nowhere") == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert ltr(f"auto {home} --backbone resnet5O --name other") == 2
    assert "there is no checkpoint resnet5O" in (said := capsys.readouterr().err)
    assert "It is no network of a library either; did you mean resnet50?" in said
    assert ltr(f"auto {home} --backbone resnet18 --weights nowhere.pt --name third") == 2
    assert "nowhere.pt" in capsys.readouterr().err
    assert ltr(f"auto {home} --weights nowhere.pt") == 2
    assert "`--weights` are those of a network: name it with `--backbone`" in capsys.readouterr().err
    assert ltr(f"auto --minutes 1 {home}") == 2
    assert "name the images first, before all options" in capsys.readouterr().err


@pytest.mark.parametrize("callbacks", ["[]", "[HeadGrid]", "HeadGrid", "null"])
def test_another_grid_is_checked_first(
    ltr: Run, home: Path, callbacks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wrong.yaml").write_text(f"trainer:\n  callbacks: {callbacks}\n")
    assert ltr(f"auto {home} --grid wrong.yaml") == 2
    assert "wrong.yaml is no grid of heads with the loss `GML`" in capsys.readouterr().err
    assert not Path("checkpoints").exists(), "nothing was begun"


def test_a_command_can_be_mended_until_there_is_a_network(tmp_path: Path) -> None:
    asked = {"goal": "mean-recall", "images": 1}
    work = Work.begin(tmp_path, asked)
    with work.stage("profile"):
        (tmp_path / "profile").mkdir()
        (tmp_path / "profile" / "profile.json").write_text("{}")
        (tmp_path / "test_split.csv").write_text("image,split\n")
    assert Work.begin(tmp_path, asked).record["seconds"].keys() == {"profile"}
    assert Work.begin(tmp_path, {**asked, "goal": "hm"}).record["seconds"] == {}
    assert not (tmp_path / "profile" / "profile.json").exists(), "made anew"
    assert not (tmp_path / "test_split.csv").exists(), "a split that a trial has drawn is drawn anew, too"
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "last.ckpt").touch()
    for other, made in (({"goal": "hm"}, "with other arguments"), ({"images": 2}, "of other images")):
        with pytest.raises(InputError, match=f"was made {made}: choose another `--name`"):
            Work.begin(tmp_path, {**asked, **other})


def test_the_test_split_of_earlier_trainings_stays(home: Path, tmp_path: Path) -> None:
    FolderLT(home).setup("fit")
    for at in range(100, 120):
        Image.new("RGB", (8, 8), (at, 0, 0)).save(home / "ant" / f"{at}.png")
    data = FolderLT(home)
    profile = {"commands": ["ltr fit - - - -"], "counts": {}, "drawn": True}
    words = network(Work(tmp_path / "auto", {}), data, profile, ["start"], None)
    split = words[words.index("--data.test_split") + 1]
    assert FolderLT(home, test_split=split).listings["test"].names == data.listings["test"].names


def test_validation_images_are_asked_for_before_a_training(
    ltr: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "scarce", {"ant": 2, "bee": 2})
    assert ltr(f"auto {tmp_path}/scarce") == 2
    assert "no class has two training images, of which one could be held out" in capsys.readouterr().err
    assert not Path("checkpoints/auto/network").exists()


def test_a_set_of_files_has_the_number_of_its_names_labels_and_content(home: Path) -> None:
    made = home.with_name("made")
    draw(made, {"dog": 2}, first=100)

    def images() -> int | None:
        return images_of(FolderLT(home, synthetic=str(made)))

    known = [images()]
    assert images() == known[0]
    image = home / "dog" / "0.png"
    image.rename(home / "cat" / "100.png")
    known.append(images())
    image = home / "dog" / "1.png"
    whole = image.read_bytes()
    image.write_bytes(whole[:50])
    known.append(images())
    image.unlink()
    image.symlink_to("nowhere.png")
    known.append(images())
    (made / "dog" / "100.png").write_bytes(whole)
    known.append(images())
    assert len({*known}) == len(known), "moved, damaged, gone, another synthetic image"
    assert images_of(Synthetic()) is None


def test_the_network_that_the_profile_advises_is_trained() -> None:
    advised = "--data FolderLT --data.root x --data.size 96 --model.backbone ResNet10 --name x"
    command = f"ltr fit --config ce.yaml --config recipes/short.yaml {advised}"
    profile = {"commands": [command], "counts": {"val": []}, "drawn": False}
    words = data_words(profile, Path("auto"), pretrained=False)
    assert words == advised.removesuffix(" --name x").split()
    words = data_words(profile, Path("auto"), pretrained=True)
    assert words == ["--data", "FolderLT", "--data.root", "x"]


def test_without_a_network_the_sentence_says_what_to_pass(
    ltr: Run, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(_: Torchvision) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(Torchvision, "read", offline)
    assert ltr(f"auto {home} --backbone resnet18") == 2
    said = capsys.readouterr().err
    assert "no route to host): download https://download.pytorch.org/models/resnet18-" in said
    assert "pass the path of the file with `--model.backbone.pretrained`, `--weights` of `ltr auto`" in said


def test_networks_have_names() -> None:
    assert library_of("resnet50", "") == "Torchvision"
    assert library_of("vit_small_patch14_dinov2.lvd142m", "") == "Timm"
    assert library_of("hf-hub:user/name", "") == "Timm"
    assert library_of("ViT-B-16", "") == "OpenCLIP"
    with pytest.raises(InputError, match="It is no network of a library either"):
        library_of("vit_gigantic_patch3", "there is no run.")
