"""Three methods with three seeds on the embedded digits; killed at any point, the table is the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from scipy import stats

from tests.own_process import LONGEST, Command, End

STUDY = """
seeds: [0, 1, 2]
recipes:
  short: --config data/digits.yaml --trainer.max_epochs 2
runs:
  ce: {title: CE, fit: "--config ce.yaml {recipe} SMALL"}
  bsce: {title: balanced softmax, fit: "--config balanced_softmax.yaml {recipe} SMALL"}
  gml: {title: CE + GML, fit: "--config gml.yaml --config data/digits.yaml --trainer.max_epochs 2 TUNED"}
  la: {of: ce, test: --config logit_adjustment.yaml}
"""
NETWORK = "ResNetCIFAR {0}.depth 8 {0}.width 4"
SMALL = "--model.backbone " + NETWORK.format("--model.backbone") + " --model.schedule Cosine --model.schedule.warmup 0"
TUNED = (
    "--model.backbone.checkpoint {ce} --model.backbone.backbone "
    + NETWORK.format("--model.backbone.backbone")
    + " --model.schedule Cosine --model.schedule.warmup 0"
)
CPU = "--trainer.accelerator cpu --trainer.precision 32-true"
HOME = Path("checkpoints/mine/short")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(STUDY.replace("SMALL", SMALL).replace("TUNED", TUNED))
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_three_methods_with_three_seeds(ltr) -> None:
    assert ltr(f"study mine.yaml {CPU}") == 0
    lines = Path("checkpoints/mine/table.md").read_text().splitlines()
    for row, title in (("bsce", "balanced softmax"), ("gml", "CE + GML")):
        pairs = []
        for name in (row, "ce"):
            files = [HOME / f"{name}-{seed}" / "test" / "metrics.json" for seed in range(3)]
            pairs.append([100 * json.loads(path.read_text())["top1"] for path in files])
        known = stats.ttest_rel(*pairs).confidence_interval(0.95)
        (shown,) = [line for line in lines if line.startswith(f"| {title} |") and "[" in line]
        assert f"[{known.low:+.1f}, {known.high:+.1f}]" in shown.split(" | ")[1]
    made = json.loads((HOME / "gml-0" / "test" / "metrics.json").read_text())["provenance"]
    assert made["starts_from"] == [str(HOME / "ce-0")]
    assert made["passes"] == 1, "features are computed once"


@pytest.mark.slow
def test_a_killed_study_ends_with_the_same_table(place: Path) -> None:
    def end(limit: float = LONGEST) -> End:
        """Run the study, and kill it after some seconds as nobody can prevent."""
        return Command(f"study mine.yaml {CPU} --only short/gml-0 short/la-0", place).wait(limit)

    whole = end()
    assert whole.code == 0, whole.err
    table = Path("checkpoints/mine/table.md").read_text()
    Path("checkpoints").rename("undisturbed")
    draw = random.Random(0)
    for _ in range(2):
        end(draw.uniform(0.3, 0.95) * whole.seconds)
    last = end()
    assert last.code == 0, last.err
    assert Path("checkpoints/mine/table.md").read_text() == table
