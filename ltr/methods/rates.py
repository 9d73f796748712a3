"""Different learning rates for parts of a network."""

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

    Each factor has a parameter group; parameters without a factor form the first group.

    Args:
        optimizer: builds the optimizer.
        parameters: the trained parameters by name.
        rates: factors by prefix of the names, in whole parts (`head.fc`, not `head.f`); the longest prefix counts.

    Raises:
        InputError: for a prefix of no trained parameter.
    """
    if not rates:
        return optimizer(list(parameters.values()))
    groups: dict[str, list[nn.Parameter]] = {"": [], **{prefix: [] for prefix in rates}}
    for name, parameter in parameters.items():
        fitting = (prefix for prefix in rates if f"{name}.".startswith(f"{prefix}."))
        groups[max(fitting, key=len, default="")].append(parameter)
    for prefix in rates:
        if not groups[prefix]:
            raise InputError(f"`--model.rates` names {prefix}, but no trained parameter begins so: correct the name.")
    filled = {prefix: group for prefix, group in groups.items() if group}
    scaled_optimizer = optimizer([{"params": group} for group in filled.values()])
    for prefix, options in zip(filled, scaled_optimizer.param_groups, strict=True):
        options["lr"] *= rates.get(prefix, 1.0)
    return scaled_optimizer
