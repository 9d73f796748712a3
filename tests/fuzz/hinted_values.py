"""Values for an option, as text: those that its type hint allows, those that it does not, and oddities."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from ltr.ranges import Range
from ltr.signatures import NOTHING, alternatives, options

Verdict = Literal["right", "wrong", "open"]
ODDITIES = (
    *(
        "",
        " ",
        "None",
        "~",
        "null",
        "true",
        "[]",
        "{}",
        "[1, 2]",
        "{a: 1}",
        "[[",
        "{",
        "]",
        "- 1",
        "a: b",
        "&a [*a]",
        "*a",
    ),
    *("!!python/object:os.system x", "@", "'", '"', "%", "`", "0x10", "1_000", "1e400", "-0", "9" * 400, "1:30", ".5"),
    *(
        "../../x",
        "/dev/null",
        ".",
        "..",
        "a/b",
        "a\x00b",
        "\x1b[31m",
        "a\nb",
        "\r",
        "é",
        "\u202e",
        "\ud800",
        "🙂",
        "a" * 300,
    ),
    *("{class_path: os.system}", "{class_path: LDAM, init_args: {}}", "class_path", "LDAM", "ltr.losses", "os.system"),
    *("2001-01-01", "=1+1", "<b>", "--", "-", "-1", "nan", "inf", "-inf", "10000000000000000000000", "1e-400"),
)


class Value(NamedTuple):
    """A value as text.

    Attributes:
        text: the text.
        verdict: whether the type hint and its range allow it, as far as they say.
    """

    text: str
    verdict: Verdict


def hints(part: type[Any]) -> dict[str, Any]:
    """Return the type hints of the arguments of a class with their ranges, which `options` leaves out."""
    found: dict[str, Any] = {}
    for base in part.__mro__:
        if "__init__" in vars(base):
            try:
                found = typing.get_type_hints(vars(base)["__init__"], include_extras=True) | found
            except (NameError, TypeError):
                continue
    return {name: found.get(name, option.hint) for name, option in options(part).items()}


def bare(hint: Any) -> Any:
    """Return a type hint without a range."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def range_of(hint: Any) -> Range | None:
    """Return the range of a type hint, None if it has none."""
    return next((item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Range)), None)


def values(hint: Any) -> st.SearchStrategy[Value]:
    """Return the values for an option of a type."""
    kinds = list(alternatives(hint))
    allowed = [strategy for kind in kinds for strategy in right(kind)]
    refused = [wrong(kinds)] if wrong(kinds) is not None else []
    odd = st.sampled_from(ODDITIES) | st.text(max_size=12)
    return st.one_of(*allowed * 3, *refused, odd.map(lambda text: Value(text, "open")))


def right(kind: Any) -> list[st.SearchStrategy[Value]]:
    """Return values of one type."""
    span, kind = range_of(kind) or Range(), bare(kind)
    if kind is type(None):
        texts = st.sampled_from(NOTHING)
    elif kind is bool:
        texts = st.sampled_from(["true", "false"])
    elif typing.get_origin(kind) is Literal:
        texts = st.sampled_from([str(word) for word in typing.get_args(kind)])
    elif kind is int:
        texts = st.integers(1, 8).filter(lambda value: value in span).map(str)
    elif kind is float:
        texts = st.sampled_from([0.0, 1e-3, 0.1, 0.5, 0.9, 1.0, 1.5, 3.0]).filter(lambda value: value in span).map(str)
    else:
        return []
    return [texts.map(lambda text: Value(text, "right" if range_of(kind) or kind not in (int, float) else "open"))]


def wrong(kinds: list[Any]) -> st.SearchStrategy[Value] | None:
    """Return values that no type of some has; None if it takes a parser to tell."""
    known = (int, float, bool, type(None))
    if not all(bare(kind) in known or typing.get_origin(kind) is Literal for kind in kinds):
        return None
    texts = ["no such value", "1,5", "0.5.1", "½", "[1", "{a: 1}"]
    if float in map(bare, kinds):
        texts += ["nan", "inf", "-inf"]
    elif int in map(bare, kinds):
        texts += ["0.5", "nan", "inf"]
    spans = [span for kind in kinds if (span := range_of(kind))]
    if len(spans) == 1:
        outside = [spans[0].least - 1, spans[0].most + 1, spans[0].above, spans[0].below, -1e300, 1e300]
        found = [value for value in outside if math.isfinite(value) and value not in spans[0]]
        texts += [f"{value:.0f}" if int in map(bare, kinds) else f"{value:g}" for value in found]
    return st.sampled_from(texts).map(lambda text: Value(text, "wrong"))


def same(text: str, value: Any) -> bool:
    """Return whether a resolved value is what a text says, as far as numbers, words and nothing are concerned."""
    if value is None or isinstance(value, Mapping | list):
        return True
    if isinstance(value, bool):
        return text.strip().lower() in (("true", "yes", "on", "1") if value else ("false", "no", "off", "0"))
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return str(value).strip() == text.strip() or text.startswith(("'", '"')) or str(value).endswith(f".{text}")
