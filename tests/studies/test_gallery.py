"""The gallery says of every recipe what its file says, and shows the figures that belong to it, and no others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ltr.errors import InputError
from ltr.run import lookup
from ltr.run.recipe import GROUPS, Recipe
from ltr.studies.gallery import write
from ltr.studies.plan import Plan
from ltr.studies.runs import COMMITTED

HOME = lookup.folder("configs")
BASE = HOME / "base.yaml"
PLAN = Plan.read("second_stage.yaml")


def recipe(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return Recipe.read(path, BASE)


def result(folder: Path, seed: int, top1: float, *, fit: str | None, test: str = "", **data: object) -> Path:
    """Write the result of a run, as a study does."""
    folder.mkdir(parents=True)
    measures = {"top1": top1, "gm": 0.2, "hm": 0.1, "lowest": 0.0, "seed": seed}
    measures["data"] = {
        "name": "CIFAR-100-LT",
        "imbalance": 100.0,
        "tail": "exp",
        "subset_seed": 0,
        "official": True,
    } | data
    words = {"fit": None if fit is None else fit.split(), "test": test.split()}
    (folder / "metrics.json").write_text(json.dumps(measures))
    (folder / "arguments.json").write_text(json.dumps(words))
    return folder / "metrics.json"


def row(text: str, name: str) -> str:
    """Return the row of a recipe in the gallery."""
    (found,) = [line for line in text.splitlines() if f"]({name})" in line]
    return found


def test_the_files_in_the_repository_are_what_the_command_writes() -> None:
    root = HOME.parent
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("which results are part of the repository is known only in a clone of it")
    named = ["git", "ls-files", "docs/results", "checkpoints"]
    listed = subprocess.run(named, cwd=root, capture_output=True, text=True, check=True)
    results = [root / line for line in listed.stdout.splitlines() if line.endswith("metrics.json")]
    assert results
    written = write(sorted(results, key=lambda path: (COMMITTED not in path.parents, path)))
    command = "run: ltr gallery --output configs/README.md --results docs/results.md"
    assert (HOME / "README.md").read_text(encoding="utf-8") == written.recipes, command
    assert (root / "docs/results.md").read_text(encoding="utf-8") == written.studies, command


def test_a_committed_result_comes_before_one_of_the_runs(tmp_path: Path) -> None:
    fit = "--config ce.yaml --config recipes/short.yaml"
    found = [
        result(tmp_path / place / "short" / "ce-0" / "test", 0, top1, fit=fit)
        for place, top1 in (("b", 0.3), ("a", 0.4))
    ]
    assert row(write(found).recipes, "ce.yaml").count("30.0 / 20.0") == 1
    assert "40.0" not in write(found).studies


@pytest.fixture(scope="module")
def without_results() -> str:
    return write([]).recipes


@pytest.mark.parametrize("path", sorted(HOME.glob("*.yaml")), ids=lambda path: path.name)
def test_every_recipe_is_in_it_with_what_is_reported(path: Path, without_results: str) -> None:
    if path == BASE:
        return
    read = Recipe.read(path, BASE)
    assert "Reported" in read.header or path.name == "pretrained.yaml"
    assert read.header.get("Reported", "").removesuffix(".") in row(without_results, path.name)


def test_a_header_is_a_sentence_and_keys(tmp_path: Path) -> None:
    read = recipe(tmp_path, "# Mine, in\n#   two lines.\n# Paper: I, 2020\n# Notes: a: b\nmodel: {}\n")
    assert read.title == "Mine, in two lines"
    assert read.header == {"Paper": "I, 2020", "Notes": "a: b"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("model: {}\n", "begins with no sentence"),
        ("# Mine\nmodel: {}\n", "begins with no sentence"),
        ("# Mine.\n# Author: I\nmodel: {}\n", "no line `Author: I`"),
    ],
)
def test_another_header_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        recipe(tmp_path, text)


def test_changes_are_what_base_does_not_say(tmp_path: Path) -> None:
    read = recipe(
        tmp_path,
        """# Mine.
model:
  class_path: ltr.methods.Method
  init_args:
    head: ltr.heads.Linear
    loss:
      class_path: ltr.losses.Deferred
      init_args: {before: ltr.losses.LDAM, after: {class_path: ltr.losses.Focal, init_args: {gamma: 2}}, start: 0.5}
    optimizer:
      class_path: torch.optim.SGD
      init_args: {lr: 0.1, momentum: 0.9, weight_decay: 1.0e-3}
data:
  init_args: {batch_size: 128}
