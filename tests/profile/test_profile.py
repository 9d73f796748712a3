"""`ltr profile`: what it finds of a set, clean or dirty, and that the commands it ends with work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from ltr.__main__ import main
from ltr.data import CropFlip, FolderLT, Synthetic
from ltr.errors import InputError
from ltr.profile import profile as examine_set
from ltr.profile.advice import advise
from ltr.profile.left_right import mirror_pairs
from ltr.profile.measures import alike, balance, measure

QUICK = (
    "--trainer.max_epochs 1 --trainer.limit_train_batches 2 --model.schedule Cosine --model.schedule.warmup 0 "
    "--trainer.accelerator cpu --trainer.precision 32-true --trainer.enable_progress_bar false"
)
Run = Callable[..., int]


def draw(folder: Path, counts: dict[str, int], *, size: tuple[int, int] = (14, 12), kind: str = "png") -> None:
    """Write images of noise, no two alike."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for at in range(count):
            generator = np.random.RandomState([at, *f"{folder.name} {name}".encode()])
            pixels = generator.randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{at:03}.{kind}")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clean folder, in which the test is: 12, 6 and 2 images to train on, 5 of each class to test on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    draw(tmp_path / "my fruit" / "train", {"apple": 12, "berry": 6, "cherry": 2})
    draw(tmp_path / "my fruit" / "test", {"apple": 5, "berry": 5, "cherry": 5})
    return tmp_path / "my fruit"


@pytest.fixture
def dirty(home: Path) -> Path:
    """Return the folder with every kind of dirt."""
    train = home / "train"
    whole = (train / "apple" / "000.png").read_bytes()
    (train / "apple" / "cut.jpg").write_bytes(jpeg()[:-400])
    (train / "apple" / "copy.png").write_bytes(whole)
    (train / "apple" / "text.png").write_text("no image")
    (train / "berry" / "void.gif").touch()
    (train / "berry" / "gone.png").symlink_to("nowhere.png")
    (train / "berry" / "apple.png").write_bytes((train / "apple" / "001.png").read_bytes())
    (home / "test" / "apple" / "known.png").write_bytes((train / "apple" / "002.png").read_bytes())
    Image.new("1", (3, 40)).save(train / "berry" / "bit.png")
    Image.new("I;16", (50, 9)).save(train / "berry" / "deep.png")
    (train / "apple" / "phone.HEIC").write_bytes(b"not read")
    (home / "notes.txt").write_text("bought on Monday")
    return home


def jpeg() -> bytes:
    """Return a file of a photograph's kind."""
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (30, 30, 3)).astype(np.uint8)).save("whole.jpg")
    return Path("whole.jpg").read_bytes()


def profile(*words: str) -> dict[str, Any]:
    """Return the result of the verb."""
    main(["profile", *words])
    result: dict[str, Any] = json.loads(Path("profile/profile.json").read_text(encoding="utf-8"))
    return result


def printed(text: str) -> list[list[str]]:
    """Return the commands that a text ends with, as a shell reads them."""
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    ltr ")]


@pytest.mark.usefixtures("dirty")
def test_dirt_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = profile("my fruit")
    assert found["unreadable"] == [
        "train/apple/cut.jpg",
        "train/apple/text.png",
        "train/berry/gone.png",
        "train/berry/void.gif",
    ]
    assert found["conflicting"] == [["train/apple/001.png (apple)", "train/berry/apple.png (berry)"]]
    assert found["leaked"] == [["train/apple/002.png", "test/apple/known.png"]]
    assert found["repeated"] == [["train/apple/000.png", "train/apple/copy.png"]]
    assert found["unused_files"] == ["notes.txt", "train/apple/phone.HEIC"]
    assert found["counts"] == {"train": [13, 9, 2], "test": [6, 5, 5]}
    assert (found["width"], found["height"]) == ([3, 14, 50], [9, 12, 40])
    assert found["kinds"] == {"PNG RGB": 38, "PNG 1": 1, "PNG I;16": 1}
    text = capsys.readouterr().out
    for part in (
        "4 files cannot be read to the end: train/apple/cut.jpg, train/apple/text.png,",
        "1 image under more than one class: train/apple/001.png (apple) = train/berry/apple.png (berry).",
        "1 image in training and in another split, which makes results too good: train/apple/002.png = test/apple/kn",
        "1 image more than once in a class, which makes it look larger: train/apple/000.png = train/apple/copy",
        ".txt (1), .heic (1)",
        "1 grey image with more than 8 bits per value: in each, white is taken to be the smallest",
        "The test split is not balanced",
    ):
        assert part in text
    assert Path("profile/profile.md").read_text(encoding="utf-8") in text
    assert Path("profile/profile.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the network was trained on 1 of")  # the leaked one that the profile names
