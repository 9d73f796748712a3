"""The page answers as `ltr predict` does, and survives what people upload."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY
from torch import Tensor, nn

from ltr.__main__ import main
from ltr.app import networks
from ltr.app.allowed_paths import AllowedPaths
from ltr.app.catalogue import architectures, published_data
from ltr.app.infer import again, choose
from ltr.app.prediction import MOST, QueryResult, browser_copy, from_file, from_run, read_images, top_classes
from ltr.backbones import ResNet20
from ltr.data import CIFAR100LT, DigitsLT
from ltr.errors import InputError
from ltr.methods import Method
from ltr.run import weights

SHOWN = 20
DIGITS = (
    "--config data/digits.yaml --model.backbone ResNet20 --model.backbone.width 4 --model.schedule Cosine "
    "--model.schedule.warmup 0 --trainer.max_epochs 2 --trainer.check_val_every_n_epoch 2"
)
QUIET = "--trainer.enable_progress_bar false --trainer.accelerator cpu --trainer.precision 32-true"
GML = (
    "--config gml.yaml --config data/digits.yaml --model.backbone.checkpoint a --model.backbone.backbone ResNet20 "
    "--model.backbone.backbone.width 4 --trainer.max_epochs 2"
)


def words(*parts: str) -> list[str]:
    return " ".join(parts).split()


def png(path: Path, image: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run on the digits, a tuned one, their predictions, and images of the test split."""
    home = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("PL_GLOBAL_SEED", "0")
        main(words("fit --config ce.yaml --name a", DIGITS, QUIET))
        main(words("fit --name gml", GML, QUIET))
        predict = f"predict --ckpt_path gml --data.eval_batch_size {SHOWN}"
        main(words(predict))
        main(words(predict, "--evaluation both --config ensemble.yaml"))
        main(words(f"predict --ckpt_path a --data.eval_batch_size {SHOWN}"))
        data = DigitsLT()
        data.setup()
        for at, image in enumerate(data.splits["test"].images[:SHOWN]):
            png(home / f"images/{at:02}.png", image)
    return home


@pytest.fixture
def paths(trained: Path, monkeypatch: pytest.MonkeyPatch) -> AllowedPaths:
    """Return the page's view of that folder."""
    monkeypatch.chdir(trained)
    return AllowedPaths(Path("checkpoints"), (trained,))


@pytest.fixture
def shown(trained: Path) -> list[Path]:
    return sorted((trained / "images").iterdir())


def said(evaluation: str) -> Tensor:
    """Return what `ltr predict` has written of the images."""
    found: Tensor = torch.load(f"checkpoints/{evaluation}/predictions.pt")["probabilities"][:SHOWN]
    return found


def test_the_page_answers_as_predict_does(paths: AllowedPaths, shown: list[Path]) -> None:
    result = QueryResult.of(from_run(paths, "a"), shown)
    columns = result.prediction.columns(1, 1)
    assert list(columns) == ["Head"]
    assert torch.equal(columns["Head"], said("a/predict"))
    assert result.classes == [str(digit) for digit in range(10)]
    first = Path("checkpoints/a/predict/predictions.csv").read_text().splitlines()[1].split(",")
    page = result.html(1, 1)
    assert f'<th scope="row">{first[2]}</th><td>{float(first[3]):.1%}</td>' in page
    assert page.count("<article") == SHOWN
    assert page.count("<tr") == SHOWN * 10
    assert result.notes == []


