"""The verbs of the command line. What is heavy is imported only by the verb that needs it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from ltr.cli.messages import messages
from ltr.errors import InputError
from ltr.process_state import keep_exit_status
from ltr.sentences import did_you_mean
from ltr.version import __version__

VERBS = {
    "auto": "find the best classifier for a set of images, and measure it",
    "profile": "examine a data set: its tail, its problems, and the recipe to start from",
    "convert": "write a data set as class folders, a table or annotations",
    "synthesise": "generate images of rare classes with a diffusion model",
    "fit": "train a method, or tune the classifier of a trained network",
    "validate": "measure a run on its validation and test split; write nothing",
    "test": "measure a run on the test split; write metrics, predictions and figures",
    "predict": "write the predictions of a run, for its test split or for new images",
    "report": "write a page about a finished run, or several compared",
    "export": "write a network as ONNX, a torch program, safetensors or a small checkpoint, and compare it",
    "push": "write a network and its model card for the Hugging Face Hub, and upload them",
    "app": "serve a web page: train, infer, compare, manage runs",
    "study": "run the trainings and tests of a YAML file and compare them in one table",
    "tune-grid": "tune many heads of one network at once; draw mean accuracy against the worst classes",
    "gallery": "print all recipes with the reported and the measured results",
}
AGAIN = dict.fromkeys(("auto", "study", "tune-grid"), "the same command goes on, what is finished is kept")
HELP = f"""\
usage: ltr VERB [options]

Long-tailed image recognition.

verbs:
{chr(10).join(f"  {verb:<11}{what}" for verb, what in VERBS.items())}

  ltr VERB --help            the options of a verb
  ltr --version              {__version__}

examples:
  ltr auto my_images
  ltr profile my_images
  ltr fit --config ce.yaml --data.root data
  ltr fit --config gml.yaml --model.backbone.checkpoint ce
  ltr test --ckpt_path gml
  ltr report gml
  ltr study quickstart.yaml
  ltr app
"""


def main(args: Sequence[str] | None = None) -> None:
    """Run a verb.

    Args:
        args: the arguments; those of the process where none are given.

    Raises:
        SystemExit: after one sentence, with status 2 for bad input, 130 after Ctrl+C and 143 after SIGTERM.
    """
    verb, *arguments = list(sys.argv[1:] if args is None else args) or ["--help"]
    if verb in ("-h", "--help"):
        print(HELP, end="")
    elif verb == "--version":
        print(__version__)
    else:
        with keep_exit_status(), messages(AGAIN.get(verb, "")):
            run(verb, arguments)


def run(verb: str, arguments: list[str]) -> None:
    """Run a verb with the arguments that follow it.

    Raises:
        InputError: if there is no such verb, or the arguments cannot be used.
    """
    match verb:
        case "fit" | "validate" | "test" | "predict":
            from ltr.cli.command import perform

            perform(verb, arguments)
        case "study":
            from ltr.cli.call import call
            from ltr.cli.command import perform
            from ltr.studies.study import study

            call(study, arguments, perform=perform, command=shlex.join(["ltr", "study", *arguments]))
        case "tune-grid":
            from ltr.cli.call import call
            from ltr.cli.command import perform
            from ltr.studies.grid import tune_grid

            call(tune_grid, arguments, perform=perform, command=shlex.join(["ltr", "tune-grid", *arguments]))
        case "gallery":
            from ltr.cli.call import call
            from ltr.studies.gallery import gallery

            call(gallery, arguments)
        case "report":
            from ltr.cli.call import call
            from ltr.report import report

            call(report, arguments)
        case "app":  # which answers before torch is there
            from ltr.app import app
            from ltr.cli.call import call

            call(app, arguments)
        case "auto":
            from ltr.auto import auto
            from ltr.cli.call import call, data_words, path_as_data

            words = path_as_data(arguments)
            command = shlex.join(["ltr", "auto", *arguments])
            call(auto, words, words=data_words(words), command=command)
        case "profile":
            from ltr.cli.call import call, data_words, path_as_data
            from ltr.profile import profile

            words = path_as_data(arguments)
            call(profile, words, words=data_words(words))
        case "convert":
            from ltr.cli.call import call
            from ltr.data.convert import convert

            call(convert, arguments)
        case "synthesise":
            from ltr.cli.call import call
            from ltr.synthesis import synthesise

            call(synthesise, arguments)
        case "export":
            from ltr.cli.call import call
            from ltr.export import export

            call(export, arguments, exact=True)
        case "push":
            from ltr.cli.call import call
            from ltr.export import push

            call(push, arguments, exact=True)
        case _:
            raise InputError(f"there is no verb {verb}{did_you_mean(verb, VERBS)}")


if __name__ == "__main__":
    main()
