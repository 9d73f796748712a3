"""Fixtures that the tests share."""

from __future__ import annotations

import gc
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from browsing import browser, page, site, window  # noqa: F401, fixtures
from lightning.pytorch import Trainer
from matplotlib.figure import Figure
from PIL import Image
from quiet import quiet_trainer
from tiny import TINY
from torch import Tensor
from two_processes import two_processes

from ltr import plots
from ltr.__main__ import main
from ltr.backbones import ResNet20
from ltr.methods import Method
from ltr.methods.feature_store import FOLDER

Run = Callable[..., int]


@pytest.fixture(autouse=True)
def no_kept_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the features of another, or leaves some in the home of a user."""
    monkeypatch.setenv(FOLDER, "")


@pytest.fixture(autouse=True)
def no_command_changes_the_process() -> Iterator[None]:
    """Restore what a command sets until its process ends: here the next test follows."""
    form, handler, threshold = warnings.formatwarning, signal.getsignal(signal.SIGTERM), gc.get_threshold()
    yield
    warnings.formatwarning = form
    signal.signal(signal.SIGTERM, handler)
    gc.set_threshold(*threshold)


@pytest.fixture
def ltr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command line, called in an empty folder; it returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> int:
        arguments = [part for word in words for part in word.split()]
        monkeypatch.setattr("sys.argv", ["ltr", *arguments])
        try:
            main(arguments)
        except SystemExit as end:
            return int(end.code or 0) if not isinstance(end.code, str) else 1
        return 0

    return run


@pytest.fixture
def tiny(ltr: Run) -> Run:
    """Return a training of two epochs on synthetic data, with further arguments."""
    return lambda *words: ltr("fit", TINY, *words)


@pytest.fixture(scope="session")
def kept_trainings() -> dict[tuple[str, ...], Path]:
    """Return the folders of the trainings that `trained` has kept, by their arguments."""
    return {}


@pytest.fixture
def trained(
    tiny: Run, kept_trainings: dict[tuple[str, ...], Path], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., None]:
    """Return a training like `tiny` that is done once: for a test of what comes after it, in an empty folder."""

    def train(*words: str) -> None:
        runs = tmp_path / "checkpoints"
        if words in kept_trainings:
            shutil.copytree(kept_trainings[words], runs)
        else:
            assert tiny(*words) == 0
            kept_trainings[words] = shutil.copytree(runs, tmp_path_factory.mktemp("trained") / "checkpoints")

    return train


@pytest.fixture(autouse=True)
def every_epoch_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between checkpoints, so that a test can go on from any epoch."""
    monkeypatch.setattr("ltr.callbacks.run.Run.pause", 0.0)


@pytest.fixture
def rendered() -> None:
    """Ask for this where the pixels of a picture matter."""


@cache
def blank(width: int, height: int) -> bytes:
    """Return a blank PNG picture."""
    file = BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write blank PNG and SVG pictures of the right size: drawing takes longer than the small run that it follows."""
    if "rendered" in request.fixturenames:
        return
    savefig = Figure.savefig

    def save(figure: Figure, file: Any, **options: Any) -> None:
        width, height = (round(inches * options.get("dpi", 100)) for inches in figure.get_size_inches())
        match options.get("format", Path(str(file)).suffix.removeprefix(".")):
            case "png":
                write = getattr(file, "write", None) or Path(file).write_bytes
                write(blank(width, height))
            case "svg":
                file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>'.encode())
            case _:
                savefig(figure, file, **options)

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture(autouse=True)
def seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the same in every test, whatever ran before it."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    torch.manual_seed(0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Return the figures that are saved from now on, by the names of their files."""
    figures: dict[str, Figure] = {}
    save = plots.save

    def keep(figure: Figure, path: Path) -> None:
        save(figure, path)
        figures[path.name] = figure

    monkeypatch.setattr(plots, "save", keep)
    return figures


@pytest.fixture
def double() -> Iterator[None]:
    """Build everything in float64, priors included."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """Return a maker of trainers that write and say nothing."""

    def make(epochs: int = 1, **options: Any) -> Trainer:
        return quiet_trainer(max_epochs=epochs, default_root_dir=tmp_path, **options)

    return make


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    """Return the checkpoint of a run on five classes, whose weights and statistics are those of no new network."""
    method = Method(ResNet20(width=2), [20, 11, 6, 3, 2])
    method.backbone(torch.randn(16, 3, 8, 8))
    path = tmp_path / "first" / "last.ckpt"
    path.parent.mkdir()
    torch.save({"state_dict": method.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def in_two_processes() -> Iterator[Callable[..., None]]:
    """Return what runs `work(rank, *arguments)` in two processes; they are started once for all tests."""
    with two_processes() as run:
        yield run


@pytest.fixture(scope="session")
def onnx_operators() -> Iterator[None]:
    """Let torch list its operators in ONNX once: it parses the source of each of them, for every file."""
    with pytest.MonkeyPatch.context() as patch:
        with suppress(ImportError, AttributeError):
            from torch.onnx._internal.exporter import _registration

            listed = cache(_registration.onnxscript_apis.get_torchlib_ops)
            patch.setattr(_registration.onnxscript_apis, "get_torchlib_ops", listed)
        yield


@pytest.fixture
def labels_of() -> Callable[[list[int]], Tensor]:
    """Return a maker of shuffled labels with given counts."""

    def make(counts: list[int]) -> Tensor:
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(5))]

    return make


@pytest.fixture
def within_four_sigma() -> Callable[[Tensor, Tensor], bool]:
    """Return a test of whether every frequency lies within four standard deviations of its probability."""

    def test(found: Tensor, probabilities: Tensor) -> bool:
        draws = found.sum()
        sigma = (probabilities * (1 - probabilities) / draws).sqrt()
        return bool(((found / draws - probabilities).abs() <= 4 * sigma + 1e-9).all())

    return test
