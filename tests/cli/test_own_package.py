"""Parts from a package of one's own, in the folder one stands in and outside of the repository."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
OWN = "--data my_parts.Stripes --model.backbone my_parts.TwoLayers --model.loss my_parts.Sharpened"
MORE = """
from lightning.pytorch import Callback
from ltr.heads import Linear
from ltr.mixes import Mixup
from ltr.samplers import Power
class Head(Linear): pass
class Mix(Mixup): pass
class Sampler(Power): pass
class Watch(Callback):
    def on_test_end(self, trainer, pl_module): print("watched")
def loss(counts): return Sharpened(counts)
"""
FILES = {
    "needs": "import not_there_at_all\n",
    "broken": "def x(:\n",
    "raises": "raise ValueError('no way')\n",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[None]:
    """Write the modules of a project, and forget them afterwards."""
    (tmp_path / "my_parts.py").write_text(PAGE.read_text().split("```python\n")[1].split("```")[0] + MORE)
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    before = list(sys.path)
    forget()
    yield
    sys.path[:] = before
    forget()


def forget() -> None:
    for name in ("my_parts", *FILES):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


@pytest.mark.slow
def test_parts_of_every_kind_are_trained_and_tested(tiny, ltr, capsys) -> None:
    parts = "--model.head my_parts.Head --model.mix my_parts.Mix --data.sampler my_parts.Sampler"
    assert tiny(f"--name a {OWN} {parts} --model.loss.sharpness 3 --trainer.callbacks+=my_parts.Watch") == 0
    config = yaml.safe_load(Path("checkpoints/a/config.yaml").read_text())
    assert config["model"]["init_args"]["loss"] == {"class_path": "my_parts.Sharpened", "init_args": {"sharpness": 3.0}}
    assert ltr("test --ckpt_path a") == 2
    error = capsys.readouterr().err
    assert error.endswith("If it is a class that you trust, pass `--trust my_parts`.\n")
    assert error.count("\n") == 1
    assert ltr("test --ckpt_path a --trust my_parts") == 0
    assert "watched" in capsys.readouterr().out
    assert ltr("export --ckpt_path a --trust my_parts") == 0


def test_from_elsewhere_the_sentence_names_what_is_missing(tiny, ltr, tmp_path: Path, capsys, monkeypatch) -> None:
    assert tiny(f"--name a {OWN}") == 0
    sys.path.remove(str(tmp_path))
    forget()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ltr("test --ckpt_path ../checkpoints/a --trust my_parts") == 2
    error = capsys.readouterr().err
    assert "cannot be imported: No module named 'my_parts'. Install the package, or go to the folder with it." in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("needs.Loss", "needs.Loss cannot be imported: No module named 'not_there_at_all' ("),
        ("broken.Loss", "broken.Loss cannot be imported: SyntaxError: invalid syntax (broken.py, line 1)"),
        ("raises.Loss", "raises.Loss cannot be imported: ValueError: no way ("),
        ("nowhere.Loss", "nowhere.Loss cannot be imported: No module named 'nowhere'. Install the package"),
        ("my_parts.Sharpend", "there is no Sharpend in my_parts; did you mean Sharpened?"),
        ("my_parts.Head", "model.loss cannot be my_parts.Head, which does not derive from ltr.contracts.Loss."),
        ("my_parts.Sharpened --model.loss.sharp 2", "no option model.loss.sharp; did you mean --model.loss.sharpness?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_part_is_said(words: str, sentence: str, tiny, capsys) -> None:
    assert tiny(f"--name a --model.loss {words}") == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_takes_the_place_of_no_library(tiny, tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('run')\n")
    assert tiny(f"--name a {OWN}") == 0
    assert sys.path[-1] == str(tmp_path)


def test_nothing_of_the_folder_is_importable_until_it_is_named(trained, tmp_path: Path) -> None:
    trained("--name a")
    assert str(tmp_path) not in sys.path


def test_a_recipe_and_a_study_of_ones_own(ltr, tmp_path: Path) -> None:
    from tests.tiny import TINY

    (tmp_path / "mine").mkdir()
    loss = "{class_path: my_parts.Sharpened, init_args: {sharpness: 3}}"
    (tmp_path / "mine/recipe.yaml").write_text(f"model: {{init_args: {{loss: {loss}}}}}\n")
    row = {"title": "mine", "fit": f"{TINY} --config mine/recipe.yaml", "test": "--trust my_parts"}
    (tmp_path / "mine/study.yaml").write_text(yaml.safe_dump({"runs": {"mine": row}}))
    assert ltr("study mine/study.yaml") == 0
    config = yaml.safe_load((tmp_path / "checkpoints/study/mine-0/config.yaml").read_text())
    assert config["model"]["init_args"]["loss"]["init_args"]["sharpness"] == 3


@pytest.mark.slow
def test_the_console_script_finds_parts_without_a_path(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("ltr")
    if not script.is_file():
        pytest.skip("the console script is not installed")
    env = os.environ | {"PYTHONPATH": str(PAGE.parents[1])}
    flags = "--trainer.max_epochs 1 --trainer.accelerator cpu --trainer.enable_progress_bar false"
    words = f"fit --config ce.yaml {OWN} {flags} --name a".split()
    for line in (words, ["test", "--ckpt_path", "a", "--trust", "my_parts"]):
        done = subprocess.run([script, *line], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints/a/test/metrics.json").is_file()
