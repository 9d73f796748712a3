"""Damaged checkpoints are noticed, malformed ones are refused in a sentence, and the one before the last is kept."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from ltr import files
from ltr.callbacks import Run
from ltr.errors import InputError
from ltr.run import safetensors_files, torch_files, weights
from ltr.run.checkpoint_fields import check_fields
from ltr.run.checkpoint_io import keep
from ltr.run.folder import RunFolder
from ltr.run.training_record import TrainingRecord

RUN = Path("checkpoints/a")
LAST, PREVIOUS = RUN / "last.ckpt", RUN / "previous.ckpt"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": {"w": torch.arange(500.0), "b": torch.ones(3)}}, path)
    return path


def spans(path: Path) -> Iterator[range]:
    """Yield where the contents of an archive are."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name, extra = struct.unpack_from("<HH", path.read_bytes(), entry.header_offset + 26)
            start = entry.header_offset + 30 + name + extra
            yield range(start, start + entry.file_size)


def test_every_changed_bit_of_the_content_is_noticed(file: Path) -> None:
    sound = file.read_bytes()
    positions = [span[at] for span in spans(file) if span for at in {0, len(span) // 2, len(span) - 1}]
    assert len(positions) > 10
    for position in positions:
        changed = bytearray(sound)
        changed[position] ^= 1 << position % 8
        file.write_bytes(changed)
        with pytest.raises(InputError, match=r"weights\.pt is damaged: its bytes have changed"):
            weights.read(str(file))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.99])
def test_truncation_is_noticed(file: Path, share: float) -> None:
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(InputError, match="truncated"):
        weights.read(str(file))


def test_a_changed_byte_anywhere_changes_no_tensor_in_silence(file: Path) -> None:
    sound, wanted = file.read_bytes(), weights.read(str(file))["state_dict"]["w"]
    for position in range(0, len(sound), 97):
        changed = bytearray(sound)
        changed[position] ^= 0x55
        file.write_bytes(changed)
        with suppress(InputError):  # else it is a byte between the contents
            assert torch.equal(weights.read(str(file))["state_dict"]["w"], wanted)


def test_a_compressed_file_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(2**26))
    assert path.stat().st_size < 2**17
    with pytest.raises(InputError, match="is refused: its content is compressed"):
        weights.read(str(path))


def test_the_format_before_archives_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"w": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(weights.read(str(path))["w"], torch.ones(2))


def test_changed_bytes_of_safetensors_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    content = {"state_dict": {"w": torch.ones(50), "b": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(3)}}
    safetensors_files.write(path, {**content, "epoch": 7}, {"note": "text"})
    assert weights.read(str(path))["epoch"] == 7
    sound = path.read_bytes()
    for position in (len(sound) - 1, len(sound) - 150, sound.index(b"text"), sound.index(b"epoch") + 9):
        changed = bytearray(sound)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"is damaged|is truncated"):
            weights.read(str(path))


MALFORMED: dict[str, dict[str, Any]] = {
    "a list": {"checkpoint": "[1, 2]"},
    "a clash": {"checkpoint": '{"x": 5}'},
    "a number as state_dict": {"checkpoint": '{"state_dict": 5}'},
    "deep": {"checkpoint": "[" * 100_000 + "]" * 100_000},
    "no JSON": {"checkpoint": "{"},
}


@pytest.mark.parametrize("metadata", MALFORMED.values(), ids=MALFORMED)
def test_malformed_metadata_of_safetensors_are_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    header = {"__metadata__": metadata}
    header |= {"x/y": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    head = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"1234")
    if metadata == MALFORMED["a number as state_dict"]:
        with pytest.raises(InputError, match="`state_dict` is not that of a checkpoint"):
            check_fields(weights.read(str(path)), path)
        return
    with pytest.raises(InputError, match="its metadata are not those of a checkpoint"):
        weights.read(str(path))


WEIGHT = {"counts": torch.tensor([3, 1])}
FIELDS: list[tuple[str, Any]] = [
    ("pytorch-lightning_version", ["2", "6"]),
    ("pytorch-lightning_version", "none"),
    ("config", 5),
    ("epoch", -1),
    ("epoch", "7"),
    ("global_step", 1.5),
    ("images", True),
    ("seconds", "long"),
    ("seconds", float("nan")),
    ("classes", 3),
    ("classes", ["a", 1]),
    ("curves", [{"epoch": 0}]),
    ("curves", "0"),
    ("preprocessing", [8]),
    ("provenance", {"epochs": torch.ones(2)}),
    ("provenance", ["epochs"]),
    ("state_dict", None),
    ("state_dict", [1]),
    ("state_dict", WEIGHT | {"w": "text"}),
    ("state_dict", WEIGHT | {"w": [1.0]}),
    ("state_dict", WEIGHT | {"w": None}),
    ("state_dict", WEIGHT | {"w": torch.eye(3).to_sparse()}),
    ("state_dict", WEIGHT | {"w": torch.empty(3, device="meta")}),
    ("optimizer_states", {}),
    ("optimizer_states", [{"state": {}}]),
    ("optimizer_states", [{"state": {}, "param_groups": [{"lr": 1}]}]),
    ("lr_schedulers", [{"last_epoch": "3"}]),
    ("callbacks", 1),
    ("loops", []),
    ("loops", {"test_loop": None}),
]


