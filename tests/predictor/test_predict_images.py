"""New images without labels are classified from the shell and from Python, without the images of the training."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ltr as package
from ltr.__main__ import main
from ltr.callbacks import TemperatureScaling
from ltr.errors import InputError
from ltr.predictor import Predictor
from ltr.predictor.fitted import Fitted
from ltr.predictor.images import Images

pytestmark = pytest.mark.usefixtures("here")

FIT = (
    "--data FolderLT --data.root images --data.size 8 --data.batch_size 8 --data.val_per_class 2 "
    "--trainer.accelerator cpu --trainer.enable_progress_bar false --trainer.max_epochs 1 --trainer.precision 32-true "
    "--model.schedule Cosine --model.schedule.warmup 0 --model.backbone ResNet20 --model.backbone.width 4"
)

FITTED = ("temperature_scaling", "post_hoc_vector_scaling", "conformal")  # configs


def picture(seed: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    """Return an image of random pixels."""
    pixels = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run, its predictions and unlabelled images; the images of its training are gone."""
    home = tmp_path_factory.mktemp("home")
    for label, count in enumerate((9, 6, 4)):
        for split, number in (("train", count), ("test", 4)):
            folder = home / "images" / split / f"class {label}"
            folder.mkdir(parents=True)
            for index in range(number):
                picture(100 * label + index + (50 if split == "test" else 0)).save(folder / f"{index}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("PL_GLOBAL_SEED", "0")
        main(f"fit --config ce.yaml {FIT} --name run".split())
        for name in FITTED:
            main(f"test --ckpt_path run --config {name}.yaml --evaluation {name}".split())
        main(["predict", "--ckpt_path", "run", "--evaluation", "split"])
        shutil.copytree("images/test", "new")
        (home / "images").rename("away")
    return home


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the run is."""
    monkeypatch.chdir(home)


def table(evaluation: str, file: str = "predictions.csv") -> list[dict[str, str]]:
    """Return the rows of a table of predictions."""
    with Path(f"checkpoints/run/{evaluation}/{file}").open() as lines:
        return list(csv.DictReader(lines))


def probabilities(evaluation: str) -> torch.Tensor:
    found: torch.Tensor = torch.load(f"checkpoints/run/{evaluation}/predictions.pt")["probabilities"]
    return found


def predict(*words: str) -> int:
    """Return the exit status of `ltr predict`."""
    try:
        main(["predict", "--ckpt_path", "run", *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_split_is_predicted_with_the_names_of_its_files() -> None:
    rows = table("split")
    assert [row["image"] for row in rows[:2]] == ["test/class 0/0.png", "test/class 0/1.png"]
    assert rows[0].keys() == {"image", "label"} | {
        f"{what}_{k}" for what in ("class", "probability") for k in (1, 2, 3)
    }


def test_new_images_are_answered_as_those_of_a_split_bit_for_bit(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--images", "new") == 0
    assert "of 12 images" in capsys.readouterr().out
    assert torch.equal(probabilities("predict"), probabilities("split"))
    rows, known = table("predict"), table("split")
    assert [f"test/{row['image']}" for row in rows] == [row["image"] for row in known]
    assert "label" not in rows[0]
    for row, other in zip(rows, known, strict=True):
        assert [row[key] for key in ("class_1", "probability_1")] == [
            other[key] for key in ("class_1", "probability_1")
        ]
    files = sorted(str(path) for path in Path("new").rglob("*.png"))
    assert predict("--images", *files, "--evaluation", "files", "--top", "1") == 0
    assert torch.equal(probabilities("files"), probabilities("split"))
    assert [row["image"] for row in table("files")] == files
    assert table("files")[0].keys() == {"image", "class_1", "probability_1"}


def test_a_folder_without_its_option_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("new") == 2
    assert "new belongs to no option: name new images with `--images`." in capsys.readouterr().err


def test_a_temperature_that_is_given_needs_no_images() -> None:
    (adjustment,) = json.loads(Path("checkpoints/run/temperature_scaling/metrics.json").read_text())["adjustments"]
    (temperature,) = adjustment["TemperatureScaling"]["temperatures"]
    words = f"--images new --config temperature_scaling.yaml --trainer.callbacks.temperature {temperature!r}"
    assert predict(*words.split(), "--evaluation", "given") == 0
    assert torch.equal(probabilities("given"), probabilities("temperature_scaling"))


def test_python_answers_as_the_shell_to_paths_images_and_tensors() -> None:
    files = sorted(Path("new").rglob("*.png"))
    run = package.load("run")
    wanted = probabilities("split")
    opened = [Image.open(path) for path in files]
    tensors = torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in opened])
    for images in (files, map(str, files), "new", opened, tensors, list(tensors)):
        found = run.predict(images)
        assert torch.equal(found.probabilities, wanted)
    assert found.names[3] == "image 3"
    assert len(run.predict(files[0])) == len(run.predict(opened[0])) == len(run.predict(tensors[0])) == 1
    best = run.predict(files).top(2)
    assert [name for name, _ in best[0]] == [f"class {at}" for at in wanted[0].topk(2).indices.tolist()]
    assert [value for _, value in best[0]] == wanted[0].topk(2).values.tolist()
    assert torch.equal(run.output(tensors).logits, run.predict(tensors).logits)


@pytest.mark.slow_but_one
@pytest.mark.parametrize("there", [True, False])
def test_temperatures_and_prediction_sets_are_those_of_the_test(there: bool) -> None:
    if there:  # they are fitted anew
        shutil.copytree("away", "images")
    try:
        for name in FITTED:
            assert predict("--images", "new", "--config", f"{name}.yaml", "--evaluation", "again") == 0
            assert torch.equal(probabilities("again"), probabilities(name))
        sets = torch.load("checkpoints/run/conformal/sets.pt")["sets"]
        assert torch.equal(torch.load("checkpoints/run/again/predictions.pt")["sets"], sets)
        names = [" | ".join(f"class {at}" for at in row.nonzero().flatten().tolist()) for row in sets]
        assert [row["set"] for row in table("again")] == names
    finally:
        if there:
            shutil.rmtree("images")
    assert not torch.equal(probabilities("temperature_scaling"), probabilities("split"))


@pytest.mark.parametrize(
    ("options", "changed", "said"),
    [
        (["--trainer.callbacks.per_class", "true"], {}, "TemperatureScaling is fitted to images of the run: run `ltr"),
        ([], {"weights": "of another network"}, "with the same adjustments once where they are"),
        ([], {"adjustments": [{"TemperatureScaling": {"temperatures": ["hot"]}}]}, "damaged: test the run again"),
        ([], {"adjustments": [{"TemperatureScaling": {"temperatures": [float("nan")]}}]}, "damaged"),
    ],
)
def test_fitted_values_are_of_the_same_network_and_the_same_options(
    options: list[str], changed: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path("checkpoints/run/temperature_scaling/metrics.json")
    original = file.read_text()
    file.write_text(json.dumps(json.loads(original) | changed))
    try:
        assert predict("--images", "new", "--config", "temperature_scaling.yaml", *options) == 2
    finally:
        file.write_text(original)
    assert said in capsys.readouterr().err


def test_the_test_that_is_missing_is_named_as_a_command(tmp_path: Path) -> None:
    checkpoint = tmp_path / "my run" / "last.ckpt"
    with pytest.raises(InputError, match=re.escape(f"run `ltr test --ckpt_path '{checkpoint}'` with the same")):
        Fitted(checkpoint, {}, {}).restore(TemperatureScaling(), 0, InputError("there are no images."))


def test_what_is_said_of_new_images_is_about_them(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("image\nü.png".encode("latin-1"))
    for given, sentence in {
        tmp_path / "latin.csv": r"latin\.csv is not in UTF-8 .*: save it as UTF-8\.$",
        tmp_path / "none.csv": r"there is no table .*none\.csv: name a CSV or Parquet file\.$",
        "": "image 0 is an empty text: name a file, a folder or a table",
    }.items():
        with pytest.raises(InputError, match=sentence):
            Images.of([given])
    batch = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(InputError, match=r"one image \(3, H, W\), but image 0 has \(2, 3, 8, 8\)"):
        Images.of([batch, batch])


def test_a_table_among_files_gives_the_title(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(0, (8, 8)).save(tmp_path / name)
    (tmp_path / "test.csv").write_text("id\na.png\n")
    assert Images.of([tmp_path / "test.csv", tmp_path / "b.png"]).column == "id"
    assert Images.of([tmp_path / "b.png", tmp_path / "test.csv"]).column == "id"
    assert Images.of([tmp_path / "b.png"]).column == "image"


@pytest.mark.parametrize("ending", ["", ".png"])
def test_a_path_that_is_too_long_is_an_image_that_is_missing(ending: str) -> None:
    given = "x" * 300 + ending
    assert Images.of(given).names == [given]
    with pytest.raises(InputError, match="there is no table xxx"):
        Images.of("x" * 300 + ".csv")


def odd_images(folder: Path) -> list[str]:
    """Write readable images of many sizes and kinds; return their names."""
    folder.mkdir()
    kinds = {"RGB": "jpg", "L": "png", "P": "gif", "RGBA": "png", "CMYK": "tif", "1": "bmp", "LA": "webp"}
    sizes = [(1, 1), (3, 200), (300, 2), (31, 17), (8, 8), (640, 480)]
    names = []
    for number, (mode, ending) in enumerate(kinds.items()):
        for width, height in sizes:
            names.append(f"{mode} {width}x{height}.{ending}")
            image = picture(number, (width, height)).convert(mode)
            image = image.convert("RGBA") if ending == "webp" else image
            image.save(folder / names[-1])
    deep = Image.fromarray(np.arange(0, 64000, 1000, dtype=np.uint16).reshape(8, 8))
    deep.save(folder / "deep.png")
    exif = Image.Exif()
    exif[274] = 6  # lies on its side
    picture(3, (9, 30)).save(folder / "turned.JPEG", exif=exif)
    return sorted([*names, "deep.png", "turned.JPEG"])


def test_images_of_any_size_and_kind_are_read(tmp_path: Path) -> None:
    names = odd_images(tmp_path / "odd")
    names = [*names, *("\u00fc \u2603.png", "two\nlines.png")]
    for name in names[-2:]:
        picture(0).save(tmp_path / "odd" / name)
    (tmp_path / "odd" / "notes.txt").write_text("no image")
    (tmp_path / "odd" / ".hidden.png").write_text("no image")
    found = Predictor.load("run").predict(tmp_path / "odd")
    assert list(found.names) == sorted(names)
    assert found.unreadable == []
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(len(names)))


@pytest.mark.slow
def test_unreadable_images_are_named_and_skipped_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    picture(1).save(folder / "b.png")
    (folder / "a.png").write_bytes((folder / "b.png").read_bytes()[:60])
    assert predict("--images", str(folder)) == 2
    assert "a.png is damaged or not an image: repair or remove it, or skip such images" in capsys.readouterr().err
    (folder / "c.jpg").write_text("no image")
    (folder / "d.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "e.png")
    before = sorted(Path("checkpoints").rglob("*"))
    assert predict("--images", str(folder), "--evaluation", "none") == 2
    error = capsys.readouterr().err
    assert "a.png is damaged or not an image, and 3 other images cannot be read either (c.jpg, d.png, e.png): " in error
    assert "repair or remove them" in error
    assert "`--unreadable skip`" in error
    assert sorted(Path("checkpoints").rglob("*")) == before
    left_out = "4 images left out: a.png is damaged or not an image, c.jpg .* and 1 more"
    with pytest.warns(UserWarning, match=left_out):
        assert predict("--images", str(folder), "--evaluation", "skipped", "--unreadable", "skip") == 0
    assert [row["image"] for row in table("skipped")] == ["b.png"]
    found = package.load("run").predict(folder, unreadable="skip")
    assert found.unreadable[2:] == [("d.png", "does not exist"), ("e.png", "is not a regular file")]
    (folder / "b.png").unlink()
    assert predict("--images", str(folder), "--unreadable", "skip") == 2
    assert "there is no image to classify: a.png is damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_a_table_without_labels_becomes_a_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "elsewhere" / "test_images"
    folder.mkdir(parents=True)
    for number in range(3):
        picture(number).save(folder / f"img_{number}.{'jpg' if number else 'PNG'}")
    (tmp_path / "test.csv").write_text("id\nimg_2\nimg_0\nimg_1\n")
    words = ["--images", f"{tmp_path}/test.csv", "--submission", "--evaluation", "kaggle"]
    assert predict(*words) == 2
    assert "has none of the images that" in capsys.readouterr().err
    assert predict(*words, "--folder", str(folder)) == 0
    rows = table("kaggle", "submission.csv")
    assert [row["id"] for row in rows] == ["img_2", "img_0", "img_1"]
    wanted = package.load("run").predict([folder / "img_2.jpg", folder / "img_0.PNG", folder / "img_1.jpg"])
    assert [row["label"] for row in rows] == [best[0][0] for best in wanted.top()]
    assert Path("checkpoints/run/kaggle/submission.csv").read_text().startswith("id,label\nimg_2,class ")
    (tmp_path / "other.csv").write_text("picture,owner\nelsewhere/test_images/img_1.jpg,me\n")
    assert predict("--images", f"{tmp_path}/other.csv") == 2
    assert "but picture, owner: name one of these with `--column`" in capsys.readouterr().err
    assert predict("--images", f"{tmp_path}/other.csv", "--column", "picture") == 0
    (folder.parent / "test.csv").write_text("Id;note\nIMG_1;\nimg_9;\n")  # the folder beside it has one of them
    assert predict("--images", f"{folder.parent}/test.csv", "--folder", str(folder)) == 2
    assert "img_9 does not exist" in capsys.readouterr().err
    (folder.parent / "test.csv").write_text("Id;note\nIMG_1;\nimg_0;\n")
    assert predict("--images", f"{folder.parent}/test.csv", "--submission", "--evaluation", "beside") == 0
    assert [row["Id"] for row in table("beside", "submission.csv")] == ["IMG_1", "img_0"]
    picture(9).save(folder / "img_1.png")
    assert predict(*words, "--folder", str(folder)) == 2
    assert "img_1.jpg or img_1.png in " in capsys.readouterr().err


def test_a_parquet_file_may_contain_the_images(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    files = sorted(Path("new").rglob("*.png"))
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in files]
    parquet.write_table(arrow.table({"image": [*cells, None]}), tmp_path / "images.parquet")
    found = Predictor.load("run").predict(tmp_path / "images.parquet", unreadable="skip")
    assert torch.equal(found.probabilities, probabilities("split"))
    assert found.names[:2] == ["0", "1"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((8, 8, 3), np.uint8), r"image 0 is a ndarray: pass `PIL\.Image\.fromarray` of it"),
        ([np.zeros((8, 8, 3), np.uint8)], r"image 0 is a ndarray: pass `PIL\.Image\.fromarray` of it"),
        ([b"bytes"], r"image 0 is a bytes\."),
        (7, r"image 0 is a int\."),
        ([], "there is no image to classify"),
        (torch.zeros(2, 3, 8, 8), "these are torch.float32: do not normalise them"),
        ("nowhere.png", "nowhere.png does not exist"),
        ("empty", "empty holds no image"),
    ],
    ids=("array", "arrays", "bytes", "number", "nothing", "floats", "missing", "empty folder"),
)
def test_what_is_no_image_is_refused_in_a_sentence(given: object, said: str) -> None:
    Path("empty").mkdir(exist_ok=True)
    with pytest.raises(InputError, match=said):
        Predictor.load("run").predict(given)


def test_a_folder_of_images_may_be_given_as_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    flat = Path("flat")
    flat.mkdir()
    picture(1).save(flat / "a.png")
    assert predict("--data.root", "flat", "--evaluation", "flat") == 0
    assert [row["image"] for row in table("flat")] == ["a.png"]
    assert predict("--data.root", "nowhere") == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_a_table_of_predictions_is_safe_to_open(tmp_path: Path) -> None:
    file = tmp_path / "=1+1.png"
    picture(1).save(file)
    found = Predictor.load("run").predict(tmp_path)
    found.write(tmp_path / "out")
    text = (tmp_path / "out" / "predictions.csv").read_text()
    assert next(csv.DictReader(io.StringIO(text)))["image"] == "'=1+1.png"
    assert torch.load(tmp_path / "out" / "predictions.pt")["names"] == ["=1+1.png"]


def test_a_name_that_is_not_utf8_is_written_with_escapes(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    try:
        (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.png"))
    except OSError:
        pytest.skip("this file system has only names in UTF-8")
    assert predict("--images", str(tmp_path), "--evaluation", "latin", "--submission") == 0
    for file in ("predictions.csv", "submission.csv"):
        assert table("latin", file)[0]["image"] == "latin\\xe9.png"


def test_other_options_of_predict_act_on_new_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--images", "new", "--config", "logit_adjustment.yaml", "--evaluation", "la") == 0
    prior = torch.tensor([7.0, 4, 2]).log()
    torch.testing.assert_close(probabilities("la"), (probabilities("split").log() - prior).softmax(1))
    assert predict("--images", "new", "--topp", "3") == 2
    assert "there is no option topp" in capsys.readouterr().err
    assert predict("--images", "new", "--top", "0") == 2
    assert "--top is at least 1" in capsys.readouterr().err
    assert predict("--images", "new", "--evaluation", "../out") == 2
    assert "--evaluation cannot be" in capsys.readouterr().err
