"""The command line. What is heavy is imported only by the verb that needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ltr.version import __version__

VERBS = {
    "profile": "look at a set of images: its tail, what is wrong with it, and the recipe to start from",
    "convert": "write a data set as class folders, a table or annotations",
    "synthesise": "make images of rare classes with a diffusion model",
    "fit": "train a method, or tune the classifier of a trained network",
    "validate": "measure a run on the splits that its training followed",
    "test": "measure a run on the test split; write metrics, predictions and figures",
    "predict": "write the predictions of a run",
    "report": "write a page about a finished run, or several compared",
    "export": "write a network as ONNX, a torch program, safetensors or a small checkpoint, and compare it",
    "push": "write a network and its model card for the Hugging Face Hub, and upload them",
    "app": "open a web page: train, infer, compare, look after the runs",
    "study": "run the trainings and tests of a YAML file and compare them in one table",
    "tune-grid": "tune many heads of one network at once; draw mean accuracy against the worst classes",
    "gallery": "print all recipes with what is reported and what was measured here",
}
HELP = f"""\
usage: ltr VERB [options]

Long-tailed image recognition.

verbs:
{chr(10).join(f"  {verb:<11}{what}" for verb, what in VERBS.items())}

  ltr VERB --help            the options of a verb
  ltr --version              {__version__}

examples:
  ltr profile my_images
  ltr fit --config ce.yaml --data.root data
  ltr fit --config gml.yaml --model.backbone.checkpoint ce
  ltr test --ckpt_path checkpoints/gml/last.ckpt
  ltr report gml
  ltr study quickstart.yaml
  ltr app
"""


def main(args: Sequence[str] | None = None) -> None:
    """Run a verb.

    Args:
        args: the arguments; those of the process where none are given.

    Raises:
        SystemExit: with status 2 where the input cannot be used, after one sentence on what is wrong.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help"):
        print(HELP, end="")
    elif verb == "--version":
        print(__version__)
    elif verb == "app":  # which answers before torch is there
        from ltr.app import app
        from ltr.errors import InputError

        try:
            app(arguments[1:])
        except InputError as error:
            sys.exit(_fail(str(error)))
    elif verb in VERBS:
        from ltr.cli.verbs import run

        run(verb, arguments[1:])
    else:
        from ltr.errors import did_you_mean

        sys.exit(_fail(f"there is no verb {verb}{did_you_mean(verb, list(VERBS))}"))


def _fail(sentence: str) -> int:
    """Print an error and return the exit status that says so."""
    print(f"ltr: error: {sentence}", file=sys.stderr)
    return 2