@pytest.mark.parametrize(("name", "value"), FIELDS, ids=[f"{name}-{at}" for at, (name, _) in enumerate(FIELDS)])
def test_a_field_of_another_type_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"`{name}` is not that of a checkpoint of `ltr`"):
        check_fields({name: value}, "x.ckpt")


@pytest.mark.parametrize(
    ("counts", "classes", "message"),
    [
        (torch.tensor([3, 1]), ["a"], "2 counts for 1 classes"),
        (torch.tensor([[3, 1]]), ["a", "b"], "not one whole number per class"),
        (torch.tensor(3), [], "not one whole number per class"),
        (torch.tensor([3.5, 1]), [], "not one whole number per class"),
    ],
)
def test_counts_and_classes_have_to_fit(counts: torch.Tensor, classes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_fields({"state_dict": {"counts": counts}, "classes": classes}, "x.ckpt")


@pytest.mark.parametrize(
    "value", ["x", 3, {"images": 1}, {"images": torch.ones(2)}, {"images": torch.ones(1, 1).long(), "complete": True}]
)
def test_a_malformed_training_record_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="record of the training images in the checkpoint is damaged"):
        TrainingRecord.read({"training_record": value})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
def test_a_malformed_checkpoint_is_a_sentence_for_every_verb(trained, ltr, capsys) -> None:
    trained("--name a")
    sound = torch.load(LAST, weights_only=True)
    changes: list[dict[str, Any]] = [
        {name: value} for name, value in FIELDS if name not in ("config",) and "meta" not in str(value)
    ]
    changes += [{"training_record": 5}, {"preprocessing": {"evil": 1}}, {"preprocessing": {"size": "8"}}]
    for change in changes[::4]:
        torch.save({**sound, **change}, LAST)
        for words in (
            "test --ckpt_path a",
            "predict --ckpt_path a --images x.png",
            "fit --ckpt_path checkpoints/a/last.ckpt",
        ):
            assert ltr(words) == 2, (words, change)
            assert "ltr: error: " in capsys.readouterr().err


def zeroed(path: Path) -> None:
    """Set bytes of the largest tensor to 0."""
    content = bytearray(path.read_bytes())
    span = max(spans(path), key=len)
    content[span[40] : span[104]] = bytes(64)
    path.write_bytes(content)


