"""Methods x recipes x data x images x seeds, each run once and in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltr.errors import InputError
from ltr.studies.job import Job
from ltr.studies.plan import Plan

STUDY = """
seeds: [0, 1]
subset_seeds: [0, 7]
recipes:
  short: --config recipes/short.yaml
  strong: [--config, recipes/short.yaml, --config, recipes/autoaugment.yaml]
data:
  if100: --data.imbalance 100
  if10: --data.imbalance 10
runs:
  ce: {fit: "--config ce.yaml {recipe} --trainer.max_epochs 3"}
  la: {of: ce, test: --config logit_adjustment.yaml}
  gml: {fit: "--config gml.yaml --model.backbone.checkpoint {ce}"}
  given: {fit: --config pretrained.yaml, seeds: [0]}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "mine.yaml").write_text(STUDY)
    return Plan.read(str(tmp_path / "mine.yaml"))


def named(plan: Plan, name: str) -> Job:
    (job,) = [job for job in plan.jobs if job.name == name]
    return job


def test_every_combination_is_there_once(plan: Plan) -> None:
    names = [job.name for job in plan.jobs]
    assert len(names) == len(set(names)) == 3 * 2 * 2 * 2 * 2 + 2 * 2
    assert names[:5] == [f"if100-short-s0/{row}-0" for row in ("ce", "la", "gml")] + [
        "if100-s0/given-0",
        "if100-strong-s0/ce-0",
    ]
    seeds = [job.seed for job in plan.jobs]
    assert seeds == sorted(seeds), "an early end leaves whole seeds"


def test_what_a_run_needs_comes_before_it_and_shares_its_setting(plan: Plan) -> None:
    jobs = plan.jobs
    for job in jobs:
        for need in plan.needs(job):
            assert jobs.index(need) < jobs.index(job)
            assert need.name.rpartition("/")[0] == job.name.rpartition("/")[0]
            assert need.seed == job.seed


def test_the_arguments_of_a_run(plan: Plan) -> None:
    words = plan.arguments(named(plan, "if10-strong-s7/ce-1"), Path("runs"), ["--data.root", "x"])
    assert " ".join(words["fit"]) == (
        "--config ce.yaml --config recipes/short.yaml --config recipes/autoaugment.yaml --trainer.max_epochs 3 "
        "--data.imbalance 10 --data.subset_seed 7 --data.root x"
    )
    tuned = plan.arguments(named(plan, "if10-strong-s7/gml-1"), Path("runs"))["fit"]
    assert tuned[:4] == ["--config", "gml.yaml", "--model.backbone.checkpoint", "runs/if10-strong-s7/ce-1"]
    assert plan.arguments(named(plan, "if10-strong-s7/la-1"), Path("runs")) == {
        "fit": None,
        "test": ["--config", "logit_adjustment.yaml"],
    }


def test_heads_of_several_seeds_start_from_a_network_with_one(tmp_path: Path) -> None:
    text = """
seeds: [0, 1, 2]
runs:
  ce: {fit: --config ce.yaml, seeds: [1]}
  la: {of: ce, test: --config logit_adjustment.yaml}
  gml: {fit: "--config gml.yaml --model.backbone.checkpoint {ce}"}
  ensemble: {of: gml, test: --config ensemble.yaml}
"""
    (tmp_path / "mine.yaml").write_text(text)
    plan = Plan.read(str(tmp_path / "mine.yaml"))
    assert [job.name for job in plan.jobs if job.entry.name in ("ce", "la")] == ["ce-1", "la-1"]
    for seed in (0, 1, 2):
        gml = named(plan, f"gml-{seed}")
        assert [job.name for job in plan.needs(gml)] == ["ce-1"]
        assert plan.arguments(gml, Path("runs"))["fit"][-1] == "runs/ce-1"
        assert [job.name for job in plan.needs(named(plan, f"ensemble-{seed}"))] == [f"gml-{seed}"]
    assert {job.name for job in plan.with_needs(["ensemble-2"])} == {"ce-1", "gml-2", "ensemble-2"}


