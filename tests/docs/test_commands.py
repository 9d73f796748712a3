"""Every `ltr` command in README and docs runs on tiny data, or is parsed if a comment says what it needs."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from ltr.__main__ import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PAGES = ["SECURITY.md", "checkpoints/README.md", "configs/README.md", "docs/results/README.md"]
NEEDS = re.compile(r"network|GPU|hours|minutes|cluster|a browser|needs your")
SHORT = ["--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
SHORT += ["--trainer.precision", "32-true", "--model.schedule", "Cosine", "--model.schedule.warmup", "0"]
DIGITS = ["--config", "data/digits.yaml", "--data.val_per_class", "5"]

Run = Callable[[list[str]], int]


class Command(NamedTuple):
    """A command of a page.

    Attributes:
        words: verb and arguments.
        needs: what keeps a test from running it, empty if nothing does.
    """

    words: list[str]
    needs: str


def blocks(text: str) -> Iterator[str]:
    """Yield the lines of shell code: of indented blocks and of fenced ones without a language."""
    fenced, language, before = False, "", ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced, language = not fenced, line.strip().removeprefix("```")
        elif (fenced and not language) or (not fenced and line.startswith("    ")):
            before += line.strip()
            if before.endswith("\\"):
                before = before[:-1]
                continue
            yield before
            before = ""


def commands(page: Path) -> list[Command]:
    """Return the `ltr` commands of a page, in order."""
    found = []
    for line in blocks(page.read_text(encoding="utf-8")):
        *_, last = line.split(" && ")
        if last.startswith("ltr "):
            command, _, comment = last.partition(" # ")
            needs = NEEDS.search("network" if last != line else comment)
            found.append(Command(shlex.split(command)[1:], needs[0] if needs else ""))
    return found


def test_commands_are_found() -> None:
    text = "Text `ltr x`.\n\n    ltr fit --a \\\n        --b   # hours, a GPU\n\n"
    text += "```\nltr test\n```\n```python\nltr = 1\n```\n"
    page = ROOT / "README.md"
    assert list(blocks(text)) == ["ltr fit --a --b   # hours, a GPU", "ltr test"]
    assert Command(["study", "configs/studies/quickstart.yaml"], "network") in commands(page)
    assert Command(["test", "--ckpt_path", "mine_gml"], "") in commands(page)


def network(place: str) -> list[str]:
    """Return the words for a network of few layers."""
    return [place, "ResNetCIFAR", f"{place}.depth", "8", f"{place}.width", "4"]


def shorter(words: list[str]) -> list[str]:
    """Return a command; a training gets one epoch, and a small network where its page names none or a ResNet20."""
    if words[0] != "fit" or any(word.endswith(".help") for word in words):
        return words
    named = any(word.startswith(("--model.backbone", "--ckpt_path")) for word in words)
    narrow = ["--model.backbone.width", "4"] if ("--model.backbone", "ResNet20") in pairwise(words) else []
    return [*words, *SHORT, *(narrow if named else network("--model.backbone"))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `RUN`, a network with a validation split, and `TUNED`, which starts from it."""
    folder = tmp_path_factory.mktemp("runs")
    common = [*DIGITS, *SHORT, "--runs", str(folder)]
    main(["fit", "--config", "ce.yaml", *network("--model.backbone"), *common, "--name", "RUN"])
    start = [*network("--model.backbone.backbone"), "--model.backbone.checkpoint", str(folder / "RUN")]
    main(["fit", "--config", "gml.yaml", *start, *common, "--name", "TUNED"])
    return folder


@pytest.fixture
def here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the command line, quiet and in a folder with these runs; it returns the exit status."""
    shutil.copytree(runs, tmp_path / "checkpoints")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # it would try again and again

    def run(words: list[str]) -> int:
        monkeypatch.setattr("sys.argv", ["ltr", *words])
        try:
            with redirect_stdout(StringIO()):
                main(words)
        except SystemExit as end:
            return int(end.code or 0) if not isinstance(end.code, str) else 1
        return 0

    return run


def pages(wanted: Callable[[Command], bool]) -> list[Path]:
    """Return the pages with such a command."""
    return [page for page in PAGES if any(map(wanted, commands(page)))]


@pytest.mark.slow
@pytest.mark.usefixtures("onnx_operators")
@pytest.mark.filterwarnings("ignore:this run is short")
@pytest.mark.parametrize("page", pages(lambda command: not command.needs), ids=lambda page: page.name)
def test_the_commands_of_a_page_run_from_top_to_bottom(
    page: Path, here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name == "extending.md":
        (tmp_path / "my_parts.py").write_text(page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0])
        monkeypatch.setattr("sys.path", [*sys.path])  # the folder is added to it
    for words, needs in commands(page):
        if not needs:
            assert here(shorter(words)) == 0, f"{page.name}: ltr {shlex.join(words)}"


@pytest.mark.parametrize("page", pages(lambda command: bool(command.needs)), ids=lambda page: page.name)
def test_the_other_commands_of_a_page_have_options_that_exist(page: Path, here: Run) -> None:
    for words, needs in commands(page):
        if needs:
            verb, *rest = words
            text = f"{page.name}: ltr {shlex.join(words)}"
            if verb in ("fit", "validate", "test", "predict") and "--images" not in rest:
                if "--ckpt_path" in rest:
                    rest[rest.index("--ckpt_path") + 1] = "RUN"
                assert here([verb, *rest, "--print_config"]) == 0, text
            elif verb == "study":
                assert here([verb, *rest, "--sweep", "sweep.yaml"]) == 0, text
            else:
                options = {word.partition("=")[0] for word in rest if re.match(r"--\w+(=|$)", word)}
                assert options <= set(re.findall(r"--\w+", said([verb, "--help"]))), text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_in_the_text_exists(page: Path) -> None:
    verbs = set(re.findall(r"`ltr ([a-z][\w-]*)", page.read_text(encoding="utf-8")))
    known = set(re.findall(r"(?m)^  ([a-z][a-z-]*) ", said(["--help"])))
    assert "fit" in known
    assert verbs <= known


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / name for name in OTHER_PAGES)], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the documentation make them."""
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert len(text.encode()) <= 12_000


def said(words: list[str]) -> str:
    """Return what a command prints."""
    out = StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        main(words)
    return out.getvalue()
