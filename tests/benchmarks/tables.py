"""What was measured, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from ltr.markdown import markdown_table

USUAL_EPOCHS = 200
ALL_FILES = ("scan", "memory", "packed")


def ratio(found: dict[str, Any], loop: str) -> float:
    """Return the median over the rounds of the speed of `ltr fit` as a part of that of another loop."""
    pairs = zip(found["seconds"]["ltr"], found["seconds"][loop], strict=True)
    return float(statistics.median(other / own for own, other in pairs))


def markdown(result: dict[str, Any]) -> str:
    """Return the tables."""
    device = result["cpu"] if result["device"] == "cpu" else f"{result['device']} ({result['cpu']})"
    parts = [
        f"`{result['command']}`: {device}, {result['cores']} cores, torch {result['torch']}; medians, ratios "
        "of what was timed in turns.\n"
    ]
    if "files" in result:
        parts.append(_files(result["files"]))
    elif "curves" in result:
        parts.append(_curves(result["curves"]))
    elif "loop" in result:
        parts += [*_loop(result["loop"], result["help_seconds"]), _augmentations(result["augmentations"])]
    else:
        parts.append(_recipes(result["recipes"]))
    return "\n".join(parts)


def _loop(found: dict[str, Any], help_took: float) -> list[str]:
    """Return the table of the loops and that of the rest of a training."""
    if "failure" in found:
        return [f"The training failed: {found['failure']}\n"]
    titles = {"ltr": "`ltr fit`", "bare": "bare loop", "usual": "usual stack (PIL, workers, float32)"}
    rows = []
    for name, took in found["seconds"].items():
        each = statistics.median(took)
        minutes = USUAL_EPOCHS * found["images"] * each / 60
        rows.append((titles[name], f"{1 / each:.0f}", f"{minutes:.1f} min", f"{ratio(found, name):.2f}"))
    loops = markdown_table(("loop", "images/s", f"{USUAL_EPOCHS} epochs", "speed of `ltr fit` / its speed"), rows)
    rest = [
        ("evaluation", f"{1 / statistics.median(found['evaluation']):.0f} images/s"),
        ("first training step after the command", f"{found['first_step']:.1f} s"),
        ("`ltr --help`", f"{help_took:.2f} s"),
        ("most memory", f"{found['memory'] / 2**30:.2f} GiB"),
    ]
    return [loops, markdown_table(("one training", ""), rest)]


def _files(found: dict[str, Any]) -> str:
    """Return the table of what is done with image files."""
    took = found["seconds"]
    steps = {
        "scan": "find the files and their classes",
        "stream": "read the training files, workers, anew in every epoch",
        "imagefolder": "the same with torchvision's ImageFolder, per image",
        "memory": "read all files into memory, and pack them",
        "packed": "the same again, from the packed files",
    }
    rows = [
        (what, f"{took[step]:.1f} s", f"{found['files' if step in ALL_FILES else 'training'] / took[step]:.0f}")
        for step, what in steps.items()
    ]
    rows += [("`ltr profile`", f"{took['profile']:.1f} s", ""), ("`ltr fit`, one epoch", f"{took['epoch']:.1f} s", "")]
    title = f"{found['files']} files, {found['training']} for training, to {found['size']} x {found['size']} pixels"
    return markdown_table((title, "seconds", "images/s"), rows)


def _curves(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of the curves: mean and standard deviation over the seeds, and the difference seed by seed."""
    done = [row for row in found if "failure" not in row]
    rows = []
    for epoch in range(len(done[0]["ltr"]) if done else 0):
        cells = [str(epoch + 1)]
        for measure, unit, digits in (("loss", 1, 3), ("top1", 100, 1)):
            own, usual = ([unit * row[name][epoch][measure] for row in done] for name in ("ltr", "usual"))
            differences = [one - other for one, other in zip(own, usual, strict=True)]
            cells += [spread(values, digits) for values in (own, usual, differences)]
        rows.append(cells)
    head = ["epoch"]
    head += [f"{measure}, {name}" for measure in ("loss", "top-1") for name in ("`ltr fit`", "usual", "difference")]
    return markdown_table(head, rows)


def spread(values: Sequence[float], digits: int) -> str:
    """Return a mean with its standard deviation, where there are several values."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def _augmentations(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of the augmentations."""
    head = ("augmentation, one core", "batched, images/s", "PIL, images/s", "ratio")
    return markdown_table(
        head, [(row["recipe"], f"{row['batched']:.0f}", f"{row['pil']:.0f}", f"{row['ratio']:.1f}") for row in rows]
    )


def _recipes(found: Sequence[dict[str, Any]]) -> str:
    """Return the table of what recipes cost."""
    rows = []
    for row in found:
        if "failure" in row:
            rows.append((row["recipe"], "failed", "", "", ""))
            continue
        each = statistics.median(row["seconds"]["ltr"])
        step = 1000 * each * row["batch_size"]
        rows.append(
            (
                row["recipe"],
                str(row["batch_size"]),
                f"{step:.0f} ms",
                f"{1 / ratio(row, 'bare'):.2f}",
                f"{row['memory'] / 2**30:.2f} GiB",
            )
        )
    return markdown_table(
        ("recipe", "batch", "time of a step", "time / cross-entropy's per image", "most memory"), rows
    )
