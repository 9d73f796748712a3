"""The content of a config, and its parts, its data and its adjustments in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that of libyaml, if there, is about eight times as fast
PARTS = ("backbone", "head", "old_head", "loss", "mix", "optimizer", "schedule", "callbacks", "sampler", "augment")


def load(text: str) -> Any:
    """Return the content of YAML text."""
    return yaml.load(text, LOADER)  # noqa: S506, it is a safe loader


def repeated_keys(text: str) -> Iterator[str]:
    """Yield the keys that occur twice in a mapping of YAML text; YAML itself keeps the last value without a word."""
    waiting, seen = [yaml.compose(text, LOADER)], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias, which may lead back to where it stands
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            yield from (key for (_, key), count in keys.items() if count > 1)
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def class_name(part: object) -> str:
    """Return the name of the class of a part, empty for None.

    Args:
        part: the path of a class, or a mapping with its `class_path`.
    """
    path = part.get("class_path") if isinstance(part, Mapping) else part
    return str(path or "").rpartition(".")[2]


def is_part(value: object) -> bool:
    """Return whether a setting names a class, or several."""
    if isinstance(value, list):
        return bool(value) and all(map(is_part, value))
    return "class_path" in value if isinstance(value, Mapping) else bool(re.match(r"(ltr|torch)\.", str(value)))


def part(value: Any, usual: Any = None, *, switched_off: bool = False) -> str:
    """Return the classes of a part and their settings, `SAM(SGD(lr 0.1), radius 0.05)`; empty if there is none.

    Args:
        value: the part, or several.
        usual: the part that holds otherwise: of the same class, only settings that differ are written.
        switched_off: whether settings that are None or False are written, too.
    """
    if not is_part(value):
        return ""
    if isinstance(value, list):
        return ", ".join(part(item, switched_off=switched_off) for item in value)
    given, known = settings(value), settings(usual) if class_name(usual) == class_name(value) else {}
    options = [
        part(item, switched_off=switched_off) if is_part(item) else f"{key} {item}"
        for key, item in given.items()
        if (switched_off or not (item is None or item is False)) and (key not in known or item != known[key])
    ]
    return f"{class_name(value)}({', '.join(options)})" if options else class_name(value)


def replaced_callbacks(configs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, list[str], str]]:
    """Yield which callbacks of a config are replaced by those of a later one, as lists in configs are.

    Args:
        configs: their contents by their names, in order.

    Yields:
        The later config, the names of its callbacks, and those of the earlier config that are lost, in words.
    """
    earlier, before = "", list[str]()
    for config, content in configs.items():
        callbacks = (content.get("trainer") or {}).get("callbacks")
        if isinstance(callbacks, list):
            names = [class_name(part) for part in callbacks]
            if lost := [name for name in before if name not in names]:
                yield config, names, f"those of {earlier} ({', '.join(lost)})"
            earlier, before = config, names


def settings(part: Any) -> Mapping[str, Any]:
    """Return the settings of a part, empty if it has none."""
    return part.get("init_args") or {} if isinstance(part, Mapping) else {}


def is_tuning(config: Mapping[str, Any]) -> bool:
    """Return whether the run of a config retrained the classifier of another one."""
    return class_name(config.get("model")) == "Tuning"


def architecture(backbone: Any) -> str:
    """Return the name of a backbone, with that of the network in it: `Pretrained(ResNet32)`, `Timm(vit_tiny)`."""
    inner = settings(backbone).get("backbone")
    name = architecture(inner) if inner else settings(backbone).get("name")
    return f"{class_name(backbone)}({name})" if name else class_name(backbone)


def method(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parts of a method by their names, those that it has."""
    model, data, trainer = (config.get(key) or {} for key in ("model", "data", "trainer"))
    parts = {**settings(model), **settings(data), "callbacks": trainer.get("callbacks")}
    rows = [(key.replace("_", " "), part(parts.get(key))) for key in PARTS]
    return [(key, text) for key, text in (("method", class_name(model)), *rows) if text]


def data_set(measured: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the name of the data of a run, with the imbalance factor if it was chosen.

    Args:
        measured: what an evaluation says of its data, empty if there is none.
        config: the config of the data, empty if it is unknown.
    """
    name = measured.get("name") or class_name(config)
    options = settings(config)
    imbalance = measured.get("imbalance") or options.get("imbalance")
    chosen = isinstance(imbalance, int | float) and options.get("tail") != "none"
    return f"{name}, IF {imbalance:.4g}" if chosen else name


def summary(config: Mapping[str, Any]) -> str:
    """Return the method and the loss of a config, as far as it names them."""
    model = config.get("model") or {}
    return ", ".join(filter(None, (class_name(model), class_name(settings(model).get("loss")))))


def split(measured: Mapping[str, Any]) -> str:
    """Return the data of an evaluation with all that chooses its images."""
    natural = measured["tail"] == "none"  # the tail of the data themselves, of which there is no official split
    tail = "its own tail" if natural else measured["tail"]
    parts = [str(measured["name"]), f"imbalance {measured['imbalance']:.4g} ({tail})"]
    if measured["subset_seed"] is not None:
        parts.append(f"subset seed {measured['subset_seed']}")
    if measured.get("synthetic"):
        parts.append(f"{sum(measured['synthetic']):,} synthetic training images")
    return ", ".join([*parts, *([] if measured["official"] or natural else ["not the official split"])])


def adjustments(adjusted: Sequence[Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the names and the settings of adjustments, without settings that are a value for each class."""
    words = []
    for name, values in (pair for item in adjusted for pair in item.items()):
        options = [f"{key} {value}" for key, value in values.items() if not isinstance(value, list)]
        words.append(f"{name}({', '.join(options)})" if options else name)
    return ", ".join(words)