@pytest.mark.filterwarnings("ignore:.*files that are not images are left out")
@pytest.mark.usefixtures("dirty")
def test_the_commands_work_on_a_dirty_folder(capsys: pytest.CaptureFixture[str]) -> None:
    main(["profile", "my fruit"])
    commands = printed(capsys.readouterr().out)
    assert [words[0] for words in commands] == ["fit", "test", "test", "fit", "test"]
    for words in commands:
        main([*words, *(QUICK.split() if words[0] == "fit" else [])])
    runs = ("my_fruit_ce/test", "my_fruit_ce/adjusted", "my_fruit_gml/test")
    counts = [json.loads(Path("checkpoints", run, "metrics.json").read_text())["counts"] for run in runs]
    assert counts == 3 * [[13, 9, 2]]


@pytest.mark.usefixtures("home")
def test_a_clean_folder_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    found = profile("my fruit", "--output=profile")
    assert not any(
        found[kind] for kind in ("unreadable", "conflicting", "leaked", "repeated", "unused_files", "untested")
    )
    text = capsys.readouterr().out
    assert "None: all images can be read, and no two are equal." in text
    assert "not balanced" not in text
    assert "| test images of a class | 5 |" in text
    assert printed(text)[0] == [
        *("fit", "--config", "ce.yaml", "--config", "recipes/short.yaml"),
        *("--data", "FolderLT", "--data.root", "my fruit"),
        *("--data.batch_size", "8", "--name", "my_fruit_ce"),
    ]


def test_nothing_is_written_into_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "mine", {"apple": 12, "berry": 5})
    before = sorted((tmp_path / "mine").rglob("*"))
    found = profile("mine")
    assert found["counts"] == {"train": [10, 4], "test": [2, 1]}
    assert found["drawn"]
    assert sorted((tmp_path / "mine").rglob("*")) == before


def test_a_kept_division_is_not_among_the_files_beside_the_images(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "mine", {"apple": 12, "berry": 5})
    FolderLT("mine").setup()
    assert (tmp_path / "mine" / "ltr_split_0.2_0.csv").is_file()
    assert profile("mine")["unused_files"] == []
    monkeypatch.chdir("mine")
    assert FolderLT(".").unused_files() == []


@pytest.mark.filterwarnings("ignore:1 file that is not an image")
def test_files_that_are_left_out_are_named_as_unreadable(tmp_path: Path) -> None:
    draw(tmp_path / "mine", {"apple": 12, "berry": 5})
    (tmp_path / "mine" / "apple" / "void.png").touch()
    data = FolderLT(str(tmp_path / "mine"), unreadable="skip")
    found = measure(data)
    assert (found["unreadable"], found["unused_files"]) == (["apple/void.png"], [])
    command = advise(data, found, ["--data.unreadable", "skip"]).commands[0]
    assert command.count("--data.unreadable") == 1


def test_a_class_that_nothing_can_be_learned_of_comes_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (home / "train" / "cherry").iterdir():
        path.write_bytes(b"")
    found = profile("my fruit")
    assert (found["imbalance"], found["commands"]) == (None, [])
    assert (
        "First repair cherry: a class needs an image to train on. Then profile the set again."
        in capsys.readouterr().out
    )


def test_a_class_of_which_only_test_images_can_be_read_comes_first(tmp_path: Path) -> None:
    draw(tmp_path / "mine", {"apple": 10, "berry": 10})
    train = FolderLT(str(tmp_path / "mine")).listings["train"]
    for path in (path for path in train.paths if "berry" in path):
        Path(path).write_bytes(b"")
    reasons, commands = advice(tmp_path / "mine")
    assert "First repair berry: a class needs two images that can be read, one of them to train on." in reasons
    assert not commands


