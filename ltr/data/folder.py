"""Your own images, in folders of classes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ltr.contracts import SamplerFactory, Transform
from ltr.counts import Profile, number
from ltr.data.base import LongTailed, Split
from ltr.data.transforms import CropFlip
from ltr.errors import InputError
from ltr.samplers import Power

KINDS = {".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".webp"}
SPLITS = ("train", "test", "val")


class FolderLT(LongTailed):
    """Images in one folder per class, as long-tailed as they are or made so.

    `root` holds `train/<class>/` and `test/<class>/` (or `val/<class>/` where there is no `test`), or `<class>/` alone,
    of which a part of every class is then kept for testing. Classes and files come in the order of their names, so the
    same folder is always split in the same way; a fingerprint is one of the names of the files. Of an image of any size
    and mode the middle square is resized and held in memory as uint8: 10,000 images of 64 x 64 pixels are 123 MB.

    Args:
        root: the folder.
        size: height and width in pixels to which every image is brought.
        imbalance: N_max / N_min where `tail` is not `none`; the first class by name is the largest.
        tail: `none` keeps every image; `exp` or `step` make a long tail, of at most as many images as a class has.
        subset_seed: which images are kept, and, in a folder without splits, which are for testing.
        test_share: part of every class that is kept for testing where the folder has no splits, at least one image.
        val_per_class: images per class carved out of the training split for validation.
        batch_size: training images per step and process.
        eval_batch_size: images per step and process of validation, test and prediction.
        sampler: the order of an epoch.
        augment: the augmentation of training batches; None for crops and mirror images.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        root: str = "data",
        *,
        size: int = 32,
        imbalance: float = 100,
        tail: Profile = "none",
        subset_seed: int = 0,
        test_share: float = 0.2,
        val_per_class: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 500,
        sampler: SamplerFactory = Power,
        augment: Transform | None = None,
    ) -> None:
        if not 0 < test_share < 1:
            raise InputError(f"test_share is a part of every class, such as 0.2; it cannot be {test_share:g}.")
        self.home, self.size, self.name = Path(root), size, Path(root).resolve().name
        self.test_share, self.subset_seed = test_share, subset_seed
        self.train_files, self.test_files = self.find()
        super().__init__(
            root,
            imbalance=imbalance,
            profile=tail,
            subset_seed=subset_seed,
            val_per_class=val_per_class,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            sampler=sampler,
            augment=augment,
        )

    def usual_augment(self) -> Transform:
        """Return crops of an eighth of the side, and mirror images."""
        return CropFlip(padding=max(self.size // 8, 1))

    def sizes(self) -> list[int]:
        """Return how many training images of every class there are."""
        return [len(files) for files in self.train_files.values()]

    def find(self) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        """List the training and the test files by class.

        Raises:
            InputError: where the folder is missing, has no classes, or a class has too few images.
        """
        if not self.home.is_dir():
            raise InputError(f"there is no folder {self.home}: name that of your images with `--data.root`.")
        train, test, val = (self.home / name for name in SPLITS)
        if train.is_dir():
            held = test if test.is_dir() else val
            if not held.is_dir():
                raise InputError(f"{self.home} has `train/`, but neither `test/` nor `val/` to measure on.")
            training, testing = listing(train), listing(held)
            strange = sorted(set(testing) - set(training))
            if strange:
                raise InputError(f"{held} has the class {strange[0]}, which {train} does not have.")
            return training, {name: testing.get(name, []) for name in training}
        training, testing = {}, {}
        generator = np.random.RandomState(self.subset_seed)
        for name, files in listing(self.home).items():
            if len(files) < 2:
                raise InputError(f"{self.home / name} has one image, and needs one to train and another to test on.")
            order = generator.permutation(len(files))
            held_out = max(round(self.test_share * len(files)), 1)
            testing[name] = [files[at] for at in np.sort(order[:held_out])]
            training[name] = [files[at] for at in np.sort(order[held_out:])]
        return training, testing

    def read(self) -> tuple[Split, Split, list[str]]:
        """Decode the files of both splits."""
        train = self.decode(self.train_files, "training images")
        return train, self.decode(self.test_files, "test images"), list(self.train_files)

    def decode(self, files: dict[str, list[Path]], what: str) -> Split:
        """Read the images of a split into one tensor.

        Args:
            files: by class.
            what: shown beside the progress.
        """
        from tqdm import tqdm

        flat = [path for paths in files.values() for path in paths]
        images = torch.empty(len(flat), 3, self.size, self.size, dtype=torch.uint8)
        with ThreadPoolExecutor() as pool:
            decoded = pool.map(lambda path: decode(path, self.size), flat)
            for at, image in enumerate(tqdm(decoded, what, len(flat), disable=None, leave=False)):
                images[at] = image
        labels = torch.arange(len(files)).repeat_interleave(torch.tensor([len(paths) for paths in files.values()]))
        names = [path.relative_to(self.home).as_posix() for path in flat]
        return Split(images, labels, np.array([number(name.encode()) for name in names]))


def listing(folder: Path) -> dict[str, list[Path]]:
    """Return the images of every class, by the names of the folders.

    Raises:
        InputError: where there are no such folders, or one without an image.
    """
    classes = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}
    found = {}
    for name, place in classes.items():
        found[name] = [path for path in sorted(place.rglob("*")) if path.suffix.lower() in KINDS]
    if len(found) < 2:
        raise InputError(f"{folder} holds {len(found)} folders: a set has one folder per class, and at least two.")
    for name, files in found.items():
        if not files:
            raise InputError(f"{folder / name} holds no image ({', '.join(sorted(KINDS))}): add some, or remove it.")
    return found


def decode(path: Path, size: int) -> Tensor:
    """Read an image as (3, size, size) uint8: upright, in colour, its middle square resized.

    Raises:
        InputError: where the file is no readable image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is damaged or no image: repair or remove it.") from error
    square = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)
