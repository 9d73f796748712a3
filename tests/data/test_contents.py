"""Images are equal where their content is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltr.data.contents import BLOCK, contents
from ltr.data.images import ImageFiles
from ltr.errors import InputError
from ltr.profile.measures import examine


def of(*files: bytes) -> list[int]:
    return contents(ImageFiles(files, 8), "images").tolist()


def test_equal_pixels_have_equal_numbers() -> None:
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8)
    found = contents(torch.cat([images, images[:1]]).to(memory_format=torch.channels_last), "images")
    assert found.dtype == torch.int64
    assert len(set(found.tolist())) == 3
    assert found[0] == found[3]


def test_equal_means_what_a_profile_means_by_it() -> None:
    images = torch.randint(0, 4, (40, 3, 1, 1), dtype=torch.uint8)
    numbers, facts = contents(images, "images").tolist(), examine(images, "images")
    digests = [fact.digest for fact in facts if fact]
    assert len(numbers) > len(set(numbers)) == len(set(digests)) == len(set(zip(numbers, digests, strict=True)))


def test_a_file_is_its_bytes_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"abc")
    (tmp_path / "two").write_bytes(b"abc")
    named = contents(ImageFiles([str(tmp_path / "one"), str(tmp_path / "two")], 8), "images").tolist()
    assert named == [*of(b"abc"), *of(b"abc")]
    assert named[0] not in of(b"abd", b"abcd")


def test_of_a_large_file_its_middle_and_its_length_count(tmp_path: Path) -> None:
    large = np.random.default_rng(0).bytes(5 * BLOCK)
    changed = bytearray(large)
    changed[len(large) // 2] ^= 1
    first, second, longer, middle = of(large, bytes(changed), large + b"ab", large[2 * BLOCK : 3 * BLOCK])
    assert len({first, second, longer, middle}) == 4
    (tmp_path / "large").write_bytes(large)
    assert contents(ImageFiles([str(tmp_path / "large")], 8), "images").tolist() == [first]


def test_a_subset_has_the_numbers_of_its_images() -> None:
    files = ImageFiles([b"a", b"b", b"c"], 8).take(np.array([2, 0]))
    assert contents(files, "images").tolist() == of(b"c", b"a")


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone cannot be read"):
        contents(ImageFiles([str(tmp_path / "gone")], 8), "images")