def test_a_class_without_a_test_image_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (home / "test" / "berry").iterdir():
        path.unlink()
    (home / "test" / "berry").rmdir()
    assert profile("my fruit")["untested"] == ["berry"]
    assert "1 class without a test image, so their recall cannot be measured: berry." in capsys.readouterr().out


@pytest.mark.usefixtures("home")
def test_a_table_is_named_by_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        f"my fruit/train/{name}/000.png,{name},{split}" for name, split in (("apple", "train"), ("berry", "train"))
    ]
    lines += ["my fruit/test/apple/000.png,apple,test"]
    Path("table.csv").write_text("\n".join(["image,label,split", *lines]) + "\n")
    assert profile("table.csv")["counts"] == {"train": [1, 1], "test": [1, 0]}
    assert printed(capsys.readouterr().out)[0][5:9] == ["--data", "TableLT", "--data.root", "table.csv"]


@pytest.mark.parametrize("config", ["data/digits.yaml", "whole.yaml", "gml.yaml --data DigitsLT --data.imbalance 50"])
def test_a_config_gives_its_data_and_no_more(config: str, ltr: Run, capsys) -> None:
    data = {"class_path": "DigitsLT", "init_args": {"imbalance": 50, "batch_size": 32}}
    whole = {"model": {"class_path": "Method", "init_args": {"loss": "GML"}}, "data": data}
    Path("whole.yaml").write_text(json.dumps(whole))  # which is YAML, too
    assert ltr("profile --data.subset_seed 3 --config", config) == 0
    first, *_ = printed(capsys.readouterr().out)
    with pytest.raises(SystemExit, match="0"):
        main([*first, "--print_config"])
    said = yaml.safe_load(capsys.readouterr().out)
    assert said["data"]["class_path"] == "ltr.data.DigitsLT"
    assert (said["data"]["init_args"]["imbalance"], said["data"]["init_args"]["subset_seed"]) == (50, 3)
    assert said["model"]["init_args"]["loss"]["class_path"] == "ltr.losses.CrossEntropy"


def test_pixels_in_memory_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Synthetic()
    train, test = (split for split in data.choose().values())

    def choose() -> dict[str, Any]:
        data.classes = list("abcde")
        images = test.images.clone()
        images[0], images[5] = images[1], train.images[0]
        return {"train": train, "test": test._replace(images=images)}

    monkeypatch.setattr(data, "choose", choose)
    found = measure(data)
    assert found["repeated"] == [["test image 0", "test image 1"]]
    assert found["leaked"] == [[f"train image {train.indices[0]}", "test image 5"]]
    assert found["conflicting"] == [[f"train image {train.indices[0]} (a)", "test image 5 (b)"]]
    assert found["kinds"] == {"in memory": len(train.labels) + len(test.labels)}


def advice(home: Path, words: str = "", **options: Any) -> tuple[str, str]:
    """Return reasons and commands for a folder."""
    data = FolderLT(str(home), **options)
    found = advise(data, measure(data), ["--data", "FolderLT", "--data.root", str(home), *words.split()])
    return " ".join(found.reasons), "\n".join(found.commands)


def test_a_balanced_set_needs_no_remedy(home: Path) -> None:
    draw(home / "train", {"cherry": 5})
    reasons, commands = advice(home)
    assert "The largest class has 2.4 times the images of the smallest: the set is balanced, or nearly so" in reasons
    assert "gml.yaml" not in commands


