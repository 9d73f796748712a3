"""Run a verb and turn what the user can mend into a sentence."""

from __future__ import annotations

import sys
import warnings

from lightning.pytorch.utilities.exceptions import SIGTERMException

from ltr.errors import InputError


def run(verb: str, arguments: list[str]) -> None:
    """Run a verb with the arguments that follow it; leave with status 2 and a sentence where they cannot be used."""
    usual, warnings.formatwarning = warnings.formatwarning, _note
    try:
        if verb == "study":
            from ltr.studies import study

            study(arguments, perform)
        elif verb == "tune-grid":
            from ltr.studies import tune_grid

            tune_grid(arguments, perform)
        elif verb == "gallery":
            from ltr.studies import gallery

            gallery(arguments)
        elif verb == "report":
            from ltr.report import report

            report(arguments)
        elif verb == "convert":
            from ltr.cli.convert import convert

            convert(arguments)
        elif verb == "export":
            from ltr.cli.export import export

            export(arguments)
        elif verb == "push":
            from ltr.cli.push import push

            push(arguments)
        elif verb == "profile":
            from ltr.cli.profile import profile

            profile(arguments)
        elif verb == "synthesise":
            from ltr.cli.call import call
            from ltr.synthesis import synthesise

            call(synthesise, arguments)
        else:
            perform(verb, arguments)
    except InputError as error:
        fail(str(error))
    except SIGTERMException:
        print("ltr: stopped by SIGTERM; go on with `--ckpt_path last`.", file=sys.stderr)
        sys.exit(143)
    finally:
        warnings.formatwarning = usual


def _note(message: Warning | str, *_: object, **__: object) -> str:
    """Return a warning as a line for a user, who has no use for the line of code it comes from."""
    return f"ltr: note: {message}\n"


def perform(verb: str, arguments: list[str], *, tell: bool = True) -> None:
    """Fit, validate, test or predict in this process.

    Args:
        verb: what to do.
        arguments: what follows it.
        tell: whether the result is printed.

    Raises:
        InputError: where the user has something to mend.
    """
    from ltr.cli.apart import apart
    from ltr.cli.command import Command

    with apart():
        Command(verb, arguments, tell=tell).start()


def fail(sentence: str) -> None:
    """Print an error and leave with status 2."""
    print(f"ltr: error: {sentence}", file=sys.stderr)
    sys.exit(2)