@pytest.mark.slow
def test_a_damaged_checkpoint_of_a_run_is_reported_with_the_one_before(trained, ltr, capsys) -> None:
    trained("--name a")
    zeroed(LAST)
    for words in ("test --ckpt_path a", "fit --ckpt_path checkpoints/a/last.ckpt", "export --ckpt_path a"):
        assert ltr(words) == 2
        error = capsys.readouterr().err
        assert "last.ckpt is damaged: its bytes have changed" in error
        assert "The checkpoint before it is checkpoints/a/previous.ckpt: pass it to `--ckpt_path`." in error
    assert ltr(f"test --ckpt_path {PREVIOUS} --evaluation before") == 0
    PREVIOUS.unlink()
    assert ltr("test --ckpt_path a") == 2
    assert "before it" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where `interrupted` keeps its trainings for the next test."""
    return tmp_path_factory.mktemp("kept") / "checkpoints"


@pytest.fixture
def interrupted(kept: Path, tiny) -> None:
    """Train `whole` for four epochs, and `a` for three of them."""
    if kept.exists():
        shutil.copytree(kept, "checkpoints")
        return
    assert tiny("--name whole --trainer.max_epochs 4") == 0
    save = Run.on_train_epoch_end

    def interrupt(self, trainer, module) -> None:
        save(self, trainer, module)
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "on_train_epoch_end", interrupt)
        assert tiny("--name a --trainer.max_epochs 4") != 0
    shutil.copytree("checkpoints", kept)


@pytest.mark.slow_but_one
@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("damage", ["zeroed", "truncated", "empty", "missing"])
def test_a_resume_falls_back_to_the_checkpoint_before_and_ends_as_an_undisturbed_run(tiny, damage: str) -> None:
    content = LAST.read_bytes()
    if damage == "zeroed":
        zeroed(LAST)
    elif damage == "missing":
        LAST.unlink()
    else:
        LAST.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    (RUN / "metrics.csv").write_text("epoch,train/lr\n0,0.1")  # has lost what followed
    with pytest.warns(UserWarning, match=r"The training goes on from the checkpoint before it, .*previous\.ckpt"):
        assert tiny("--name a --trainer.max_epochs 4 --ckpt_path last") == 0
    assert (RUN / "metrics.csv").read_text() == Path("checkpoints/whole/metrics.csv").read_text()
    mine, other = (torch.load(path / "last.ckpt")["state_dict"] for path in (RUN, Path("checkpoints/whole")))
    assert all(torch.equal(value, other[key]) for key, value in mine.items())
    torch_files.check_archive(PREVIOUS)


def test_damaged_checkpoints_do_not_replace_a_good_one(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Run.on_train_epoch_end

    def damage(self, trainer, module) -> None:
        save(self, trainer, module)
        if trainer.current_epoch == 1:
            zeroed(LAST)

    monkeypatch.setattr(Run, "on_train_epoch_end", damage)
    assert tiny("--name a --trainer.max_epochs 3") == 0
    assert torch.load(PREVIOUS, weights_only=True)["epoch"] == 0
    assert torch.load(LAST, weights_only=True)["epoch"] == 2


def test_a_checkpoint_that_is_kept_twice_has_two_names(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    torch.save({"a": 1}, last)
    for _ in range(2):  # the process was interrupted before it wrote the next one
        keep(last)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".metrics.{dead.pid}.json"
    others = [
        tmp_path / name for name in (f".metrics.{os.getppid()}.json", f".other.{dead.pid}.json", ".metrics.x.json")
    ]
    for name in (left, *others):
        name.write_text("{")
    files.write_json(path, {"a": 1})
    assert not left.exists()
    assert all(name.exists() for name in others)


def test_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        events.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    files.write_text(tmp_path / "a.txt", "text")
    assert events == [f".a.{os.getpid()}.txt", "replace", tmp_path.name]


@pytest.mark.slow_but_one
@pytest.mark.parametrize("content", [b"seed_everything: 0\n", b"model: [", b"\xff\xfe", b""], ids=str)
def test_a_damaged_config_is_replaced_by_that_in_the_checkpoint(trained, ltr, content: bytes) -> None:
    trained("--name a --data.imbalance 2")
    text = (RUN / "config.yaml").read_text()
    (RUN / "config.yaml").write_bytes(content)
    with pytest.warns(UserWarning, match=r"config\.yaml is damaged: the config in .*last\.ckpt is used"):
        assert ltr("test --ckpt_path a") == 0
    assert json.loads((RUN / "test" / "metrics.json").read_text())["data"]["imbalance"] == 2
    with pytest.warns(UserWarning, match=r"config\.yaml is damaged"):
        assert ltr("fit --ckpt_path checkpoints/a/last.ckpt --trainer.max_epochs 3") == 0
    assert (RUN / "config.yaml").read_text() == text.replace("max_epochs: 2", "max_epochs: 3")


def test_an_edited_config_is_used_and_noted(trained, ltr) -> None:
    trained("--name a --data.imbalance 2")
    text = (RUN / "config.yaml").read_text()
    (RUN / "config.yaml").write_text(text.replace("\n    batch_size: 16\n", "\n    batch_size: 7\n"))
    with pytest.warns(UserWarning, match=r"config\.yaml is not the config that .* was written with; it is used"):
        assert ltr("test --ckpt_path a") == 0
    used = json.loads((RUN / "test" / "metrics.json").read_text())["config"]["data"]["init_args"]
    assert used["batch_size"] == 7


@pytest.mark.parametrize(
    "text",
    [
        "epoch,train/lr\n0,0.1\n1,0.05\n3,0.02\n",
        "epoch,train/lr,train/loss\n0,0.1,1.5\n1,0.0",
        "epoch,train/lr\n0,0.1,9\n",
        "epoch,train/lr\nx,0.1\n",
        "train/lr\n0.1\n",
        "epoch,train/lr\n1,0.1\n0,0.1\n",
        "\0\0",
    ],
    ids=str,
)
def test_damaged_curves_are_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(InputError, match=r"metrics\.csv is damaged: resume the run, which writes it anew"):
        _ = RunFolder(tmp_path).curves


@pytest.mark.parametrize("archive", [True, False])
def test_a_number_that_stands_for_very_many_is_refused(archive: bool, tmp_path: Path) -> None:
    state = {"w": torch.zeros(1).expand(2**40), "tied": [torch.ones(9)] * 3}
    torch.save({"state_dict": state}, tmp_path / "w.pt", _use_new_zipfile_serialization=archive)
    with pytest.raises(InputError, match=r"w\.pt is refused: its tensors repeat what it holds, up to 1,099,511,"):
        torch_files.read(tmp_path / "w.pt")


def test_tensors_in_a_list_that_contains_itself_are_found_once() -> None:
    content: list[Any] = [torch.ones(2), {"a": torch.zeros(3)}]
    content.append(content)
    assert sorted(len(tensor) for tensor in torch_files.tensors({"x": content, "y": content[0]})) == [2, 3]
