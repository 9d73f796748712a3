"""TFRecord files, read without TensorFlow.

A file is a row of records, each of which stands between its length (8 bytes) and checksums of both (4 bytes each), all
little-endian. A record is a `tf.train.Example`, a message of protocol buffers: a map of names to lists of values.

Reference:
    https://www.tensorflow.org/tutorials/load_data/tfrecord; tensorflow/tensorflow, tensorflow/core/example;
    https://protobuf.dev/programming-guides/encoding; the checksum: RFC 3720, section 12.1 and appendix B.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ltr.errors import InputError

LENGTH, CHECKSUM = 8, 4
CASTAGNOLI, ONES = 0x82F63B78, 0xFFFFFFFF
DELIMITED = 2  # the kind of every field of an `Example`: bytes after their number
BYTES, INTEGERS = 1, 3  # the fields of a `Feature`; 2 are floats

Example = dict[str, list[bytes] | list[int]]


def examples(path: Path) -> list[Example]:
    """Return the bytes and the integers of every record of a file, by name; floats are left out.

    Raises:
        InputError: if the file is truncated, damaged, or has other records.
        OSError: if there is no such file.
    """
    try:
        return [example(record) for record in records(path)]
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"{path} holds records that are not `tf.train.Example`: it is another file.") from error


def records(path: Path) -> list[bytes]:
    """Return the records of a file after comparing all of it with its checksums.

    Raises:
        InputError: if the file is truncated or damaged.
        OSError: if there is no such file.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file, but a folder, a pipe or a device: remove it.")
    content = path.read_bytes()
    parts, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + LENGTH], "little")
        parts += [(at, LENGTH), (at + LENGTH + CHECKSUM, size)]
        at += LENGTH + CHECKSUM + size + CHECKSUM
    if not (0 < at == len(content) and intact(content, parts)):
        raise InputError(f"{path} is truncated or damaged: unpack or fetch it again.")
    return [content[start : start + size] for start, size in parts[1::2]]


def intact(content: bytes, parts: list[tuple[int, int]]) -> bool:
    """Return whether every part, given by its start and size, agrees with the checksum that follows it."""
    whole = np.frombuffer(content, np.uint8)
    starts, sizes = np.array(parts).T
    for size in np.unique(sizes):
        rows = np.stack([whole[start : start + size + CHECKSUM] for start in starts[sizes == size]])
        checksum = crc32c(rows[:, :size])
        masked = ((checksum >> 15) | (checksum << 17)) + np.uint32(0xA282EAD8)
        if (masked != rows[:, size:].copy().view("<u4")[:, 0]).any():
            return False
    return True


def crc32c(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the CRC-32C of rows of equally many bytes, (N, L) -> (N,): byte by byte, but of all rows at once."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ CASTAGNOLI, table >> 1)
    register = np.full(len(rows), ONES, dtype=np.uint32)
    for column in np.ascontiguousarray(rows.T):
        register = table[register.astype(np.uint8) ^ column] ^ (register >> 8)
    return ~register


def example(record: bytes) -> Example:
    """Decode a `tf.train.Example`.

    Raises:
        ValueError, IndexError or KeyError: where the record is none.
    """
    values: Example = {}
    for _, features in fields(record):
        for _, entry in fields(features):
            pair = dict(fields(entry))
            for kind, content in fields(pair[2]):
                if kind == BYTES:
                    values[pair[1].decode()] = [value for _, value in fields(content)]
                elif kind == INTEGERS:
                    values[pair[1].decode()] = [value for _, packed in fields(content) for value in integers(packed)]
    return values


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of every field of a message.

    Raises:
        ValueError or IndexError: where it has a field of another kind than an `Example` has, or ends within one.
    """
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        size, at = varint(message, at)
        if tag % 8 != DELIMITED or at + size > len(message):
            raise ValueError
        yield tag // 8, message[at : at + size]
        at += size


def integers(packed: bytes) -> Iterator[int]:
    """Yield the integers of 64 bits that lie one after the other."""
    at = 0
    while at < len(packed):
        value, at = varint(packed, at)
        yield (value ^ (1 << 63)) - (1 << 63)


def varint(message: bytes, at: int) -> tuple[int, int]:
    """Read the number at a position, seven bits in a byte, the lowest first; return it and the position after it.

    Raises:
        IndexError: where the message ends within it.
    """
    value = shift = 0
    while message[at] > 127:
        value |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | (message[at] << shift), at + 1