def test_where_results_lie(plan: Plan) -> None:
    assert named(plan, "if10-strong-s7/la-1").result == "if10-strong-s7/ce-1/la/metrics.json"
    assert named(plan, "if10-strong-s7/gml-1").result == "if10-strong-s7/gml-1/test/metrics.json"


def test_a_study_without_axes_has_plain_folders(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("runs: {ce: {fit: --config ce.yaml}}")
    (job,) = Plan.read(str(tmp_path / "mine.yaml")).jobs
    assert (job.name, job.result) == ("ce-0", "ce-0/test/metrics.json")


def test_the_study_of_the_docs_is_sound(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "studies.md"
    (tmp_path / "mine.yaml").write_text(page.read_text().partition("```yaml\n")[2].partition("```")[0])
    plan = Plan.read(str(tmp_path / "mine.yaml"))
    assert plan.with_needs(["if10-plain-s0/gml-2"])[0].name == "if10-plain-s0/ce-2"


def test_some_runs_bring_what_they_need(plan: Plan) -> None:
    chosen = plan.with_needs(["if10-short-s0/gml-1"])
    assert [job.name for job in chosen] == ["if10-short-s0/ce-1", "if10-short-s0/gml-1"]
    with pytest.raises(InputError, match=r"no run if10-short-s0/gm-1; did you mean if10-short-s0/gml-1\?"):
        plan.with_needs(["if10-short-s0/gm-1"])


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("{recipe} ", "", "need each other"),
        ("recipes:\n", "recipe:\n", "no key recipe; did you mean recipes?"),
        ("data:\n  if100: --data.imbalance 100\n  if10: --data.imbalance 10\n", "data: [a]\n", "`data` is a mapping"),
        ("  if10:", "  if-10:", "`data` is a mapping of names"),
        ("subset_seeds: [0, 7]", "subset_seeds: 7", "`subset_seeds` is a list of whole numbers"),
        ("subset_seeds: [0, 7]", "baseline: cee", "the baseline names cee; did you mean ce?"),
        ("seeds: [0]}", "reported: many}", "`reported` is top-1 in percent"),
        ("  given:", "  recipe:", "is not `recipe`"),
        ("subset_seeds: [0, 7]", "balanced: if1", "`balanced` is one of the names in `data`"),
    ],
)
def test_a_bad_axis_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in STUDY
    (tmp_path / "bad.yaml").write_text(STUDY.replace(old, new))
    with pytest.raises(InputError) as error:
        Plan.read(str(tmp_path / "bad.yaml"))
    assert sentence in str(error.value)


SWEEP = """
seeds: [0]
runs:
  ce: {title: CE, fit: --config ce.yaml, sweep: {model.optimizer.lr: [0.1, 1e-3, null]}}
  la: {of: ce_0.1, test: --config logit_adjustment.yaml, sweep: {trainer.callbacks.tau: [0.5, 1]}}
  gml: {fit: "--config gml.yaml --model.backbone.checkpoint {ce_1e-3}"}
"""


def test_a_sweep_of_one_option_is_rows_of_one_table(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SWEEP)
    plan = Plan.read(str(tmp_path / "mine.yaml"))
    titles = {entry.name: entry.title for entry in plan.entries}
    assert titles == {
        "ce_0.1": "CE, lr 0.1",
        "ce_1e-3": "CE, lr 1e-3",
        "ce_null": "CE, lr null",
        "la_0.5": "la, tau 0.5",
        "la_1": "la, tau 1",
        "gml": "gml",
    }
    assert len(plan.settings) == 1, "one section, one table"
    (fit, test) = plan.commands(named(plan, "ce_1e-3-0"), Path("runs"))
    assert " ".join(fit) == (
        "fit --config ce.yaml --model.optimizer.lr 1e-3 --runs runs --name ce_1e-3-0 --seed_everything 0"
    )
    assert " ".join(test) == "test --ckpt_path runs/ce_1e-3-0/last.ckpt --evaluation test"
    (tau,) = plan.commands(named(plan, "la_0.5-0"), Path("runs"))
    assert tau[-2:] == ["--trainer.callbacks.tau", "0.5"]
    assert plan.arguments(named(plan, "gml-0"), Path("runs"))["fit"][-1] == "runs/ce_1e-3-0"


