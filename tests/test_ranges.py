"""Every number that a part takes has a range, and is refused outside of it. A new part is tested because it exists."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import torch
from lightning.pytorch import LightningDataModule

from ltr.backbones import MultiExpert, ResNet20
from ltr.backbones.adapters import Adapter
from ltr.cli.catalogue import ROOMS
from ltr.contracts import Backbone, Head, Loss, Mix, Sampler
from ltr.errors import InputError
from ltr.losses import CrossEntropy
from ltr.methods import Method
from ltr.ranges import Checked, Range, check

COUNTS = [30, 9, 3, 1]
NOT_NUMBERS = (math.nan, math.inf, -math.inf)
# What the parts of a kind need besides the option in question; by class, what one of them needs in particular.
NEEDED: dict[type[Any], dict[str, Any]] = {
    Backbone: {},
    Adapter: {"blocks": [], "classes": 4},
    Head: {"dim": 8, "classes": 4},
    Loss: {"counts": torch.tensor(COUNTS)},
    Mix: {"counts": torch.tensor(COUNTS)},
    Sampler: {"labels": torch.arange(4).repeat_interleave(torch.tensor(COUNTS))},
    Method: {"backbone": ResNet20(width=2), "counts": COUNTS},
}
PARTICULAR: dict[str, dict[str, Any]] = {
    "Distillation": {"teacher": ResNet20(width=2)},
    "HeadGrid": {"losses": {"CE": CrossEntropy}, "lrs": [0.1]},
    "MixtureLikelihood": {"teacher": ResNet20(width=2)},
    "PaCo": {"counts": COUNTS},
    "Pretrained": {"checkpoint": "weights.pt"},
    "ResNetCIFAR": {"depth": 20},
    "Routing": {"backbone": MultiExpert(lambda: ResNet20(width=2), experts=2)},
    "SAM": {"params": [torch.nn.Parameter(torch.ones(1))]},
    "Shifts": {"factors": [2.0]},
    "Timm": {"name": "test_vit"},
}


def parts() -> Iterator[type[Any]]:
    """Yield every public part of `ltr` that a config may name, except data sets, which look for their files first."""
    for kind, rooms in ROOMS.items():
        for room in rooms if not issubclass(kind, LightningDataModule) else ():
            for name in room.__all__:
                part = getattr(room, name)
                if inspect.isclass(part) and issubclass(part, kind) and part.__module__.startswith("ltr."):
                    yield part


def options(part: type[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the options of a part and their type hints, those of its bases too where it passes them on."""
    for base in part.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is None or not base.__module__.startswith("ltr."):
            continue
        yield from typing.get_type_hints(constructor, include_extras=True).items()
        if not any(item.kind is item.VAR_KEYWORD for item in inspect.signature(constructor).parameters.values()):
            return


def wrong(hint: Any) -> Iterator[Any]:
    """Yield values of a type hint with a number that means nothing."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in (int, float):
        yield from NOT_NUMBERS
    elif origin is Annotated and isinstance(inner[1], Range):
        bounds = inner[1]
        yield from NOT_NUMBERS
        yield from (value for value in (bounds.least - 1, bounds.above, bounds.most + 1, bounds.below))
    elif origin in (typing.Union, types.UnionType):
        for kind in inner:
            yield from wrong(kind)
    elif origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, typing.Sequence)):
        yield from ([value] for value in wrong(inner[0]))
    elif origin is dict:
        yield from ({"head": value} for value in wrong(inner[1]))


CASES = [
    pytest.param(part, name, value, id=f"{part.__module__.split('.')[1]}.{part.__name__}.{name}={value}")
    for part in dict.fromkeys(parts())
    if not inspect.isabstract(part)
    for name, hint in dict(reversed([*options(part)])).items()
    for value in wrong(hint)
]


@pytest.mark.parametrize(("part", "name", "value"), CASES)
def test_numbers_without_meaning_are_refused(part: type[Any], name: str, value: Any) -> None:
    kind = next((kind for kind in NEEDED if issubclass(part, kind)), None)
    given = (NEEDED[kind] if kind else {}) | PARTICULAR.get(part.__name__, {})
    accepted = inspect.signature(part).parameters
    needed = {key: item for key, item in given.items() if key in accepted}
    if name in accepted or any(item.kind is item.VAR_KEYWORD for item in accepted.values()):
        with pytest.raises(InputError, match=rf"^`{name}` of {part.__name__} must be "):
            part(**needed | {name: value})


def test_there_are_parts_of_all_kinds_among_them() -> None:
    names = {f"{case.values[0].__name__}.{case.values[1]}" for case in CASES}  # type: ignore[union-attr]
    assert len(names) > 80
    assert {"Focal.gamma", "Cosine.scale", "Cosine.warmup", "EMA.decay", "CutMix.probability", "SAM.rho"} <= names
    assert {"Power.q", "Tuning.views", "Tuning.rates", "TauNorm.tau", "Retarget.factor", "Steps.milestones"} <= names


def test_every_part_is_checked() -> None:
    unchecked = {part.__name__ for part in parts() if not issubclass(part, Checked)}
    assert not unchecked


class Own(Checked):
    """A part as a user would write it."""

    def __init__(self, size: int, *scales: float, limit: float = math.inf, **named: float) -> None:
        self.size, self.scales, self.limit, self.named = size, scales, limit, named


def test_numbers_without_a_range_are_finite_and_defaults_are_not_looked_at() -> None:
    assert Own(3, 0.5).limit == math.inf
    for make in (lambda: Own(3, math.nan), lambda: Own(3, limit=math.inf), lambda: Own(3, other=math.nan)):
        with pytest.raises(InputError, match=r"of Own must be a finite number, not (nan|inf)"):
            make()


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Range(least=0), "at least 0"),
        (Range(above=0, most=1), "above 0 and at most 1"),
        (Range(least=0, below=1), "at least 0 and below 1"),
        (Range(), "a finite number"),
    ],
)
def test_a_range_in_words(bounds: Range, words: str) -> None:
    assert str(bounds) == words
    with pytest.raises(InputError, match=rf"^x must be {words}, not nan\.$"):
        check("x", {"a": [[0.5], [math.nan]]}, dict[str, list[list[Annotated[float, bounds]]]])


@pytest.mark.parametrize(
    "words",
    [
        "--model.loss Focal --model.loss.gamma=-1",
        "--model.loss LabelSmoothing --model.loss.epsilon=-1e300",
        "--model.head Cosine --model.head.scale=0",
        "--model.schedule.warmup=-1",
        "--model.mix Mixup --model.mix.alpha=0",
        "--data.sampler EffectiveNumber --data.sampler.beta=1",
        "--trainer.callbacks EMA --trainer.callbacks.decay=2",
        "--trainer.gradient_clip_val=-1",
    ],
)
def test_the_command_line_refuses_them_before_it_trains(tiny, capsys, words: str) -> None:
    assert tiny(words) == 2
    assert " must be " in capsys.readouterr().err