def test_the_network_fits_the_images(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--data.size" not in advice(home)[1]
    draw(home / "train", {"apple": 40}, size=(100, 90))
    reasons, commands = advice(home)
    assert "have 90 pixels or more on their shorter side" in reasons
    assert "--data.size 64" in commands
    assert "--model.backbone " not in commands
    draw(home / "train", {"apple": 40}, size=(200, 190))
    assert "With one, pass `--data.size 256 --data.crop 224 --model.backbone ResNet50`" in advice(home)[0]
    _, commands = advice(home, "--data.size 100", size=100)
    assert "--data.size 64" not in commands
    assert "--model.backbone ResNet10" in commands
    assert "--data.size" not in advice(home, "--data.size=32")[1].replace("--data.size=32", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    _, commands = advice(home)
    assert "--data.size 256 --data.crop 224" in commands
    assert "--model.backbone ResNet50" in commands


def test_the_command_for_large_images_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(home / "train", {"apple": 40}, size=(200, 190))
    main(["profile", "my fruit", "--data.size", "80"])
    first, *_ = printed(capsys.readouterr().out)
    assert "ResNet10" in first
    main([*first, *QUICK.split(), "--trainer.fast_dev_run", "true"])


@pytest.mark.slow
def test_batches_suit_the_set(home: Path) -> None:
    draw(home / "train", {"apple": 400})
    assert "--data.batch_size 32" in advice(home)[1]
    assert advice(home, "--data.batch_size 64", batch_size=64)[1].count("--data.batch_size 64") == 2
    data = Synthetic(classes=40, largest=100, batch_size=128)
    found = advise(data, measure(data), [])
    assert "GML" in " ".join(found.reasons)
    assert "at most" not in " ".join(found.reasons)
    data = Synthetic(classes=40, largest=100, batch_size=32)
    found = advise(data, measure(data), ["--data.batch_size", "32"])
    assert "at most" not in " ".join(found.reasons)
    assert "--data.batch_size 32" in found.commands[0]
    assert "--data.batch_size 64" in found.commands[3], "a batch of GML can have every class"
    data = Synthetic(classes=600, largest=20, test_per_class=1, imbalance=4, batch_size=32)
    found = advise(data, measure(data), ["--data.batch_size", "32"])
    assert "--data.batch_size 512" in found.commands[3]
    assert "of 600 at most 512 are in one" in " ".join(found.reasons)


def test_scarce_classes_are_told(home: Path) -> None:
    (home / "test" / "apple" / "000.png").unlink()
    (home / "test" / "apple" / "001.png").unlink()
    reasons, _ = advice(home)
    assert "1 class with fewer than 5 test images: one image moves such a recall by 25 points or more" in reasons
    assert "1 class with fewer than 5 training images" in reasons


def test_thousands_of_classes() -> None:
    train = [max(int(1000 * (rank + 1) ** -0.75), 2) for rank in range(8142)]
    found = balance({"train": train, "test": [3] * 8141 + [0]}, [f"species {label}" for label in range(8142)])
    assert found["imbalance"] == 500
    assert found["groups"]["few"]["classes"] == sum(count < 20 for count in train)
    assert found["untested"] == ["species 8141"]
    assert not found["test_is_balanced"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "name the data, such as `--data FolderLT --data.root my_images`"),
        ("--config gml.yaml", "name the data, such as"),
        ("my_fruits", "my_fruits is not a folder or .csv or .tsv or .parquet or .pq with images: correct the path"),
        ("notes.txt", "notes.txt is not a folder"),
        ("--data FolderL", "did you mean FolderLT?"),
        ("--data FolderLT --data.root nowhere", "there is no folder nowhere"),
        ("void", "void holds 0 folders"),
        (
            "lonely",
            "there is only one image of class apple, berry, and each class needs one to train and",
        ),
        ("hollow", "hollow has folders without an image"),
        ("lonely --data.sise 8", "did you mean --data.size?"),
    ],
)
def test_bad_input_is_one_sentence(words: str, sentence: str, ltr: Run, tmp_path: Path, capsys) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "void").mkdir()
    (tmp_path / "hollow" / "apple").mkdir(parents=True)
    draw(tmp_path / "lonely", {"apple": 1, "berry": 1, "cherry": 2})
    assert ltr("profile", words) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not Path("profile").exists()


def test_files_that_make_pil_raise_anything_are_unreadable(home: Path) -> None:
    whole = jpeg()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a tag"
    Image.open("whole.jpg").save("turned.jpg", exif=exif)
    found = bytearray(Path("turned.jpg").read_bytes())
    at = found.index(b"Exif\0\0") + 6
    generator = np.random.RandomState(0)
    (home / "train" / "apple" / "whole.jpg").write_bytes(whole)
    for number in range(60):  # damage within the tags, some of which are not OSErrors to PIL
        found[at + generator.randint(8, 40)] = generator.randint(256)
        (home / "train" / "apple" / f"damaged {number}.jpg").write_bytes(found)
    result = profile("my fruit")
    assert "train/apple/whole.jpg" not in result["unreadable"]
    assert sum(result["counts"]["train"]) + len(result["unreadable"]) == 81


