"""A study: kept, resumed, failing in part; its table and its picture."""

from __future__ import annotations

import json
import math
import statistics
from itertools import pairwise
from pathlib import Path

import pytest
from calling import study
from matplotlib.figure import Figure

from ltr.errors import InputError
from ltr.studies.plan import Plan

STUDY = """
seeds: [0, 1]
runs:
  base:
    title: Base
    fit: --config ce.yaml
  adjusted:
    title: Adjusted
    of: base
    test: --config logit_adjustment.yaml
  tuned:
    fit: [--config, gml.yaml, --model.backbone.checkpoint, "{base}"]
"""
MEASURES = ("top1", "gm", "hm", "lowest", "zero_recall", "many", "medium", "few", "ece")


class Fake:
    """Stands for the command line: writes what a run writes, and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.bad: set[tuple[str, str]] = set()

    def __call__(self, verb: str, words: list[str], *, tell: bool) -> None:
        assert tell is False
        self.calls.append((verb, words))
        said = dict(pairwise(words))
        if verb == "fit":
            home = Path(said["--runs"]) / said["--name"]
            if (said["--name"], verb) in self.bad:
                raise InputError("it broke.")
            home.mkdir(parents=True, exist_ok=True)
            (home / "last.ckpt").write_text("weights")
            return
        home = Path(said["--ckpt_path"]).parent
        if (home.name, verb) in self.bad:
            raise RuntimeError("no more")
        assert (home / said["--evaluation"] / "arguments.json").is_file(), "a study interrupted after this has them"
        seed = int(home.name.rpartition("-")[2])
        folder = home / said["--evaluation"]
        folder.mkdir(exist_ok=True)
        value = 0.5 + 0.1 * seed
        found = dict.fromkeys(MEASURES, value) | {"few": None, "zero_recall": seed}
        data = {"name": "Fake", "imbalance": 10.0, "tail": "exp", "subset_seed": 0}
        (folder / "metrics.json").write_text(
            json.dumps(
                {**found, "recall": [value, value, None], "counts": [9, 5, 2], "classes": ["a", "b", "c"], "data": data}
            )
        )

    def asked(self) -> list[str]:
        """Return verb and run of each call."""
        return [
            f"{verb} {said['--name'] if verb == 'fit' else Path(said['--ckpt_path']).parent.name}"
            for verb, words in self.calls
            for said in [dict(pairwise(words))]
        ]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(STUDY)
    return Fake()


def test_runs_come_seed_by_seed_and_know_each_other(fake: Fake) -> None:
    study(["mine.yaml", "--data.root", "there"], fake)
    assert fake.asked() == [
        *("fit base-0", "test base-0", "test base-0", "fit tuned-0", "test tuned-0"),
        *("fit base-1", "test base-1", "test base-1", "fit tuned-1", "test tuned-1"),
    ]
    words = fake.calls[3][1]
    assert words[words.index("--model.backbone.checkpoint") + 1] == "checkpoints/mine/base-0"
    assert words[words.index("--data.root") + 1] == "there"
    assert words[words.index("--seed_everything") + 1] == "0"


def test_the_table_has_mean_and_deviation(fake: Fake, capsys, drawn: dict[str, Figure]) -> None:
    study(["mine.yaml"], fake)
    table = Path("checkpoints/mine/table.md").read_text()
    mean, spread = statistics.mean((50, 60)), statistics.stdev((50, 60))
    assert f"| Base | {mean:.1f} ± {spread:.1f} |" in table
    assert "| 0.5 ± 0.7 |" in table, "zero-recall classes are counted, not made percent"
    assert "| - |" in table, "an empty group has no figure"
    assert "`ltr study mine.yaml`, seeds 0, 1. Fake, imbalance 10 (exp), subset seed 0." in table
    assert Path("checkpoints/mine/recall.png").is_file()
    (bars, *_) = drawn["recall.png"].axes[0].containers
    assert [bar.get_height() for bar in bars] == pytest.approx([mean] * 2 + [math.nan], nan_ok=True)
    out = capsys.readouterr().out
    assert "[6/6] tuned    seed 1  top-1  60.0" in out
    assert "Base" in out


def test_a_set_that_is_not_drawn_has_no_seed(fake: Fake) -> None:
    study(["mine.yaml"], fake)
    for path in Path("checkpoints/mine").glob("*/*/metrics.json"):
        path.write_text(path.read_text().replace('"subset_seed": 0', '"subset_seed": null'))
    study(["mine.yaml"], fake)
    assert "seeds 0, 1. Fake, imbalance 10 (exp). " in Path("checkpoints/mine/table.md").read_text()


def test_finished_runs_are_kept(fake: Fake, capsys) -> None:
    study(["mine.yaml"], fake)
    fake.calls.clear()
    for weights in Path("checkpoints/mine").glob("*/last.ckpt"):
        weights.unlink()  # only the results were kept
    capsys.readouterr()
    study(["mine.yaml"], fake)
    assert fake.calls == []
    assert capsys.readouterr().out.count("(kept)") == 6


def test_a_kept_result_is_trained_again_only_where_its_weights_are_needed(fake: Fake) -> None:
    study(["mine.yaml"], fake)
    for seed in (0, 1):
        (Path("checkpoints/mine") / f"base-{seed}" / "last.ckpt").unlink()
    Path("checkpoints/mine/tuned-1/test/metrics.json").unlink()
    fake.calls.clear()
    study(["mine.yaml"], fake)
    assert fake.asked() == ["fit base-1", "test base-1", "fit tuned-1", "test tuned-1"]
    assert "--overwrite" in fake.calls[0][1]


def test_an_interrupted_training_goes_on(fake: Fake) -> None:
    started = Path("checkpoints/mine/base-0")
    started.mkdir(parents=True)
    (started / "last.ckpt").write_text("half")
    hardly = Path("checkpoints/mine/base-1")
    hardly.mkdir()
    (hardly / "metrics.csv").write_text("epoch\n")
    study(["mine.yaml"], fake)
    fits = {words[words.index("--name") + 1]: words for verb, words in fake.calls if verb == "fit"}
    assert fits["base-0"][-2:] == ["--ckpt_path", "last"]
    assert "--ckpt_path" not in fits["base-1"]
    assert "--overwrite" in fits["base-1"]


def test_an_interrupted_training_goes_on_with_its_own_arguments_only(fake: Fake) -> None:
    fake.bad = {("base-0", "test")}
    with pytest.raises(InputError, match="no more"):
        study(["mine.yaml", "--only", "base-0"], fake)
    with pytest.raises(InputError, match="base-0 was begun with other arguments"):
        study(["mine.yaml", "--only", "base-0", "--data.imbalance", "20"], fake)
    assert fake.asked().count("fit base-0") == 1
    fake.bad = set()
    study(["mine.yaml", "--only", "base-0"], fake)


def test_a_failed_run_does_not_take_the_rest_down(fake: Fake, capsys) -> None:
    fake.bad = {("base-0", "fit"), ("tuned-1", "test")}
    with pytest.raises(InputError, match="4 of the runs failed, the first of them base-0: it broke"):
        study(["mine.yaml"], fake)
    table = Path("checkpoints/mine/table.md").read_text()
    assert "| Base (1 of 2 seeds) | 60.0 |" in table
    assert "- Base failed: it broke." in table
    assert "| tuned (0 of 2 seeds) | - |" in table
    assert "it needs base, which failed." in capsys.readouterr().out
    fake.bad.clear()
    study(["mine.yaml"], fake)
    assert "failed" not in Path("checkpoints/mine/table.md").read_text()


def test_a_result_of_other_arguments_is_not_passed_off(fake: Fake) -> None:
    study(["mine.yaml"], fake)
    with pytest.raises(InputError, match="was made with other arguments"):
        study(["mine.yaml", "--data.imbalance", "20"], fake)


def test_a_run_may_have_fewer_seeds(fake: Fake) -> None:
    Path("mine.yaml").write_text(STUDY.replace("    title: Adjusted\n", "    title: Adjusted\n    seeds: [1]\n"))
    study(["mine.yaml"], fake)
    assert fake.asked().count("test base-0") == 1
    assert fake.asked().count("test base-1") == 2
    assert "| Adjusted | 60.0 |" in Path("checkpoints/mine/table.md").read_text()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("runs: [", "cannot be read as YAML"),
        ("seeds: [0]", "it needs `runs`"),
        ("runs: {a: {fit: x}}\nseed: [1]", "a study has no key seed"),
        ("runs: {a: {fit: x}}\nseeds: 3", "`seeds` is a list of whole numbers"),
        ("runs: {a: {test: x}}", "needs either `fit:`"),
        ("runs: {a: {fit: x, tests: y}}", "has no key tests; did you mean test?"),
        ("runs: {base: {fit: x}, b: {of: bas}}", "needs bas, which does not come before it; did you mean base?"),
        ("runs: {a: {fit: '--x {b}'}, b: {fit: y}}", "needs b, which does not come before it"),
        ("runs: {a/b: {fit: x}}", "needs a name of letters"),
        ("runs: {a: {fit: x, seeds: [3]}}", "has the seed 3, which the study"),
        (
            "seeds: [0, 1, 2]\nruns: {a: {fit: x, seeds: [0, 1]}, b: {fit: '{a}'}}",
            "has the seed 2, which the study or a run",
        ),
        (
            "seeds: [0, 1]\nruns: {a: {fit: x, seeds: [0]}, b: {of: a, seeds: [1]}}",
            "has the seed 1, which the study or a run",
        ),
        ("runs: {a: {fit: x}}\npicture: [c]", "the picture names c"),
    ],
)
def test_a_bad_file_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        Plan.read(str(tmp_path / "bad.yaml"))


def test_a_missing_file_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean studies/quickstart.yaml\?"):
        Plan.read("studies/quikstart.yaml")


@pytest.mark.slow
def test_a_real_study_in_one_process(ltr, capsys) -> None:
    small = "--trainer.max_epochs 1 --trainer.accelerator cpu --trainer.precision 32-true --data Synthetic"
    Path("mine.yaml").write_text(
        STUDY.replace("--config ce.yaml", f"--config ce.yaml {small} --model.schedule Cosine --model.schedule.warmup 0")
        .replace("seeds: [0, 1]", "seeds: [0]")
        .replace("[--config, gml.yaml", "[--config, gml.yaml, " + ", ".join(small.split()))
    )
    assert ltr("study mine.yaml --data.classes 3 --data.imbalance 4") == 0
    assert "[3/3] tuned" in capsys.readouterr().out
    assert {path.name for path in Path("checkpoints/mine/base-0").iterdir()} >= {"test", "adjusted", "last.ckpt"}
    assert ltr("study mine.yaml --data.classes 3 --data.imbalance 4") == 0
    assert ltr("study mine.yaml --data.classes 4 --data.imbalance 4") == 2


def test_weights_go_when_no_other_run_needs_them(fake: Fake) -> None:
    Path("mine.yaml").write_text(STUDY.replace("ce.yaml\n", "ce.yaml\n    keep: false\n"))
    study(["mine.yaml", "--only", "base-0"], fake)
    weights = Path("checkpoints/mine/base-0/last.ckpt")
    assert weights.is_file(), "the other rows need them"
    fake.bad = {("tuned-0", "fit")}
    with pytest.raises(InputError, match="1 of the runs failed"):
        study(["mine.yaml"], fake)
    assert weights.is_file(), "the failed row needs them"
    assert not Path("checkpoints/mine/base-1/last.ckpt").exists()
    fake.bad = set()
    study(["mine.yaml"], fake)
    assert not weights.exists()
    assert Path("checkpoints/mine/tuned-0/last.ckpt").is_file(), "which is kept"
    assert fake.asked().count("fit base-0") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--processes 0", "--processes is at least 1"),
        ("--gpus 2", "`--gpus` and `--cpus` are those of a run on Ray"),
        ("--cpus 3", "`--gpus` and `--cpus` are those of a run on Ray"),
        ("--ray local --processes 2", "Ray decides how many runs there are at once"),
        ("--name mine", "the command has --name, which a study gives every run itself"),
        ("--ckpt_path=a", "the command has --ckpt_path, which a study gives every run itself"),
        ("--overwrite", "the command has --overwrite, which a study gives every run itself"),
        ("--seed_everything 3", "the command has --seed_everything, and the study gives the seed"),
    ],
)
def test_no_option_is_ignored(fake: Fake, words: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        study(["mine.yaml", *words.split()], fake)
    assert fake.calls == []
