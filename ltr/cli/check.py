"""Options and classes are checked against the catalogue before they are parsed, in flags and in YAML alike."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from ltr import signatures
from ltr.cli import arguments as words
from ltr.cli import catalogue
from ltr.cli.arguments import CONFIG, HELP, Argument
from ltr.errors import InputError
from ltr.sentences import FEW
from ltr.signatures import Option, options

PARSED = {name: Option(Any, None) for name in (*CONFIG, *HELP, "print_config")}  # options of the parser itself
LINKED = ("counts", "params")  # given by the data and the model
AT_LEAST_ONE = ("trainer.accumulate_grad_batches", "trainer.check_val_every_n_epoch", "trainer.num_nodes")
# Names of options in other code.
SYNONYMS = {
    "arch": "backbone",
    "dataset": "data",
    "epochs": "max_epochs",
    "gpus": "devices",
    "learning_rate": "lr",
    "resume": "ckpt_path",
    "seed": "seed_everything",
    "workers": "num_workers",
}


class Check:
    """The options that exist, given the arguments so far.

    Args:
        top: the options without a dot in their name.
    """

    def __init__(self, top: Mapping[str, Option]) -> None:
        self.top = {**top, **PARSED}
        self.given: dict[str, Any] = {}  # what each option is set to, the last value of each
        self.named: set[str] = set()  # the places whose class is given
        # The class that is chosen at a place: `Any` for one that the catalogue does not know, None for no class.
        self.chosen: dict[str, Any] = {place: Trainer for place, option in top.items() if option.hint is Trainer}

    def arguments(self, given: Sequence[str]) -> list[str]:
        """Return the words to parse, after a check of every option and class in them.

        Configs are put in as text: given a file, the parser would change the folder of the process, which all threads
        share, while it reads.

        Raises:
            InputError: for an option or class that does not exist, with the nearest one, or a value of another type.
        """
        return [word for argument in words.split(given) for word in self.checked(argument)]

    def checked(self, argument: Argument) -> Iterable[str]:
        """Return the words to parse for one option."""
        given, name, value = argument
        place = name.removesuffix("+").removesuffix(".help")
        if not name:
            return given
        if name in HELP:
            return ["--help"]
        if value is None:
            self.option(place)
            return given
        if name in CONFIG:
            config = words.content(value)
            return ["--config", words.text({key: self.set(key, inner) for key, inner in config.items()})]
        if name.endswith("+"):
            self.forget(place)
        content = words.load(f"value: {value}", f"--{name}")["value"] if value[:1] in ("{", "[") else value
        checked = self.set(place, content)
        return given if checked is content else [f"--{name}={words.text(checked)}"]

    def set(self, place: str, value: Any) -> Any:
        """Check what an option is set to, and remember the class that this chooses.

        Args:
            place: the name of the option, dots included.
            value: text, a number, or nested content of a config.

        Returns:
            The value, with the content of YAML files in place of their names.
        """
        above, _, last = place.rpartition(".")
        if last == "class_path":
            return self.set(above, value)
        if last in ("init_args", "dict_kwargs"):
            return self.inside(above, {last: value})[last] if isinstance(value, Mapping) else value
        option = self.option(place)
        self.given[place.replace(".init_args.", ".")] = value
        if isinstance(value, str) and Path(value).suffix in (".yaml", ".yml") and os.path.isfile(value):
            value = words.read(value) if option.hint is Trainer or catalogue.base_of(option.hint) else value
        if option.hint is Trainer:
            if not isinstance(value, Mapping):
                raise InputError(f"{place} is a mapping of options, such as `max_epochs: 10`; it cannot be {value}.")
            return self.inside(place, value)
        if (base := catalogue.base_of(option.hint)) is None:
            if not signatures.fits(option.hint, value):
                raise InputError(f"{place} is {signatures.form(option.hint)}; it cannot be {value}.")
            if place in AT_LEAST_ONE and not signatures.fits(type(None), value) and float(value) < 1:
                raise InputError(f"{place} is at least 1; it cannot be {value}.")
            return value
        if isinstance(value, str) and value.lower() in signatures.NOTHING and signatures.is_optional(option.hint):
            value = value if value in signatures.words(option.hint) else None
        if value is None:
            self.chosen[place] = None
        if isinstance(value, list):
            return [self.part(place, option, base, item, new=True) for item in value]
        return self.part(place, option, base, value)

    def part(self, place: str, option: Option, base: type[Any], value: Any, *, new: bool = False) -> Any:
        """Check a part, which is named or described by a mapping.

        Args:
            place: the option that names it.
            option: what is known of that.
            base: what it has to derive from.
            value: its name, or its class and options.
            new: whether nothing of an earlier part at this place is kept, as in a list.
        """
        if new:
            self.forget(place)
        name = value.get("class_path") if isinstance(value, Mapping) else value
        if isinstance(name, str):
            self.named.add(place)
            simple = "." not in name and name not in catalogue.parts(base)
            other = simple and any(
                signatures.fits(kind, name)
                for kind in signatures.alternatives(option.hint)
                if signatures.is_simple(kind)
            )
            self.chosen[place] = Any if other else catalogue.find(place, base, name)
        return self.inside(place, value) if isinstance(value, Mapping) else value

    def inside(self, place: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Check the options of a part."""
        checked: dict[str, Any] = {}
        for key, value in content.items():
            if key == "init_args" and isinstance(value, Mapping):
                checked[key] = {name: self.set(f"{place}.{name}", inner) for name, inner in value.items()}
            else:
                known = key in ("class_path", "dict_kwargs", "init_args")
                checked[key] = value if known else self.set(f"{place}.{key}", value)
        return checked

    def forget(self, place: str) -> None:
        """Forget which classes were chosen at and below a place."""
        self.chosen = {key: kind for key, kind in self.chosen.items() if not f"{key}.".startswith(f"{place}.")}

    def option(self, place: str) -> Option:
        """Return an option; with the hint `Any` if its class takes options that its signature does not name.

        Raises:
            InputError: if there is none of this name.
        """
        first, *names = [name for name in place.split(".") if name != "init_args"]
        if first not in self.top:
            raise InputError(f"there is no option {place}{self.nearest('', place, first)}")
        option, above = self.top[first], first
        for name in names:
            part = self.chosen_at(above, option)
            if part is None:
                raise InputError(
                    f"{above} names no class that has an option {name}: pass the class before it (`--{above} CLASS`)."
                )
            below = {} if part is Any else options(part)
            if name not in below and (part is Any or catalogue.is_open(part)):
                return Option(Any, None)
            if name not in below:
                base = catalogue.base_of(option.hint)
                others = (
                    [kind for kind, other in catalogue.parts(base).items() if name in options(other)] if base else []
                )
                if others:
                    raise InputError(
                        f"{part.__name__} has no option {name}, which {', '.join(others[:FEW])} "
                        f"{'has' if len(others) == 1 else 'have'}: pass the class before it (`--{above} CLASS`)."
                    )
                raise InputError(f"there is no option {place}{self.nearest(above, place, name)}")
            option, above = below[name], f"{above}.{name}"
        return option

    def chosen_at(self, place: str, option: Option) -> Any:
        """Return the class at a place, `Any` if it is not known, None if none is chosen."""
        if place in self.chosen:
            return self.chosen[place]
        base = catalogue.base_of(option.hint)
        if option.default is None or option.default is inspect.Parameter.empty:
            return Any if base is None else base if place in self.top else None
        return option.default if isinstance(option.default, type) else Any

    def names(self) -> Iterator[str]:
        """Yield the full names of all options of the chosen parts."""

        def below(place: str, option: Option) -> Iterator[str]:
            yield place
            part = self.chosen_at(place, option)
            for name, inner in options(part).items() if isinstance(part, type) else ():
                if name not in LINKED:
                    yield from below(f"{place}.{name}", inner)

        for place, option in self.top.items():
            yield from below(place, option)

    def nearest(self, above: str, place: str, name: str) -> str:
        """Return the end of an error sentence: the option that may have been meant.

        Args:
            above: as far as the place exists.
            place: what was given.
            name: the first name in it that does not exist.
        """
        last = place.rpartition(".")[2]
        leaves: dict[str, list[str]] = {}
        for known in self.names():
            leaves.setdefault(known.rpartition(".")[2], []).append(known)
        siblings = {leaf: places for leaf, places in leaves.items() if f"{above}.{leaf}".lstrip(".") in places}
        nearest = leaves.get(last) or leaves.get(SYNONYMS.get(last, "")) or []
        for group, cutoff in ((siblings, 0.6), (leaves, 0.75)):
            close = difflib.get_close_matches(name, group, n=1, cutoff=cutoff)
            nearest = nearest or [known for leaf in close for known in group[leaf]]
        if not nearest:
            return ": the help has all options (`--help all`)."
        best = min(nearest, key=lambda known: (not known.startswith(f"{above}."), known.count(".")))
        return f"; did you mean --{best}?"
