"""Run a verb and turn what the user can mend into a sentence."""

from __future__ import annotations

import logging
import sys
import warnings

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ltr.cli.arguments import expand
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
        elif verb == "bench":
            from ltr.bench import bench

            bench(arguments)
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
    import torch

    from ltr.cli.command import Command
    from ltr.cli.parser import cause

    quiet()
    threads = torch.get_num_threads()
    try:
        Command([verb, *expand(verb, arguments)], tell=tell)
    except MisconfigurationException as error:
        sentence = " ".join(str(error).split())
        if "gpu" in sentence.lower():
            sentence += " This machine has fewer than asked for: leave out `--trainer.accelerator` and `devices`."
        raise InputError(sentence) from error
    except ValueError as error:
        if (known := cause(error)) is None:
            raise
        raise known from error
    finally:
        torch.set_num_threads(threads)  # a tuning that fails cannot put them back itself


def fail(sentence: str) -> None:
    """Print an error and leave with status 2."""
    print(f"ltr: error: {sentence}", file=sys.stderr)
    sys.exit(2)


def quiet() -> None:
    """Leave out adverts and remarks that do not concern the user."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for remark in (
        "LightningCLI's args parameter",  # the arguments are the process's own, with names made paths
        ".*LeafSpec.* is deprecated",  # within Lightning
        "Checkpoint directory .* exists and is not empty",  # as a run's folder is
        "Be aware that when using `ckpt_path`, callbacks used to create",  # a test does not write a run
        "Warning: Profiler clears events",  # of torch to Lightning, which keeps the last ones
        "It is recommended to use .*sync_dist=True",  # what is logged is of all processes already
        "Found .* module.s. in eval mode at the start of training",  # as a frozen backbone is
    ):
        warnings.filterwarnings("ignore", remark)
