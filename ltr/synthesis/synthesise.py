"""The command: fill up the rare classes of a folder of images with synthetic ones."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ltr import files
from ltr.data import FileDataset
from ltr.data.file_list import check_folder_names
from ltr.errors import InputError
from ltr.synthesis.diffusion import Diffusion
from ltr.synthesis.plan import Wanted, plan, wording

RECORD = "synthetic.json"  # marks a folder of synthetic images and says how they were made
ATTEMPTS = 5  # at an image that comes out black


def synthesise(
    data: FileDataset,
    model: str,
    output: str,
    *,
    below: int = 20,
    to: int = 20,
    prompt: str = "a photo of a {}",
    prompts: str | None = None,
    steps: int = 30,
    guidance: float = 7.5,
    size: int | None = None,
    seed: int = 0,
    batch: int = 4,
    device: str = "auto",
) -> None:
    """Make images of rare classes with a diffusion model, in a folder that says that they are synthetic.

    The images are OUTPUT/CLASS/NUMBER.png, and OUTPUT/synthetic.json says how they were made. Each has a seed of its
    own: the same command, given again, goes on where it stopped. The card of a model has its steps and guidance.

    Args:
        data: your images, as `FolderLT` or another set of files.
        model: a folder with a text-to-image model in the format of diffusers, or its name on the Hugging Face Hub.
        output: the folder of the synthetic images, outside that of yours.
        below: classes with fewer training images than this are filled up.
        to: training images of these classes afterwards, real and synthetic together.
        prompt: the prompt; {} stands for the name of the class, with spaces for underscores.
        prompts: a YAML or JSON file with the prompts of some classes, by name.
        steps: denoising steps.
        guidance: how closely the prompt is followed; less is more varied.
        size: height and width in pixels; null for what the model was trained on.
        seed: another one makes other images.
        batch: images that are made at once; fewer need less memory.
        device: auto, cpu, cuda, or what else torch knows.

    Raises:
        InputError: if that cannot be done; after the others where an image only ever came out black.
    """
    home = Path(output).expanduser()
    if min(below, to, steps, batch) < 1 or seed < 0:
        raise InputError("`--below`, `--to`, `--steps` and `--batch` are at least 1, and `--seed` at least 0.")
    if home.resolve().is_relative_to(Path(data.root).resolve()):
        raise InputError(f"{home} is within your own images, where it could be taken for a class: name another folder.")
    counts = dict(zip(data.classes, data.counts.real, strict=True))
    wanted, words = plan(counts, below, to), wording(list(counts), prompt, prompts)
    used = {image.name: words[image.name] for image in wanted}
    check_folder_names(used, "rename it")
    settings = {"model": model, "steps": steps, "guidance": guidance, "size": size, "seed": seed}
    before = read_record(home, settings, used)
    missing = [image for image in wanted if not (home / image.path).is_file()]
    if missing:
        options = {"num_inference_steps": steps, "guidance_scale": guidance, "height": size, "width": size}
        diffusion = Diffusion(model, before.get("revision"), device, **options)
        now = {
            **settings,
            "revision": diffusion.revision,
            "diffusers": sorted({*before.get("diffusers", []), diffusion.version}),
            "prompts": {**before.get("prompts", {}), **used},
        }
        fill(home, now, missing, diffusion, batch)
    print(f"{home}: {len(wanted)} synthetic images of {len(used)} classes, {len(missing)} of them new")


def fill(home: Path, now: dict[str, Any], missing: list[Wanted], diffusion: Diffusion, batch: int) -> None:
    """Make the images that are missing.

    Args:
        home: their folder.
        now: its record.
        missing: the images.
        diffusion: what makes them.
        batch: how many are made at once.

    Raises:
        InputError: after the others where an image came out black from each of its seeds.
    """
    waiting, black = deque(missing), list[Wanted]()
    with tqdm(total=len(missing), desc="synthetic images", disable=None, leave=False) as bar:
        while waiting:
            some = [waiting.popleft() for _ in range(min(batch, len(waiting)))]
            seeds = [image.seed(now["seed"]) for image in some]
            pictures = diffusion([now["prompts"][image.name] for image in some], seeds)
            write_record(home, now)  # before the images, which are nowhere without it
            for image, pixels in zip(some, pictures, strict=True):
                if pixels.getbbox():
                    files.replace(home / image.path, pixels.save)
                    bar.update()
                elif image.attempt + 1 < ATTEMPTS:
                    waiting.append(image._replace(attempt=image.attempt + 1))
                else:
                    black.append(image)
            write_record(home, now)
    if black:
        raise InputError(
            f"{len(black)} of {len(missing)} images, the first of them of {black[0].name}, came out black from "
            f"{ATTEMPTS} seeds each, which is how a safety checker leaves them: describe their classes otherwise with "
            "`--prompts`. The others were made."
        )


def read_record(home: Path, settings: Mapping[str, Any], prompts: Mapping[str, str]) -> dict[str, Any]:
    """Return the record of a folder that images will be added to, an empty one for a new folder.

    Args:
        home: the folder.
        settings: how the images will be made.
        prompts: their prompts by class.

    Raises:
        InputError: if the folder holds other things, or images that were made in another way.
    """
    path, advice = home / RECORD, "or choose another folder with `--output`."
    if not path.is_file():
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise InputError(f"{home} exists and has no {RECORD}: choose a new folder with `--output`.")
        return {}
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made_with = {key: record[key] for key in settings}
        made_from = {name: record["prompts"].get(name) for name in prompts if images_of(home, name)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged: delete {home}, {advice}") from error
    for key, before in made_with.items():
        if before != settings[key]:
            raise InputError(f"{home} was made with {key} {before}, not {settings[key]}: delete it, {advice}")
    for name, before in made_from.items():
        if before != prompts[name]:
            raise InputError(f"{home / name} was made from '{before}', not '{prompts[name]}': delete it, {advice}")
    return record


def write_record(home: Path, record: Mapping[str, Any]) -> None:
    """Write the record, with the number of images that every class has now."""
    files.write_json(home / RECORD, {**record, "images": {name: images_of(home, name) for name in record["prompts"]}})


def images_of(home: Path, name: str) -> int:
    """Return how many images of a class there are."""
    return len(list((home / name).glob("[0-9]*.png")))
