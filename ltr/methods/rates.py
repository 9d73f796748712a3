"""Learning rates of their own for parts of a network."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch.cli import OptimizerCallable
from torch import nn
from torch.optim import Optimizer

from ltr.errors import InputError


def scaled(
    optimizer: OptimizerCallable, parameters: Mapping[str, nn.Parameter], rates: Mapping[str, float]
) -> Optimizer:
    """Build an optimizer that trains some parameters at a multiple of its learning rate.

    Every factor has a group of its own. The parameters that none is for form the first group, where there are some.

    Args:
        optimizer: builds the optimizer.
        parameters: what is trained, by name.
        rates: factors by the beginning of names (`head.fc`, not `head.f`); the longest one that fits counts.

    Raises:
        InputError: for a negative factor, or one that acts on no parameter.
    """
    if not rates:
        return optimizer(list(parameters.values()))
    parts: dict[str, list[nn.Parameter]] = {"": [], **{beginning: [] for beginning in rates}}
    for name, parameter in parameters.items():
        fitting = (beginning for beginning in rates if f"{name}.".startswith(f"{beginning}."))
        parts[max(fitting, key=len, default="")].append(parameter)
    for beginning, factor in rates.items():
        if not factor >= 0:
            raise InputError(f"a factor of the learning rate is 0 or more; that of {beginning} cannot be {factor:g}.")
        if not parts[beginning]:
            raise InputError(f"the learning rate of {beginning} acts on nothing that is trained: correct the name.")
    filled = {beginning: part for beginning, part in parts.items() if part}
    built = optimizer([{"params": part} for part in filled.values()])
    for beginning, group in zip(filled, built.param_groups, strict=True):
        group["lr"] *= rates.get(beginning, 1.0)
    return built
