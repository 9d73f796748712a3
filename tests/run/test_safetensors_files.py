"""A checkpoint as safetensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ltr.errors import InputError
from ltr.run import safetensors_files


def test_what_is_written_is_read(tmp_path: Path) -> None:
    content = {
        "state_dict": {
            "head.fc.weight": torch.randn(3, 2),
            "known": torch.tensor(True),
            "counts": torch.tensor([3, 1]),
        },
        "training_record": {"images": torch.tensor([-5, 7]), "complete": True},
        "teacher": {"backbone": {"conv.weight": torch.ones(2)}, "head": {}},
        "config": "model: {}\n",
        "epoch": 3,
        "seconds": 1.5,
    }
    safetensors_files.write(tmp_path / "a.safetensors", content, {"classes": '["a", "b"]', "note": "text"})
    found = safetensors_files.read(tmp_path / "a.safetensors")
    assert list(found) == list(content)
    assert torch.equal(found["training_record"].pop("images"), torch.tensor([-5, 7]))
    assert found["training_record"] == {"complete": True}
    assert torch.equal(found["teacher"]["backbone"]["conv.weight"], torch.ones(2))
    assert found["teacher"]["head"] == {}
    for key, tensor in content["state_dict"].items():
        assert torch.equal(found["state_dict"][key], tensor), key
        assert found["state_dict"][key].dtype == tensor.dtype
    assert {key: found[key] for key in ("config", "epoch", "seconds")} == {
        "config": "model: {}\n",
        "epoch": 3,
        "seconds": 1.5,
    }
    assert "head.fc.weight" in load_file(tmp_path / "a.safetensors"), "others find the weights by their names"


def test_weights_in_another_order_of_memory_are_the_same(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    safetensors_files.write(tmp_path / "a.safetensors", {"state_dict": {"w": weight}}, {})
    assert torch.equal(safetensors_files.read(tmp_path / "a.safetensors")["state_dict"]["w"], weight)


def test_a_file_of_others_is_its_tensors(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors", {"format": "pt"})
    assert list(safetensors_files.read(tmp_path / "a.safetensors")) == ["w"]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    safetensors_files.write(tmp_path / "a.safetensors", {"state_dict": {"w": torch.ones(200)}}, {})
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "b.safetensors").write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"b\.safetensors is truncated or no safetensors file"):
        safetensors_files.read(tmp_path / "b.safetensors")


@pytest.mark.parametrize("values", [[], [5]])
def test_a_tensor_that_repeats_its_memory_is_written(tmp_path: Path, values: list[int]) -> None:
    repeating = torch.tensor(values, dtype=torch.int64).as_strided((len(values),), (0,))
    safetensors_files.write(tmp_path / "file.safetensors", {"state_dict": {"x": repeating}}, {})
    assert safetensors_files.read(tmp_path / "file.safetensors")["state_dict"]["x"].tolist() == values
