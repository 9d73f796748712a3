"""What goes with what: `python tests/matrix.py` prints a table of recipes and ways to train them; see `--help`.

Every cell is a training of two epochs on synthetic images in a process of its own, which is forked from one that has
imported everything.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path

DATA = (
    "--data Synthetic --data.batch_size 16 --data.largest 60 --data.imbalance 6 --trainer.max_epochs 2 "
    "--trainer.check_val_every_n_epoch 2 --trainer.enable_progress_bar false --trainer.accelerator cpu"
)
PLAIN = "--model.backbone ResNetCIFAR --model.backbone.depth 8 --model.backbone.width 4"
EXPERTS = PLAIN.replace("backbone", "backbone.backbone")
EXPERTS_BEFORE = EXPERTS.replace("backbone.backbone", "backbone.backbone.backbone")
# The recipes, one of each class of methods and of each family of losses, with what makes their networks small; `start`
# is a run of cross-entropy, `experts` one of RIDE, `cosine` one with a Cosine head.
RECIPES = {
    "ce": PLAIN,
    "balanced_softmax": PLAIN,
    "vector_scaling": PLAIN,
    "class_balanced_focal": PLAIN,
    "ldam_drw": PLAIN,
    "arcface": PLAIN,
    "label_aware_smoothing": PLAIN,
    "sigmoid_focal": PLAIN,
    "influence_balanced": PLAIN,
    "feature_balanced": PLAIN,
    "dbm": PLAIN,
    "lade": PLAIN,
    "ce_supcon": PLAIN,
    "mixup": PLAIN,
    "ride": EXPERTS,
    "bbn": PLAIN,
    "distillation": f"{PLAIN} --model.teacher.checkpoint start",
    "mixture_likelihood": f"{PLAIN} --model.teacher.checkpoint cosine",
    "paco": PLAIN,
    "proco": PLAIN,
    "rsg": PLAIN,
    "ride_routing": f"{EXPERTS_BEFORE} --model.backbone.checkpoint experts",
    "gml": "--model.backbone.checkpoint start",
}
# RSG trains the parts of its generator at different times.
TOGETHER = {"rsg": "--trainer.strategy ddp_find_unused_parameters_true"}
STARTS = {"start": ("ce", PLAIN), "cosine": ("ce", f"{PLAIN} --model.head Cosine"), "experts": ("ride", EXPERTS)}
FLAGS = {
    "float32": "--trainer.precision 32-true",
    "bf16": "--trainer.precision bf16-mixed",
    "compile": "--trainer.precision 32-true --model.compile true",
    "two processes": "--trainer.precision 32-true --trainer.devices 2 --trainer.strategy ddp",
    "accumulation": "--trainer.precision 32-true --trainer.accumulate_grad_batches 2",
}
AFTER = ("resume", "GML on top", "export")  # which need the run in float32
COLUMNS = (*FLAGS, *AFTER)
PRELOADED = ["ltr.cli.command", "ltr.export", "ltr.callbacks.figure_data", "torch.distributed.nn.functional"]
SECONDS = 1200  # for a cell; a compilation takes minutes where the processors are busy


def command(words: Sequence[str]) -> str:
    """Run `ltr` in this process; return the sentence with which it ends, empty if it has done its work."""
    from ltr.__main__ import main

    error = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(error):
            main(words)
    except SystemExit as end:
        if end.code:
            return error.getvalue().strip().rpartition("\n")[2].removeprefix("ltr: error: ")
    except Exception as defect:
        return f"defect: {type(defect).__name__}: {' '.join(str(defect).split())[:200]}"
    return ""


def work(answer: Connection, home: str, words: Sequence[str], environment: dict[str, str]) -> None:
    """Run a command as a new process does."""
    import torch

    torch.set_num_threads(1)
    os.chdir(home)
    os.environ.update(environment)
    sys.argv = ["ltr", *words]
    answer.send(command(words))


def together(port: int, rank: int) -> dict[str, str]:
    """Return the environment that tells a process which of two it is, as torchrun does."""
    world = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {**world, "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "matrix"}


def ltr(home: str, words: str, *, processes: int = 1) -> str:
    """Run a command in processes of its own; return the sentence of the first that fails, empty without one."""
    context = multiprocessing.get_context("forkserver")
    port = free_port()
    ends: list[Connection] = []
    children = []
    for rank in range(processes):
        end, answer = context.Pipe(duplex=False)
        environment = together(port, rank) if processes > 1 else {}
        child = context.Process(target=work, args=(answer, home, words.split(), environment), daemon=True)
        child.start()
        answer.close()
        ends.append(end)
        children.append(child)
    answers = []
    for end, child in zip(ends, children, strict=True):
        try:
            answers.append(end.recv() if end.poll(SECONDS) else f"no end after {SECONDS} s")
        except EOFError:
            answers.append(f"the process ended with {child.exitcode}")
        child.join(30)
        child.kill()
        child.join()
    return next(filter(None, answers), "")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def fit(home: str, recipe: str, words: str, name: str, flags: str = FLAGS["float32"], *, processes: int = 1) -> str:
    """Train a recipe."""
    return ltr(home, f"fit --config {recipe}.yaml {DATA} {words} {flags} --name {name}", processes=processes)


def resume(home: str, run: str) -> str:
    """Go on from the first of the two epochs of a run; return how the end differs from that of the run."""
    import torch

    folder = Path(home, "checkpoints", f"{run}_again")
    shutil.copytree(Path(home, "checkpoints", run), folder)
    wanted = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    (folder / "previous.ckpt").replace(folder / "last.ckpt")
    if sentence := ltr(home, f"fit --ckpt_path {folder}/last.ckpt --name {folder.name}"):
        return sentence
    found = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    other = [key for key, value in wanted.items() if not torch.equal(value, found[key])]
    return f"defect: other values in {', '.join(other[:3])}" if other else ""


def cells(home: str, recipe: str, columns: Sequence[str]) -> dict[str, str]:
    """Return the sentence of every cell of a row, empty where it went well."""
    words = RECIPES[recipe]
    for name in (name for name in STARTS if words.endswith(f" {name}")):
        if not Path(home, "checkpoints", name).exists() and (sentence := fit(home, *STARTS[name], name)):
            return dict.fromkeys(columns, f"{name}: {sentence}")
    run = f"run_{recipe}"
    after: dict[str, Callable[[], str]] = {
        "resume": lambda: resume(home, run),
        "GML on top": lambda: ltr(
            home,
            f"fit --config gml.yaml --model.backbone.checkpoint {run} --trainer.max_epochs 1 --trainer.accelerator cpu "
            f"--trainer.enable_progress_bar false {FLAGS['float32']} --name {run}_gml",
        ),
        "export": lambda: ltr(home, f"export --ckpt_path {run} --to onnx --output {home}/{run}.onnx"),
    }
    answers = {"float32": fit(home, recipe, words, run)}
    for column in columns:
        if column in after:
            answers[column] = answers["float32"] or after[column]()
        elif column != "float32":
            processes, flags = (2, TOGETHER.get(recipe, "")) if column == "two processes" else (1, "")
            name = f"{run}_{column.split()[0]}"
            answers[column] = fit(home, recipe, words, name, f"{FLAGS[column]} {flags}", processes=processes)
    return {column: answers[column] for column in columns}


def start_server(preloaded: Sequence[str] = PRELOADED) -> None:
    """Let processes be forked from one that has imported what they need."""
    os.environ |= {"OMP_NUM_THREADS": "1", "PL_GLOBAL_SEED": "0"}
    multiprocessing.set_forkserver_preload(list(preloaded))


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if a cell has met a defect."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    chosen = parser.parse_args(words)
    start_server()
    sentences: dict[str, int] = {}
    print("| recipe | " + " | ".join(chosen.columns) + " |\n|---|" + "---|" * len(chosen.columns), flush=True)
    with tempfile.TemporaryDirectory() as home:
        for recipe in chosen.recipes:
            row = cells(home, recipe, chosen.columns).values()
            marks = [f"no ({sentences.setdefault(text, len(sentences) + 1)})" if text else "ok" for text in row]
            print(f"| {recipe} | {' | '.join(marks)} |", flush=True)
    print("".join(f"\n({number}) {text}" for text, number in sentences.items()))
    return int(any("defect: " in text or "process ended" in text for text in sentences))


if __name__ == "__main__":
    sys.exit(main())
