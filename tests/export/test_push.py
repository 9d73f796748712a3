"""A run on the Hugging Face Hub, which is a folder here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import metrics, network, run
from huggingface_hub import ModelCard

from ltr.export.card import card
from ltr.predictor import Predictor

PUSH = "push --to me/mine --license mit --ckpt_path"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that stands in for the Hub, in the layout of its cache."""
    home = tmp_path / "hub" / "models--me--mine" / "snapshots" / "0123"

    class Api:
        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
            assert (name, exist_ok) == ("me/mine", True)
            home.mkdir(parents=True)
            (home / "private").write_text(str(private))

        def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
            shutil.copytree(folder_path, home, dirs_exist_ok=True)
            return f"https://hub/{repo_id}"

    def fetch(name: str, file: str, *, revision: str | None) -> str:
        assert (name, revision) in (("me/mine", None), ("me/mine", "v1"))
        return str(home / file)

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setattr("ltr.run.hub.check_reachable", lambda _: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    return home


def test_what_would_be_uploaded_can_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", None)  # nothing is uploaded
    assert run(f"{PUSH} plain --folder {tmp_path}/out") == 0
    out = tmp_path / "out"
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "config.yaml",
        "model.safetensors",
        "test/metrics.json",
        "test/confusion.png",
        "test/recall.png",
    }


def test_the_card_says_what_the_hub_reads(tmp_path: Path) -> None:
    assert run(f"{PUSH} cosine --datasets me/images --folder {tmp_path}/out") == 0
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert (card.data.license, card.data.library_name, card.data.datasets) == ("mit", "ltr", ["me/images"])
    assert card.data.model_name == "mine"
    found = {result.metric_type: result for result in card.data.eval_results}
    wanted = metrics("checkpoints/cosine/test")
    assert found["accuracy"].metric_value == wanted["top1"]
    assert {found[key].metric_value == wanted[key] for key in ("gm", "hm", "lowest", "zero_recall")} == {True}
    assert {result.task_type for result in card.data.eval_results} == {"image-classification"}
    assert {result.dataset_type for result in card.data.eval_results} == {"me/images"}


@pytest.mark.slow
def test_the_card_says_what_the_network_is_not(tmp_path: Path) -> None:
    assert run("test --ckpt_path tuned --config logit_adjustment.yaml --evaluation la") == 0
    assert run(f"{PUSH} tuned --folder {tmp_path}/out") == 0
    text = ModelCard.load(tmp_path / "out" / "README.md").text
    wanted = metrics("checkpoints/tuned/test")
    assert f"| test | {100 * wanted['top1']:.1f} |" in text
    assert "| la, LogitAdjustment(tau 1.0) | " in text
    order = sorted(range(5), key=lambda label: wanted["recall"][label])
    rows = [f"| class {label} | {wanted['counts'][label]} | {100 * wanted['recall'][label]:.1f} |" for label in order]
    assert "\n".join(rows) in text, "the worst classes, from the lowest recall on"
    for label, recall in enumerate(wanted["recall"]):
        assert (f"class {label}" in text.partition("it recognised no test image")[2].partition("\n\n")[0]) == (
            recall == 0
        )
    assert "It was trained on 56 different images, in all trainings that led to it." in text
    assert "0 of the images that it was tested on are among them" in text
    assert wanted["data"]["fingerprints"]["train"] in text
    assert "{" not in text


def test_where_files_lie_is_left_out(tmp_path: Path) -> None:
    shutil.copytree("checkpoints/plain", tmp_path / "secret" / "plain")
    for name in ("config.yaml", "test/metrics.json"):
        file = tmp_path / "secret" / "plain" / name
        file.write_text(file.read_text().replace("root: data", f"root: {tmp_path}/secret/data"))
    assert "secret" in (tmp_path / "secret" / "plain" / "config.yaml").read_text()
    with pytest.warns(UserWarning, match="is not the config that"):
        assert run(f"{PUSH} {tmp_path}/secret/plain --folder {tmp_path}/out") == 0
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"secret" not in path.read_bytes(), path.name


def test_the_figures_of_any_evaluation_are_there(tmp_path: Path) -> None:
    shutil.copytree("checkpoints/plain", tmp_path / "plain")
    (tmp_path / "plain" / "test").rename(tmp_path / "plain" / "test[1]")
    assert run(f"{PUSH} {tmp_path}/plain --folder {tmp_path}/out") == 0
    assert {path.name for path in (tmp_path / "out" / "test[1]").iterdir()} == {
        "metrics.json",
        "confusion.png",
        "recall.png",
    }


@pytest.mark.parametrize("private", [False, True])
def test_a_run_goes_there_and_comes_back(remote: Path, private: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{PUSH} plain {'--private' * private}") == 0
    assert "https://hub/me/mine" in capsys.readouterr().out
    assert (remote / "private").read_text() == str(private)
    (remote / "config.yaml").unlink()  # only the weights are fetched
    assert run("test --ckpt_path hf://me/mine@v1") == 0
    assert metrics("checkpoints/me--mine/test")["recall"] == metrics("checkpoints/plain/test")["recall"]
    assert not (remote / "me--mine").exists()


def test_a_backbone_from_there(remote: Path, tmp_path: Path) -> None:
    assert run(f"{PUSH} plain") == 0
    start = f"--model.backbone.checkpoint hf://me/mine {network('--model.backbone.backbone')}"
    words = "--data Synthetic --data.imbalance 4 --trainer.accelerator cpu --trainer.enable_progress_bar false"
    assert (
        run(f"fit --config pretrained.yaml {words} --trainer.precision 32-true {start} --runs {tmp_path} --name kept")
        == 0
    )
    assert run(f"test --ckpt_path {tmp_path}/kept") == 0
    assert metrics(f"{tmp_path}/kept/test")["recall"] == metrics("checkpoints/plain/test")["recall"]
    assert remote.is_dir()


def test_files_of_others_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert run(f"{PUSH} plain --folder {tmp_path}") == 2
    assert "has files of something else" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_run_without_figures_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("checkpoints/plain", tmp_path / "my run", ignore=shutil.ignore_patterns("test"))
    assert run(PUSH, f"{tmp_path}/my run", "--folder", f"{tmp_path}/out") == 2
    assert f"was never tested, so there are no figures: run `ltr test --ckpt_path '{tmp_path}/my run/last.ckpt'`" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_what_the_hub_refuses_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Api:
        def create_repo(self, *_: object, **__: object) -> None:
            raise OSError("you are nobody")

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    assert run(f"{PUSH} plain") == 2
    assert "me/mine could not be written (you are nobody): log in" in capsys.readouterr().err


def test_names_are_no_markup_in_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, measured = Predictor.load("plain"), metrics("checkpoints/plain/test")
    names = ["<script>x</script>", "a|b", "[c](d)", "`e`", "*f*"]
    monkeypatch.setattr(Predictor, "classes", names)
    measured |= {"data": {**measured["data"], "name": "<b>set</b>"}, "recall": [0.0] * 5}
    text = card(predictor, {"te|st": measured}, repository="me/mine", license="mit").partition("\n---\n")[2]
    for part in (r"\<script>x\</script>", r"| a\|b |", r"[c\](d)", r"\`e\`", r"\*f\*", r"\<b>set\</b>", r"| te\|st |"):
        assert part in text
    assert "<" not in text.replace(r"\<", "")