""",
    )
    assert read.changes == {"loss": "Deferred(LDAM, Focal(gamma 2), start 0.5)", "optimizer": "SGD(weight_decay 0.001)"}
    assert read.group == GROUPS["loss"]
    assert read.command == "ltr fit --config mine.yaml"


@pytest.mark.parametrize(
    ("name", "group", "command"),
    [
        ("gml.yaml", "Tuning", "ltr fit --config gml.yaml"),
        ("tau_norm.yaml", "test", "ltr test --ckpt_path RUN --config tau_norm.yaml"),
        ("drs.yaml", "sampler", "ltr fit --config drs.yaml"),
        ("sam.yaml", "other", "ltr fit --config sam.yaml"),
    ],
)
def test_the_section_and_the_command(name: str, group: str, command: str) -> None:
    read = Recipe.read(HOME / name, BASE)
    assert (read.group, read.command) == (GROUPS[group], command)


def test_figures_of_seeds_are_put_together(tmp_path: Path) -> None:
    fit = "--config ce.yaml --config recipes/short.yaml"
    found = [result(tmp_path / "short" / f"ce-{seed}" / "test", seed, 0.3 + 0.02 * seed, fit=fit) for seed in (0, 1)]
    text = write(found)
    assert row(text.recipes, "ce.yaml").endswith(
        "| 31.0 ± 1.4 / 20.0 ± 0.0 / 10.0 ± 0.0 / 0.0 ± 0.0 ([short](../docs/results.md#short)) |"
    )
    assert "\n## short\n" in text.studies
    assert "| CE (2 of 3 seeds) | 31.0 ± 1.4 |" in text.studies


def test_a_budget_and_a_start_are_no_other_recipe(tmp_path: Path) -> None:
    fit = "--config crt.yaml --config recipes/short.yaml --trainer.max_epochs 3 --model.backbone.checkpoint mine"
    text = write([result(tmp_path / "short" / "crt-0" / "test", 0, 0.4, fit=fit)]).recipes
    assert "40.0 / 20.0 / 10.0 / 0.0 ([short](../docs/results.md#short))" in row(text, "crt.yaml")


def test_an_adjustment_belongs_to_its_own_recipe(tmp_path: Path) -> None:
    found = result(tmp_path / "short" / "ce-0" / "la", 0, 0.4, fit=None, test="--config logit_adjustment.yaml")
    text = write([found]).recipes
    assert "40.0 / 20.0 / 10.0 / 0.0" in row(text, "logit_adjustment.yaml")
    assert row(text, "ce.yaml").endswith("|  |")


@pytest.mark.parametrize(
    ("fit", "data"),
    [
        ("--config ce.yaml --model.optimizer.weight_decay 1", {}),
        ("--config ce.yaml --config focal.yaml", {}),
        ("--config ce.yaml --trainer.callbacks+=EMA", {}),
        ("--config ce.yaml", {"imbalance": 10.0}),
        ("--config ce.yaml", {"name": "digits"}),
        ("--config ce.yaml", {"official": False}),
    ],
)
def test_other_settings_or_data_are_no_figures_of_a_recipe(tmp_path: Path, fit: str, data: dict[str, object]) -> None:
    text = write([result(tmp_path / "short" / "ce-0" / "test", 0, 0.4, fit=fit, **data)]).recipes
    assert row(text, "ce.yaml").endswith("|  |")


def test_a_pretrained_network_gives_no_figures_of_a_recipe(tmp_path: Path) -> None:
    path = result(tmp_path / "short" / "ce-0" / "test", 0, 0.4, fit="--config ce.yaml")
    measures = json.loads(path.read_text())
    for sets, last in (({}, ".0 ([short](../docs/results.md#short)) |"), ({"ImageNet-1k": 57}, "|  |")):
        path.write_text(json.dumps(measures | {"provenance": {"pretrained_on": sets}}))
        assert row(write([path]).recipes, "ce.yaml").endswith(last)


@pytest.mark.slow
def test_the_command_writes_two_files_and_the_pictures(ltr, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = result(tmp_path / "checkpoints" / "quickstart" / "ce-0" / "test", 0, 0.3, fit="--config ce.yaml")
    assert ltr("gallery --output recipes.md --results results.md") == 0
    written = write([*sorted(COMMITTED.glob("**/metrics.json")), mine])
    assert (tmp_path / "recipes.md").read_text(encoding="utf-8") == written.recipes
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == written.studies
    assert list(written.pictures) == ["results/reference/changes.png"]
    shown = set(re.findall(r"!\[.*?\]\((.*?)\)", written.studies))
    assert shown == {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("results/**/*.png")}
    assert "## quickstart" in written.studies
    capsys.readouterr()
    assert ltr("gallery") == 0
    assert capsys.readouterr().out == f"{written.recipes}\n{written.studies}"


def test_findings_stand_above_the_tables() -> None:
    (reference,) = [
        part for part in write(COMMITTED.glob("**/metrics.json")).studies.split("\n## ") if part.startswith("reference")
    ]
    findings = (COMMITTED / "reference" / "findings.md").read_text(encoding="utf-8").strip()
    assert reference.startswith(f"reference\n\n{findings}\n\n![")


def test_a_row_that_was_not_run_is_counted_and_not_shown(tmp_path: Path) -> None:
    (ce, *_), others = PLAN.entries, len(PLAN.entries) - 1
    done = result(
        tmp_path / PLAN.name / f"{ce.name}-{ce.seeds[0]}" / "test", ce.seeds[0], 0.5, fit=" ".join(ce.fit or ())
    )
    (text,) = [part for part in write([done]).studies.split("\n## ") if part.startswith(PLAN.name)]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2, "the head and the row that was run"
    assert text.rstrip().endswith(f"{others} further rows of this study have not been run yet.")
