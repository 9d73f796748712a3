"""The verb that publishes a run on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ltr.cli.trained import read_trained, trained_parser

DESCRIPTION = """Publish a run on the Hugging Face Hub: its weights as safetensors, config, metrics and figures of its
evaluations, and a model card that says what it is, what it is worth and what it is not. Where files lie on this machine
is left out. With `--folder` it is written there and not uploaded."""


def push(arguments: Sequence[str]) -> None:
    """Publish a run.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: where the run cannot be read or was never tested, or the Hub cannot be reached.
    """
    from ltr.export import folder, upload

    parser = trained_parser("push", DESCRIPTION)
    parser.add_argument("--to", type=str, required=True, help="The repository, user/name.")
    parser.add_argument("--license", type=str, required=True, help="Of the weights, as the Hub calls it: apache-2.0.")
    parser.add_argument("--datasets", type=list[str], default=[], help="Data sets of the Hub it was trained on.")
    parser.add_argument("--private", action="store_true", help="A new repository is for its owner only.")
    parser.add_argument("--folder", type=str | None, default=None, help="Write it there, and upload nothing.")
    trained, values = read_trained(parser, arguments)
    said = {"repository": values.to, "license": values.license, "datasets": values.datasets}
    if values.folder is not None:
        folder(trained, Path(values.folder), **said)
        print(f"{values.folder}: what would be uploaded to {values.to}")
        return
    with TemporaryDirectory() as home:
        folder(trained, Path(home), **said)
        print(upload(Path(home), values.to, private=values.private))
