"""TFRecord files, against the RFC's checksums, bytes that TensorFlow wrote and frames that TensorBoard writes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from ltr.data.tfrecord import crc32c, examples, records
from ltr.errors import InputError

# What tf.io.TFRecordWriter of TensorFlow 2.21.0 makes of two `tf.train.Example`, serialised deterministically:
# {image: b"\0\1\2\3\4", label: 7} and {image: b"\xff\x80", label: [300, -2], none: an empty feature, score: [0.5]}.
FIRST = "2600000000000000734fe3000a240a120a05696d61676512090a070a0500010203040a0e0a056c6162656c12051a030a0107ab7b6c41"
SECOND = (
    "4b00000000000000870999960a490a0f0a05696d61676512060a040a02ff800a190a056c6162656c12101a0e0a0cac02fefffffffffffffff"
    "f010a080a046e6f6e6512000a110a0573636f7265120812060a040000003f3faa32fb"
)
WRITTEN = bytes.fromhex(FIRST + SECOND)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.tfrecords"


def test_the_checksums_of_the_rfc() -> None:
    up = range(32)
    rows = np.array([[0] * 32, [255] * 32, up, up[::-1]], dtype=np.uint8)
    assert crc32c(rows).tolist() == [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C]  # RFC 3720, appendix B.4
    assert crc32c(np.frombuffer(b"123456789", np.uint8)[None]).tolist() == [0xE3069283]


def test_what_tensorflow_wrote_is_read(file: Path) -> None:
    file.write_bytes(WRITTEN)
    first, second = examples(file)
    assert first == {"image": [bytes(range(5))], "label": [7]}
    assert second == {"image": [b"\xff\x80"], "label": [300, -2]}


def test_records_of_any_length(file: Path) -> None:
    generator = np.random.default_rng(0)
    expected = [generator.bytes(size) for size in (3, 0, 300, 3, 7, 0, 300)]
    with file.open("wb") as opened:
        for content in expected:
            RecordWriter(opened).write(content)
    assert records(file) == expected


def test_every_cut_and_every_changed_byte_is_noticed(file: Path) -> None:
    cuts = [WRITTEN[:end] for end in range(len(WRITTEN)) if end != len(FIRST) // 2]
    changed = [WRITTEN[:at] + bytes([WRITTEN[at] ^ 1 << at % 8]) + WRITTEN[at + 1 :] for at in range(len(WRITTEN))]
    for content in cuts + changed:
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"some\.tfrecords is truncated or damaged: unpack or fetch it again\.$"):
            records(file)


@pytest.mark.parametrize("message", [b"\x08\x01", b"\x0a", b"\x0a\x05\x0a", b"\x0a\x02\x0a\x00", b"\xff\xff\xff"])
def test_records_of_another_kind(file: Path, message: bytes) -> None:
    with file.open("wb") as opened:
        RecordWriter(opened).write(message)
    with pytest.raises(InputError, match=r"holds records that are not `tf\.train\.Example`: it is another file\.$"):
        examples(file)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.tfrecords")
    with pytest.raises(InputError, match=r"train\.tfrecords is not a file, but a folder, a pipe or a device"):
        examples(tmp_path / "train.tfrecords")
