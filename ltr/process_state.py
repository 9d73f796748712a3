"""What `ltr` changes for a whole process: all of it is here, each with its reason.

Put back: seed, random generators, filters and levels of messages (`isolated`), the number of threads (`one_thread`).

Until the process ends: how a command looks for garbage (`look_for_garbage_seldom`), warns and reacts to SIGTERM
(`set_up_command`), what a worker process of a study is given (`take_share`, `work_in`), what a process of a distributed
run ends with (`end_with_first_process`, `keep_exit_status`) and says of another that has ended
(`tell_of_ended_process`), where modules are imported from (`import_from_here`), the settings of Gradio
(`set_up_gradio`).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ltr.errors import Stopped
from ltr.library_errors import library_errors
from ltr.sentences import printable

GRACE = 5.0  # seconds that a process has to end
LOOK = 1.0  # seconds between two looks at the process that has started this one
FIRST = "LTR_FIRST_PROCESS"  # an environment variable: the number of the process that starts the others
SEED = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")  # where Lightning keeps the seed
LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
NEW_OBJECTS = 20_000  # since garbage was last looked for; 700 to 2,000 in Python
LAUNCHER = "lightning.fabric.strategies.launchers.subprocess_script"
REMARKS = (
    "LightningCLI's args parameter",  # they are those of the process, with paths in place of names
    ".*LeafSpec.* is deprecated",  # within Lightning
    "Checkpoint directory .* exists and is not empty",  # as a run's folder is
    "Be aware that when using `ckpt_path`, callbacks used to create",  # a test does not write a run
    "The dirpath has changed from",  # the folder of a run may be moved, and then resumed
    "Warning: Profiler clears events",  # of torch to Lightning, which keeps the last ones
    "It is recommended to use .*sync_dist=True",  # the logged measures are of all processes
    "Found .* module.s. in eval mode at the start of training",  # as a frozen backbone is
)


@contextmanager
def isolated() -> Iterator[None]:
    """Hide messages of libraries that do not concern the user; restore seed, random generators, filters and levels.

    Lightning sets the seed in the environment and draws from the global generators, so a notebook would go on with
    those of a run. Filters of warnings and levels of loggers are process-wide in Python.

    Raises:
        InputError: for bad input.
    """
    from ltr.seeds import Generators  # torch, which `ltr --help` does not wait for

    seed = {name: os.environ.get(name) for name in SEED}
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    generators = Generators.now()
    with library_errors(), warnings.catch_warnings():
        for remark in REMARKS:
            warnings.filterwarnings("ignore", remark)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield
        finally:
            generators.put()
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            for name, value in seed.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def set_up_command() -> None:
    """Set up a process for a command: how it looks for garbage, prints warnings and reacts to SIGTERM.

    A warning is one line, without the line of code that it comes from. SIGTERM ends work as Ctrl+C does.
    """

    def note(message: Warning | str, *_: object, **__: object) -> str:
        return f"ltr: note: {printable(str(message))}\n"

    look_for_garbage_seldom()
    warnings.formatwarning = note
    stop_on_sigterm()


def look_for_garbage_seldom() -> None:
    """Look for garbage seldom until the process ends.

    Imports make a million objects and no garbage. To look for it as often as usual, and once more at the end among all
    that is imported, takes a third of a short command.
    """
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)  # the memory is given back as a whole


def stop_on_sigterm() -> None:
    """Raise `Stopped` on SIGTERM from now on."""

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    if main_thread():  # Python refuses it in any other
        signal.signal(signal.SIGTERM, stop)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: a small computation is not worth dividing, and threads would wait more than compute.

    torch has one number of threads for the process.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def take_share(threads: int, gpus: Any, modules: Sequence[str]) -> None:
    """Take a part of the machine as a new worker process of a study, before anything asks for a GPU.

    Ctrl+C reaches all processes, and the first one reacts to it for all. It ends this one by SIGTERM; if it is killed
    itself, this one ends by its own.

    Args:
        threads: the number of its threads.
        gpus: a queue of GPUs as in `CUDA_VISIBLE_DEVICES`, of which it sees the next one.
        modules: what its runs need, which is imported at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_after, args=(parent.join,), daemon=True).start()
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    look_for_garbage_seldom()

    import torch

    for module in modules:
        importlib.import_module(module)
    torch.set_num_threads(threads)
    # Without a traceback between two runs. Not before, since the pool prints that of an end within this function.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def end_with_first_process(local_rank: int) -> None:
    """End this process of a distributed run when the one that has started it is gone, for which it might wait for ever.

    The first one leaves its number in the environment, which the others inherit.

    Args:
        local_rank: number of this process on its machine, from 0.
    """
    if local_rank == 0:
        os.environ[FIRST] = str(os.getpid())
        return
    parent = int(os.environ.get(FIRST, os.getppid()))
    threading.Thread(target=_end_after, args=(partial(_while_child_of, parent),), daemon=True).start()


def tell_of_ended_process(sentence: Callable[[], str]) -> None:
    """Print a sentence when a process of a distributed run is gone before all have met.

    Lightning finds that out in a thread, logs it, and kills this process.
    """

    class Told(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            print(f"ltr: error: {printable(sentence())}", file=sys.stderr, flush=True)

    logger, handler = logging.getLogger(LAUNCHER), Told(logging.INFO)
    handler.addFilter(lambda record: "Forcefully terminating" in record.getMessage())
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [handler]


@contextmanager
def keep_exit_status() -> Iterator[None]:
    """Let a process of a distributed run end with its exit status, whatever the threads of torch still do.

    Python takes the interpreter down at the end of a process. A thread of gloo that waits for the interpreter at that
    moment, to clean up after another process has gone, aborts this one: it ends with SIGABRT in place of its status.
    So such a process ends just before, after all that a command registers with `atexit`.
    """
    status = 0

    def leave() -> None:
        distributed = sys.modules.get("torch.distributed")
        if distributed and distributed.is_available() and distributed.is_initialized():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    atexit.register(leave)
    try:
        yield
    except BaseException as end:
        code = end.code if isinstance(end, SystemExit) else 1
        status = code if isinstance(code, int) else int(code is not None)
        raise


def _while_child_of(parent: int) -> None:
    """Wait until a process is no longer the parent of this one, and for what this one has to do at its own end."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    time.sleep(GRACE)


def _end_after(wait: Callable[[], object]) -> None:
    """Wait, then end this process."""
    wait()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)


def work_in(folder: Path) -> None:
    """Go to a folder as a worker of Ray, which starts elsewhere, so that relative paths mean what they mean here."""
    os.chdir(folder)


def import_from_here() -> None:
    """Let modules be imported from the working folder, too.

    It comes last, so that no file in it takes the place of a library, and stays, since jsonargparse imports the same
    modules later.
    """
    sys.path.append(str(Path.cwd()))
    importlib.invalidate_caches()


def set_up_gradio(uploads: Path) -> None:
    """Keep uploads in a folder and send no usage data; Gradio reads both from the environment, as it is imported."""
    os.environ |= {"GRADIO_TEMP_DIR": str(uploads.resolve()), "GRADIO_ANALYTICS_ENABLED": "False"}


def main_thread() -> bool:
    """Return whether this is the main thread."""
    return threading.current_thread() is threading.main_thread()