def test_old_head_and_ensemble_are_those_of_predict(paths: AllowedPaths, shown: list[Path]) -> None:
    result = QueryResult.of(from_run(paths, "gml"), shown)
    columns = result.prediction.columns(1, 2)  # as ensemble.yaml says
    assert list(columns) == ["Old head", "New head", "Ensemble"]
    assert torch.equal(columns["New head"], said("gml/predict"))
    assert torch.equal(columns["Ensemble"], said("gml/both"))
    # The old head is the whole of the run that was tuned.
    torch.testing.assert_close(result.prediction.columns(1, 1)["Old head"], said("a/predict"))
    torch.testing.assert_close(2 * columns["Ensemble"] - columns["New head"], columns["Old head"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("several", [True, False])
def test_the_adjustments_of_a_run_act_as_in_predict(paths: AllowedPaths, shown: list[Path], several: bool) -> None:
    content = torch.load("checkpoints/a/last.ckpt")
    both = "[{class_path: ltr.callbacks.EMA}, {class_path: ltr.callbacks.LogitAdjustment}]"
    acting = both if several else "{class_path: ltr.callbacks.LogitAdjustment}"
    changed = content["config"].replace("callbacks: null", f"callbacks: {acting}")
    assert changed != content["config"]
    torch.save({**content, "config": changed}, "adjusted.ckpt")
    result = QueryResult.of(from_file(paths, "adjusted.ckpt", None, None, None), shown)
    main(words(f"predict --ckpt_path adjusted.ckpt --evaluation adjusted --data.eval_batch_size {SHOWN}", QUIET))
    known = torch.load("adjusted/predictions.pt")["probabilities"][:SHOWN]
    assert torch.equal(result.prediction.columns(1, 1)["Head"], known)
    assert not torch.equal(known, said("a/predict"))


def test_temperatures_act_on_what_was_answered(paths: AllowedPaths, shown: list[Path]) -> None:
    result = QueryResult.of(from_run(paths, "gml"), shown[:2])
    cool, warm = (result.prediction.columns(t, 1)["New head"].amax(1) for t in (0.5, 4))
    assert (warm < cool).all()
    assert again(result, 1, 1) != again(result, 4, 1)
    for wrong in (0, -1, 11, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"between 0\.1 and 10"):
            result.html(1, wrong)


@pytest.mark.slow
def test_a_network_stays_in_evaluation_mode_and_is_read_once(
    paths: AllowedPaths, shown: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks._read.cache_clear()
    reads: list[str] = []
    read = weights.read
    monkeypatch.setattr(weights, "read", lambda name: [reads.append(name), read(name)][1])

    def ask(_: int) -> QueryResult:
        return QueryResult.of(from_run(paths, "a"), shown[:2])

    with ThreadPoolExecutor(20) as clients:
        found = list(clients.map(ask, range(20)))
    assert len(reads) == 1
    assert all(torch.equal(one.prediction.logits, found[0].prediction.logits) for one in found)
    assert not from_run(paths, "a").predictor.method.training
    path = Path("checkpoints/a/last.ckpt")
    path.touch()
    assert len(reads) == 1
    from_run(paths, "a")
    assert len(reads) == 2
    for name in range(networks.KEPT + 2):
        shutil.copy(path, f"{name}.ckpt")
        from_file(paths, f"{name}.ckpt", None, None, None)
    assert networks._read.cache_info().currsize == networks.KEPT


@pytest.mark.slow
def test_images_of_the_data_are_not_needed(ltr, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    for split, each in (("train", (6, 3)), ("test", (2, 2))):
        for name, count in zip(("cat <b>", "dog"), each, strict=True):
            for at in range(count):
                image = torch.randint(0, 256, (3, 15, 21), generator=generator, dtype=torch.uint8)
                png(tmp_path / f"own/{split}/{name}/{at}.png", image)
    look = "--data.size 12 --data.crop 8 --data.mean [0.1,0.2,0.3] --data.std [0.9,0.8,0.7]"
    tiny = TINY.replace("--data Synthetic --data.imbalance 4", f"--data FolderLT --data.root own {look}")
    assert ltr("fit", tiny, "--name own") == 0
    assert ltr("predict --ckpt_path own") == 0
    files = [tmp_path / f"{name}{at}.png" for name in ("cat", "dog") for at in range(2)]
    for file, source in zip(files, sorted(tmp_path.glob("own/test/*/*.png")), strict=True):
        shutil.copy(source, file)
    paths = AllowedPaths(Path("checkpoints"), (tmp_path,))
    assert QueryResult.of(from_run(paths, "own"), files).classes == ["cat <b>", "dog"]
    assert ltr("export --ckpt_path own --to safetensors --output own.safetensors") == 0
    shutil.rmtree("own")
    networks._read.cache_clear()
    result = QueryResult.of(from_run(paths, "own"), files)
    known = torch.load("checkpoints/own/predict/predictions.pt")["probabilities"]
    assert torch.equal(result.prediction.columns(1, 1)["Head"], known)
    assert result.images.shape == (4, 3, 8, 8)
    assert result.classes == ["cat <b>", "dog"]
    assert result.notes == []
    # An export has the names with it; they are a stranger's text.
    exported = QueryResult.of(from_file(paths, "own.safetensors", None, None, None), files)
    assert torch.equal(exported.prediction.logits, result.prediction.logits)
    assert exported.classes == ["cat <b>", "dog"]
    assert "cat &lt;b&gt;" in exported.html(1, 1)
    assert "cat <b>" not in exported.html(1, 1)


def foreign(path: Path, *, width: int = 16) -> Method:
    """Write a state_dict as others do, and return the network it is of."""
    method = Method(ResNet20(width), [1] * 10).eval()
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
    body = {f"module.{key}": value for key, value in method.backbone.state_dict().items()}
    classifier = {key.replace("fc", "module.linear"): value for key, value in method.head.state_dict().items()}
    torch.save({"epoch": 200, "state_dict": body | classifier}, path)
    return method


def test_a_foreign_state_dict_needs_two_words(paths: AllowedPaths, shown: list[Path]) -> None:
    method = foreign(Path("foreign.pth"))
    with pytest.raises(InputError, match=r"^the file foreign\.pth .* choose its architecture and the data set"):
        from_file(paths, "foreign.pth", None, None, None)
    with pytest.raises(InputError, match=r"foreign\.pth does not fit a ResNet32 .* ResNet20"):
        from_file(paths, "foreign.pth", None, "ResNet32", "Digits-LT")
    with pytest.raises(InputError, match="has 10 classes, Synthetic has 5"):
        from_file(paths, "foreign.pth", None, "ResNet20", "Synthetic")
    result = QueryResult.of(from_file(paths, "foreign.pth", None, "ResNet20", "Digits-LT"), shown)
    data = DigitsLT()
    data.setup()
    with torch.no_grad():
        known = method(data.prepare(data.splits["test"].images[:SHOWN])).probabilities
    # In this machine's own precision, which may be bfloat16.
    torch.testing.assert_close(result.prediction.columns(1, 1)["Head"], known, atol=0.02, rtol=0)
    assert result.classes == data.classes
    # CIFAR is not here: its classes have numbers.
    result = QueryResult.of(
        from_file(paths, "", str(Path("foreign.pth").resolve()), "ResNet20", "CIFAR-10-LT"), shown[:1]
    )
    assert result.images.shape == (1, 3, 32, 32)
    assert result.classes == [str(number) for number in range(10)]


def test_what_there_is_to_choose_is_what_the_package_has() -> None:
    assert {"ResNet20", "ResNet32", "ResNeXt50"} <= set(architectures())
    assert {"Pretrained", "ResNetCIFAR"}.isdisjoint(architectures())
    assert published_data()["CIFAR-100-LT"] is CIFAR100LT
    assert all(published_data())
    _, shown, architecture, data_set = choose("a file of weights")
    assert shown.visible
    assert [value for _, value in architecture.choices] == architectures()
    assert [value for _, value in data_set.choices] == list(published_data())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harmed"),)


def test_a_file_cannot_do_harm(paths: AllowedPaths, trained: Path) -> None:
    whole = Path("checkpoints/a/last.ckpt")
    torch.save({"state_dict": Evil()}, "evil.pt")
    Path("short.ckpt").write_bytes(whole.read_bytes()[:5000])
    Path("text.ckpt").write_text("these are no weights\n")
    Path("empty.safetensors").write_bytes(b"")
    torch.save({"state_dict": {}}, "nothing.pt")
    for name in ("evil.pt", "short.ckpt", "text.ckpt", "empty.safetensors", "nothing.pt"):
        with pytest.raises(InputError, match=name) as error:
            from_file(paths, name, None, "ResNet20", "Digits-LT")
        assert str(trained) not in str(error.value)
    assert not Path("harmed").exists()


@pytest.mark.slow
def test_a_strangers_config_names_nothing_of_the_machine(paths: AllowedPaths, shown: list[Path]) -> None:
    content = torch.load("checkpoints/a/last.ckpt")
    config = content["config"]
    uploads = paths.own / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)

    def ask(changed: str | dict[str, object], name: str = "stranger.ckpt", **more: object) -> QueryResult:
        torch.save({**content, "config": changed, **more}, uploads / name)
        return QueryResult.of(from_file(paths, None, str((uploads / name).resolve()), None, None), shown)

    assert torch.equal(ask(config, "plain.ckpt").prediction.columns(1, 1)["Head"], said("a/predict"))
    with pytest.raises(InputError, match=r"names shutil\.rmtree at model\.loss, which is not a known Loss"):
        ask(config.replace("ltr.losses.CrossEntropy", "shutil.rmtree"))
    for wrong in (
        "[",
        "a: [b",
        "- 1",
        "",
        "model: 3\ndata: 4",
        "model: {class_path: Method}",
        config[: len(config) // 2],
    ):
        with pytest.raises(InputError):
            ask(wrong)
    with pytest.raises(InputError, match="1024 is the most"):
        ask(config, preprocessing=content["preprocessing"] | {"size": 100_000})
    for wrong in ({}, {"size": "x"}, {"size": -1}, {"mean": 3}, {"std": ["a"]}, {"crop": 10_000}):
        with pytest.raises(InputError):
            ask(config, preprocessing=content["preprocessing"] | wrong if wrong else 7)
    # The page opens no folder that it names.
    (Path("secret") / "train/hidden").mkdir(parents=True)
    png(Path("secret/train/hidden/a.png"), torch.zeros(3, 4, 4, dtype=torch.uint8))
    other = config.replace("ltr.data.DigitsLT", "ltr.data.FolderLT").replace("root: data", "root: secret")
    other = other.replace("    tail: exp\n", "")
    assert ask(other, classes=[]).classes == [str(number) for number in range(10)]
    assert paths.trusts(Path("checkpoints/a/last.ckpt").resolve())
    assert not paths.trusts((uploads / "plain.ckpt").resolve())
    for damaged in ({"counts": torch.tensor(3.5)}, {"counts": -torch.ones(10)}, {"head.fc.weight": torch.zeros(2, 2)}):
        state = content["state_dict"] | damaged
        torch.save({**content, "state_dict": state}, uploads / "damaged.ckpt")
        with pytest.raises(InputError):
            from_file(paths, None, str((uploads / "damaged.ckpt").resolve()), None, None)
    state = content["state_dict"] | {"head.fc.bias": torch.full((10,), torch.nan)}
    torch.save({**content, "state_dict": state}, uploads / "nan.ckpt")
    with pytest.raises(InputError, match="has NaN or infinite numbers in head"):
        QueryResult.of(from_file(paths, None, str((uploads / "nan.ckpt").resolve()), None, None), shown)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "name a file"),
        ("/etc/passwd", "outside"),
        ("../a.ckpt", "outside"),
        ("gone.pt", "does not exist"),
        ("a\0b", "not a valid path"),
    ],
)
def test_nothing_else_is_opened(paths: AllowedPaths, path: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        from_file(paths, path, None, None, None)
    with pytest.raises(InputError):
        from_run(paths, path)


def test_an_image_of_the_right_size_passes_bit_by_bit(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    assert torch.equal(read_images([png(tmp_path / "a.png", image)], 32).images[0], image)
    Image.fromarray(image.permute(1, 2, 0).numpy()).rotate(-90).save(tmp_path / "b.png", exif=turned())
    assert torch.equal(read_images([tmp_path / "b.png"], 32).images[0], image)


def test_what_browsers_cannot_show_becomes_the_same_pixels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    colours, grey = random.integers(0, 256, (21, 34, 3), np.uint8), random.integers(0, 4096, (21, 34), np.uint16)
    Image.fromarray(colours).save(tmp_path / "a.ppm")
    Image.fromarray(grey).save(tmp_path / "deep.tif")
    files = [tmp_path / "a.ppm", tmp_path / "deep.tif"]
    for number, path in enumerate(files):
        shown = browser_copy(path)
        assert shown is not None
        shown.save(tmp_path / f"{number}.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "0.png")), colours)
    converted = read_images([tmp_path / "0.png", tmp_path / "1.png"], 16, ["a.ppm", "deep.tif"])
    assert torch.equal(converted.images, read_images(files, 16).images)
    assert converted.names == ["a.ppm", "deep.tif"]
    (tmp_path / "text.ppm").write_text("no image")
    assert browser_copy(tmp_path / "text.ppm") is browser_copy(tmp_path / "0.png") is None


def turned() -> Image.Exif:
    """Return what a camera writes that was held sideways."""
    exif = Image.Exif()
    exif[0x0112] = 8
    return exif


def test_what_is_no_image_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    good = png(tmp_path / "good.png", torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8))
    cut, text, large, larger, vector = (
        tmp_path / name for name in ("cut.png", "text.jpg", "large.png", "larger.png", "vector.png")
    )
    cut.write_bytes(good.read_bytes()[:1000])
    text.write_text("no image")
    Image.fromarray(np.zeros((7100, 7100), np.bool_)).save(large)
    Image.fromarray(np.zeros((10_000, 10_000), np.bool_)).save(larger)
    vector.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")  # which Ghostscript runs
    found = read_images([cut, text, good, large, larger, vector], 32)
    assert found.names == ["good.png"]
    assert found.images.shape == (1, 3, 32, 32)
    for name, sentence in zip(
        ("cut.png is damaged", "text.jpg is damaged", "large.png has 7100", "larger.png has", "vector.png is damaged"),
        found.refused,
        strict=True,
    ):
        assert sentence.startswith(name)
    with pytest.raises(InputError, match=str(MOST)):
        read_images([good] * (MOST + 1), 32)


def test_no_readable_image_is_told_and_nothing_else(paths: AllowedPaths, tmp_path: Path) -> None:
    (tmp_path / "a<b>.png").write_text("no image")
    page = QueryResult.of(from_run(paths, "a"), [tmp_path / "a<b>.png"]).html(1, 1)
    assert "a&lt;b&gt;.png is damaged" in page
    assert "<article" not in page


def test_names_are_text() -> None:
    page = top_classes(
        torch.zeros(1, 3, 200, 200, dtype=torch.uint8), ['<i>"'], {"Head": torch.tensor([[0.9999, 1e-4]])}, ["<b>", "c"]
    )
    assert "<i>" not in page
    assert "<b>" not in page
    assert "100.0%" in page
    assert "&lt; 0.1%" in page
