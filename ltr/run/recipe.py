"""What a recipe says of itself: the header of its file, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltr.errors import InputError
from ltr.run import description, lookup

BASE = "base.yaml"  # holds where a recipe changes nothing
KEYS = ("Paper", "Code", "Reported", "Deviations", "Notes")
AXES = ("backbone", "head", "loss", "mix", "sampler", "augment", "optimizer", "schedule", "callbacks")
GROUPS = {
    "other": "The baseline, and how it is trained",
    "loss": "Losses",
    "head": "Losses",
    "sampler": "Samplers",
    "mix": "Mixes",
    "Tuning": "Second stages",
    "test": "At test time",
    "method": "Methods with tensors of their own",
}


@dataclass(frozen=True)
class Recipe:
    """A YAML file of `configs/`.

    Attributes:
        name: the path of the file within `configs/`.
        title: one sentence on what it is.
        header: what it says under Paper, Code, Reported, Deviations and Notes, as far as there is something to say.
        changes: its parts that are not those of base.yaml, axis by axis.
        group: the section of the gallery.
    """

    name: str
    title: str
    header: Mapping[str, str]
    changes: Mapping[str, str]
    group: str

    @classmethod
    def all(cls, folder: str = "") -> list[Recipe]:
        """Return the shipped recipes: those of methods, or those of a folder, `data` or `recipes`.

        Raises:
            InputError: if one of them has no proper header.
        """
        return [cls.shipped(name) for name in cls.names(folder)]

    @classmethod
    def names(cls, folder: str = "") -> list[str]:
        """Return the names of the same recipes, of which nothing is read."""
        home = lookup.folder("configs")
        paths = [path for path in sorted((home / folder).glob("*.yaml")) if path != home / BASE]
        return [path.relative_to(home).as_posix() for path in paths]

    @classmethod
    def shipped(cls, name: str) -> Recipe:
        """Return the shipped recipe of a name.

        Raises:
            InputError: if it has no proper header.
        """
        home = lookup.folder("configs")
        return cls.read(home / name, home / BASE, name)

    @classmethod
    def read(cls, path: Path, base: Path, name: str = "") -> Recipe:
        """Read a recipe.

        Args:
            path: its file.
            base: the file whose settings hold if a recipe does not change them.
            name: of the recipe; else that of its file.

        Raises:
            InputError: if the header is not a sentence and lines of `Key: text`.
        """
        text = path.read_text(encoding="utf-8")
        title, header = _header(path, text)
        content, usual = description.load(text), description.load(base.read_text(encoding="utf-8"))
        changes = _changes(_settings(content), _settings(usual))
        return cls(name or path.name, title, header, changes, _group(content, changes))

    @property
    def trains(self) -> bool:
        """Whether it is for `ltr fit`, and not for `ltr test`."""
        return self.group != GROUPS["test"]

    @property
    def label(self) -> str:
        """Its name and title, for a list of choices."""
        return f"{Path(self.name).stem}: {self.title}"

    @property
    def command(self) -> str:
        """How it is run."""
        return f"ltr {'fit' if self.trains else 'test --ckpt_path RUN'} --config {self.name}"


def _header(path: Path, text: str) -> tuple[str, dict[str, str]]:
    """Read the comment at the top: a title, then keys, whose further lines are indented."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if line.startswith("#   ") and lines:
            lines[-1] += " " + line[1:].strip()
        else:
            lines.append(line[1:].strip())
    if not lines or not lines[0].endswith("."):
        raise InputError(f"{path} begins with no sentence on what it is: write one, `# ... .`, in its first line.")
    header = {}
    for line in lines[1:]:
        key, _, content = line.partition(": ")
        if key not in KEYS or not content:
            raise InputError(f"{path}: a header has {', '.join(KEYS)}, and no line `{line[:40]}`.")
        header[key] = content
    return lines[0].removesuffix("."), header


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a config says, axis by axis, and the figures that name a budget."""
    model, data, trainer = (content.get(part) or {} for part in ("model", "data", "trainer"))
    settings = {**model.get("init_args", {}), **data.get("init_args", {}), **trainer}
    method = description.class_name(model) or "Method"
    return {"method": method, **{key: settings[key] for key in (*AXES, "batch_size", "max_epochs") if key in settings}}


def _changes(settings: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, str]:
    """Describe what differs from the usual."""
    changes = {} if settings["method"] == "Method" else {"method": settings["method"]}
    for key, value in settings.items():
        if key == "method" or value == usual.get(key):
            continue
        if key in ("batch_size", "max_epochs"):
            changes[key] = str(value)
        elif (words := _words(value, usual.get(key))) != "Pretrained":
            changes[key] = words
    return changes


def _words(value: Any, usual: Any) -> str:
    """Describe a setting: of a part all that the recipe says, but for the file that it starts from."""
    if isinstance(value, dict) and "init_args" in value:
        value = {**value, "init_args": {key: inner for key, inner in value["init_args"].items() if key != "checkpoint"}}
    return description.part(value, usual, switched_off=True) or str(value)


def _group(content: Mapping[str, Any], changes: Mapping[str, str]) -> str:
    """Choose the section of the gallery."""
    method = changes.get("method")
    if "model" not in content and "data" not in content:
        return GROUPS["test"]
    if method is not None:
        return GROUPS.get(method, GROUPS["method"])
    return next((GROUPS[axis] for axis in ("loss", "head", "mix", "sampler") if axis in changes), GROUPS["other"])
