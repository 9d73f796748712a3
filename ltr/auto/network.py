"""The network whose heads are tuned: trained from scratch, or a pretrained one with a new classifier."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltr.auto.timing import trial
from ltr.auto.work import SPLIT
from ltr.cli import arguments
from ltr.errors import InputError
from ltr.run import lookup, torch_files
from ltr.sentences import did_you_mean

SCRATCH = ("--config", "ce.yaml", "--config", "recipes/short.yaml")
PROBE = ("--config", "linear_probe.yaml")
HELD_OUT, SHARE = 50, 0.2  # validation images of a class at most, and the part of its training images
EPOCHS = range(5, 201)
WITHOUT = (
    "It trains a ResNet on your images alone. A network pretrained on millions of images is usually much better: "
    "`pip install timm`, and pass for example `--backbone vit_small_patch14_dinov2.lvd142m` or `--backbone "
    "resnet50`, which are downloaded once."
)


def data_words(profile: Mapping[str, Any], folder: Path, *, pretrained: bool) -> list[str]:
    """Return the arguments of the data: those that the profile advises, and a validation split.

    Args:
        profile: the content of `profile.json`.
        folder: where a test split that is drawn is kept.
        pretrained: whether the network has a size of its own.
    """
    words = shlex.split(profile["commands"][0])[2 + len(SCRATCH) :]  # without `ltr fit`
    words = arguments.without(words, "name", *(["model.backbone", "data.size", "data.crop"] if pretrained else []))
    if "val" not in profile["counts"] and not arguments.values(words, "data.val_per_class"):
        words += ["--data.val_per_class", str(HELD_OUT), "--data.val_share", str(SHARE)]
    if profile["drawn"] and not arguments.values(words, "data.test_split"):
        words += ["--data.test_split", str(folder / SPLIT)]
    return words


def start_words(backbone: str | None, weights: str | None) -> list[str]:
    """Return the arguments that train a linear classifier on the features of a pretrained network, none without one.

    Args:
        backbone: a run, a checkpoint, or the name of a network of torchvision, timm or OpenCLIP.
        weights: a file, or the name of some weights of the library; None for its usual ones.

    Raises:
        InputError: if there is no such run, file or network, or there are weights without one.
    """
    if backbone is None:
        if weights is not None:
            raise InputError("`--weights` are those of a network: name it with `--backbone`.")
        return []
    try:
        lookup.checkpoint(backbone)
    except InputError as error:
        library = library_of(backbone, str(error))
        words = ["--model.backbone", library, "--model.backbone.name", backbone]
        return [*PROBE, *words, "--model.backbone.pretrained", weights or "true"]
    if weights is not None:
        raise InputError(f"{backbone} has its own weights: leave out `--weights`.")
    return [*PROBE, "--model.backbone", "Pretrained", "--model.backbone.checkpoint", backbone, "--model.reset", "true"]


def library_of(name: str, no_run: str) -> str:
    """Return the class of backbone that has a network of this name; of several libraries, the first one.

    Args:
        name: of the network.
        no_run: the sentence that it is no run, for the error.

    Raises:
        InputError: if none has it.
    """
    from torchvision import models

    known = {"Torchvision": models.list_models(module=models)}
    missing = []
    for library, module in (("Timm", "timm"), ("OpenCLIP", "open_clip")):
        if importlib.util.find_spec(module) is None:
            missing.append(module)
        else:
            known[library] = importlib.import_module(module).list_models()
    start = name.partition(".")[0]  # timm names weights after a dot
    for library, names in known.items():
        if name in names or (library == "Timm" and (start in names or name.startswith("hf-hub:"))):
            return library
    install = f" (Not installed: {' and '.join(missing)}.)" if missing else ""
    near = did_you_mean(name, [each for names in known.values() for each in names])
    raise InputError(f"{no_run} It is no network of a library either{near}{install}")


def epochs_within(seconds: float, words: Sequence[str], folder: Path, images: int) -> int:
    """Return how many epochs of a training fit into a time, measured on a few batches.

    Args:
        seconds: the time.
        words: arguments of the training.
        folder: where the folder of the trial is.
        images: training images of an epoch.
    """
    with trial([*words, "--model.schedule.warmup", "0"], folder) as run:
        content = torch_files.read(run.checkpoint)
    fitting = int(seconds / (content["seconds"] / content["images"] * images))
    return min(max(fitting, EPOCHS[0]), EPOCHS[-1])