def test_runs_may_lie_beside_all_others_without_a_seed(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: null\nseeds: null\nruns: {ce: {fit: --config ce.yaml}}")
    plan = Plan.read(str(tmp_path / "mine.yaml"))
    (job,) = plan.jobs
    assert (plan.name, job.name, job.result) == ("", "ce", "ce/test/metrics.json")
    assert "--seed_everything" not in plan.commands(job, Path("runs"))[0]


def test_a_placeholder_is_a_name_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("runs: {a: {fit: x}, b: {fit: ['{a}', '{a!r}', '{', '{x y}']}}")
    plan = Plan.read(str(tmp_path / "mine.yaml"))
    assert plan.arguments(named(plan, "b-0"), Path("runs"))["fit"] == ["runs/a-0", "{a!r}", "{", "{x y}"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("runs: {a: {fit: 5}}", "`fit` holds arguments, as a text or a list; it cannot be 5"),
        ("runs: {a: {fit: [[x]]}}", "`fit` is a text"),
        ("runs: {a: {fit: 'x \"y'}}", "a quotation mark that is not closed"),
        ("runs: {a: {of: a}}", "needs a, which does not come before it"),
        ("runs: {a: {fit: x}, b: {fit: '{a.__class__}'}}", "needs a.__class__, which does not come before it"),
        ("runs: {a: {fit: x}}\npicture: 5", "the picture is a list of names of runs; it cannot be 5"),
        ("runs: {a: {fit: x}}\nbaseline: [a]", "the baseline names ['a']"),
        ("runs: {a: {fit: x}}\nseeds: [-1]", "whole numbers from 0"),
        ("runs: {a: {fit: x}}\nseeds: [true]", "whole numbers from 0"),
        ("runs: {a: {fit: x}}\nseeds: [0, 0]", "each once"),
        ("runs: {a: {fit: x}}\nname: ../../x", "cannot be '../../x'"),
        ("runs: {a: {fit: x}}\nname: [x]", "`name` is a text"),
        ("runs: {../a: {fit: x}}", "needs a name of letters"),
        ("runs: {a: {fit: x}, a: {fit: y}}", "the key a occurs twice"),
        ("runs: {1: {fit: x}, '1': {fit: y}}", "two runs are called 1"),
        ("seeds: [0]\nseeds: [1]\nruns: {a: {fit: x}}", "the key seeds occurs twice"),
        ("runs: {a: {fit: x, keep: maybe}}", "`keep` is true or false"),
        ("runs: {a: {fit: x, reported: true}}", "`reported` is top-1 in percent"),
        ("runs: {a: {fit: x, sweep: {lr: 1}}}", "`sweep` is one option with a list of values"),
        ("runs: {a: {fit: x, title: [x]}}", "`title` is a text"),
        ("runs: {a: {fit: x, title: A}, b: {fit: y, title: A}}", "two runs have the title A"),
        ("data: {x: 5}\nruns: {a: {fit: x}}", "`data`, x holds arguments"),
        ("runs: {a: {fit: x}}\nbalanced: [x]", "`balanced` is one of the names"),
        ("? [a]\n: 1", "cannot be read as YAML"),
        ("- a", "is not a study"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        Plan.read(str(tmp_path / "bad.yaml"))
    assert sentence in str(error.value)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes("# Größe\nruns: {a: {fit: x}}".encode("latin-1"))
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        Plan.read(str(tmp_path / "bad.yaml"))