def test_synthetic_images_are_counted_apart(home: Path, tmp_path: Path) -> None:
    draw(tmp_path / "made", {"cherry": 4})
    found = measure(FolderLT(str(home), synthetic=str(tmp_path / "made")))
    assert found["counts"] == {"train": [12, 6, 2], "test": [5, 5, 5], "synthetic": [0, 0, 4]}
    assert found["imbalance"] == 6


@pytest.mark.parametrize(
    ("classes", "pairs"),
    [
        (["turn left", "turn right", "stop"], [("turn left", "turn right")]),
        (["Kurve_links", "Kurve_rechts", "halt"], [("Kurve_links", "Kurve_rechts")]),
        (["arrow_l", "arrow_r", "lock", "rock"], [("arrow_l", "arrow_r")]),
        (["左转", "右转"], [("左转", "右转")]),
        (["bright", "blight", "leftover", "well"], []),
        (["HAND L", "hand R"], [("HAND L", "hand R")]),
    ],
)
def test_classes_that_a_mirror_exchanges_are_found(classes: list[str], pairs: list[tuple[str, str]]) -> None:
    assert mirror_pairs(classes) == pairs


def test_mirrored_images_are_told_and_stopped_where_names_differ_by_left_and_right(home: Path) -> None:
    reasons, commands = advice(home)
    assert "If left and right matter, as in traffic signs and text, add `--data.mirror false`." in reasons
    assert "--data.mirror" not in commands
    for split in ("train", "test"):
        (home / split / "apple").rename(home / split / "turn left")
        (home / split / "berry").rename(home / split / "turn right")
    reasons, commands = advice(home)
    assert "of one of these classes shows the other: turn left / turn right." in reasons
    assert "--data.mirror false" in commands.splitlines()[0]
    assert "mirrored" not in advice(home, augment="none")[0]
    assert "`--data.augment.flip false`" in advice(home, "--data.augment CropFlip", augment=CropFlip())[0]


def test_letters_and_digits_are_not_mirrored(tmp_path: Path) -> None:
    for split in ("train", "test"):
        draw(tmp_path / split, {"A": 5, "b": 5, "7": 5})
    assert "a mirrored letter or digit is another one" in advice(tmp_path)[0]


def test_the_commands_are_short_and_say_what_a_validation_split_is_for(home: Path) -> None:
    reasons, commands = advice(home)
    assert "add `--data.val_per_class 1` to the first command now" in reasons
    assert "--config recipes/short.yaml" in commands.splitlines()[0]
    assert "val_per_class" not in advice(home, "--data.val_per_class 1", val_per_class=1)[0]


def test_a_set_without_training_images_is_not_profiled(home: Path) -> None:
    with pytest.raises(InputError, match="no training images to examine: test a network on it"):
        examine_set(FolderLT(str(home / "test"), test_share=1))


def test_classes_of_nearly_the_same_name_are_told() -> None:
    assert alike(["Cat", "cat ", "c-at", "dog", "+", "-", "1", "10"]) == [["Cat", "cat ", "c-at"]]


def test_a_path_and_the_data_set_that_reads_it(ltr, capsys) -> None:
    Path("set").mkdir()
    names = [f"{name}{number}" for name in ("cat", "dog") for number in range(8)]
    for number, name in enumerate(names):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(f"set/{name}.png")
    Path("set/train.csv").write_text("id,label\n" + "".join(f"{name},{name[:3]}\n" for name in names))
    assert ltr("profile set --data TableLT --output out") == 0
    commands = [
        line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("    ltr fit --config ce")
    ]
    assert [command.count("--data") for command in commands] == [1]
    assert "FolderLT" not in commands[0]


def test_names_are_no_markup_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    label, other = "<img src=x onerror=alert(1)>", "[a](b)|*c*"
    for name in (label, other):
        for number in range(4):
            path = tmp_path / "set" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (60 * number, len(name), 0)).save(path)
    (tmp_path / "set" / label / "`cut`.png").write_bytes(b"")
    found = profile("set")
    assert found["classes"] == [label, other]
    text = Path("profile/profile.md").read_text(encoding="utf-8")
    assert r"\<img src=x" in text
    assert "<img" not in text.replace(r"\<img", "")
    assert r"[a\](b)\|\*c\*" in text
    assert r"\`cut\`.png" in text
