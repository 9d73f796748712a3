"""Images with the JSON annotations of Bag of Tricks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ltr.data.file_dataset import FileDataset
from ltr.data.file_list import FileList
from ltr.data.locate import present
from ltr.errors import InputError


class AnnotatedLT(FileDataset):
    """Images that JSON files of annotations list, one file per split, as the tools of Bag of Tricks write them.

    A file has `annotations`, of each image `fpath`, absolute or relative to the file, and `category_id` from 0, and
    `num_classes`; what else it has is not read. `root` holds `<anything>train.json` and `<anything>test.json` or
    `<anything>val.json`, on which the original tests; with both of the latter, `val` is followed in training. They name
    no classes, unless they have `classes`, which `ltr convert` writes.

    The arguments are those of `FileDataset`.

    Reference:
        Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional Neural Networks",
        AAAI 2021, https://doi.org/10.1609/aaai.v35i4.16458; official code zhangyongshun/BagofTricks-LT,
        lib/dataset/baseset.py.
    """

    def find(self) -> tuple[dict[str, FileList], list[str]]:
        """Read the annotations."""
        if not self.home.is_dir():
            raise InputError(f"there is no folder {self.home}: name that of the annotations with `--data.root`.")
        self.name = self.home.resolve().name
        files = {}
        for split in ("train", "val", "test"):
            candidates = sorted(path for path in self.home.glob(f"*{split}.json") if path.is_file())
            if len(candidates) > 1:
                names = ", ".join(path.name for path in candidates)
                raise InputError(f"{self.home} has several annotations of one split, {names}: leave one of them there.")
            if candidates:
                files[split] = candidates[0]
        if "train" not in files:
            raise InputError(
                f"{self.home} has no `...train.json` with the annotations of the training images: name their folder "
                "with `--data.root`."
            )
        read = {split: read_annotations(path) for split, path in files.items()}
        sizes = {content["num_classes"] for content in read.values()}
        if len(sizes) > 1:
            raise InputError(
                f"the annotations in {self.home} are of {' and '.join(map(str, sorted(sizes)))} classes: put those of "
                "one set there."
            )
        named = [content["classes"] for content in read.values() if content.get("classes") is not None]
        if any(names != named[0] for names in named):
            raise InputError(
                f"the annotations in {self.home} have different `classes`: give all of them the same list."
            )
        classes = named[0] if named else [str(label) for label in range(sizes.pop())]
        return {split: self.listing(files[split], content) for split, content in read.items()}, classes

    def listing(self, path: Path, content: dict[str, Any]) -> FileList:
        """Return the images of a file of annotations."""
        names = [str(row["fpath"]) for row in content["annotations"]]
        numbers = [row["category_id"] for row in content["annotations"]]
        last = content["num_classes"] - 1
        for name, number in zip(names, numbers, strict=True):
            if not 0 <= number <= last:
                raise InputError(f"{name} has the category {number} in {path}, whose last one is {last}.")
        if repeated := next((name for name, count in Counter(names).items() if count > 1), None):
            raise InputError(f"{path} lists {repeated} more than once: keep one of these annotations.")
        labels = np.array(numbers, dtype=np.int64)
        sources = [str(path.parent / name) for name in names]
        present(sources, path)
        return FileList(sources, labels, names)


def read_annotations(path: Path) -> dict[str, Any]:
    """Read a file of annotations.

    Raises:
        InputError: if it is another kind of file, or its names of classes are not one for each.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        usable = isinstance(content["num_classes"], int) and len(content["annotations"]) > 0
        usable = usable and all(isinstance(row["category_id"], int) and row["fpath"] for row in content["annotations"])
    except (ValueError, KeyError, TypeError, RecursionError):
        usable = False
    if not usable:
        raise InputError(
            f"{path} is not a file of annotations: it needs `num_classes`, and `annotations` with the `fpath` and the "
            "`category_id` of every image."
        )
    classes, number = content.get("classes"), content["num_classes"]
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if classes is not None and not (named and len(classes) == len({*classes}) == number):
        raise InputError(f"the `classes` of {path} are not a list of {number} different names: correct or remove them.")
    return content
