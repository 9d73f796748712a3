"""The verb that writes a network so that others can use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltr.cli.trained import read_trained, trained_parser

DESCRIPTION = """Write the network of a run as it is tested, the normalisation of its images inside: `onnx` and `torch`
(a program of torch.export) take `images`, (B, 3, H, W) uint8 of red, green and blue in the size of the data, and give
`logits`, (B, C) float32, for any B. `safetensors` are the weights with all that must be known of them, which `ltr`
reads like a checkpoint; `checkpoint` is the run in a new folder, without the state of the optimizer. Every file is read
again and must answer images of the test split as the network does."""


def export(arguments: Sequence[str]) -> None:
    """Write the network of a run.

    Args:
        arguments: what follows the verb.

    Raises:
        InputError: where the run cannot be read or the network not be written.
    """
    from ltr.export import Format, light_run, usual_path
    from ltr.export import export as written

    parser = trained_parser("export", DESCRIPTION)
    parser.add_argument("--to", type=Format, default="safetensors", help="The format.")
    parser.add_argument("--output", type=str | None, default=None, help="The file, or the folder of the new run.")
    trained, values = read_trained(parser, arguments)
    output = Path(values.output or usual_path(trained, values.to))
    largest = light_run(trained, output) if values.to == "checkpoint" else written(trained, values.to, output)
    print(f"{output}: the same network, its logits differ by at most {largest:.1e}")
