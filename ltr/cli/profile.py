"""The verb `profile`: what a set is like, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltr.cli.arguments import option
from ltr.cli.dataset import dataset_parser, named, read_dataset, repeated
from ltr.profile import report

DESCRIPTION = """Look at a set of images before training on it: how long its tail is, which files are damaged, which
images occur twice, how large they are; and which recipe to start from. The set is a folder, `ltr profile my_images`, or
any other one: `ltr profile --data CIFAR100LT`."""


def profile(arguments: Sequence[str]) -> None:
    """Report on a set.

    Args:
        arguments: a path, or arguments of the data, and options.
    """
    parser = dataset_parser("profile", DESCRIPTION)
    parser.add_argument("--output", type=str, default="profile", help="Folder of the results.")
    words = named(arguments)
    data, said = read_dataset(parser, words)
    for start, end, _ in reversed(option(words, "--output")):
        del words[start:end]
    report(data, repeated(words), Path(said.output))
