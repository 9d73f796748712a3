"""Run a verb and turn what the user can mend into a sentence."""

from __future__ import annotations

import errno
import logging
import sys
import warnings

from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from ltr.cli.arguments import expand
from ltr.errors import InputError

DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EPERM)


def run(verb: str, arguments: list[str]) -> None:
    """Run a verb with the arguments that follow it."""
    quiet()
    try:
        if verb == "study":
            from ltr.studies import main

            main(arguments)
        else:
            from ltr.cli.command import Command

            Command([verb, *expand(verb, arguments)])
    except (InputError, MisconfigurationException) as error:
        fail(" ".join(str(error).split()))
    except OSError as error:
        if error.errno not in DISK:
            raise
        fail(f"{error.strerror}: {error.filename or 'the file system'}.")
    except SIGTERMException:
        print("ltr: stopped by SIGTERM; resume with `--ckpt_path last`.", file=sys.stderr)
        sys.exit(143)


def fail(sentence: str) -> None:
    """Print an error and leave with status 2."""
    print(f"ltr: error: {sentence}", file=sys.stderr)
    sys.exit(2)


def quiet() -> None:
    """Leave out adverts and remarks that do not concern the user."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "LightningCLI's args parameter")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")
    warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`, callbacks used to create")
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
