"""Learning rates: of parts of a network, of an epoch, and of a resumed training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ltr.errors import InputError


def scaled(
    optimizer: OptimizerCallable,
    parameters: Mapping[str, nn.Parameter],
    rates: Mapping[str, float],
    *,
    undecayed: Collection[str] = (),
) -> Optimizer:
    """Build an optimizer that trains some parameters at a multiple of its learning rate, or without weight decay.

    Each factor has a parameter group; parameters without a factor form the first group.

    Args:
        optimizer: builds the optimizer.
        parameters: the trained parameters by name.
        rates: factors by prefix of the names, in whole parts (`head.fc`, not `head.f`); the longest prefix counts.
        undecayed: names of parameters without weight decay.

    Raises:
        InputError: for a prefix of no trained parameter.
    """
    if not rates and not undecayed:
        return optimizer(list(parameters.values()))
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {(prefix, True): [] for prefix in ("", *rates)}
    for name, parameter in parameters.items():
        fitting = (prefix for prefix in rates if f"{name}.".startswith(f"{prefix}."))
        groups.setdefault((max(fitting, key=len, default=""), name not in undecayed), []).append(parameter)
    for prefix in rates:
        if not groups[prefix, True] and not groups.get((prefix, False)):
            raise InputError(f"`--model.rates` names {prefix}, but no trained parameter begins so: correct the name.")
    filled = {key: group for key, group in groups.items() if group}
    scaled_optimizer = optimizer([{"params": group} for group in filled.values()])
    for (prefix, decayed), options in zip(filled, scaled_optimizer.param_groups, strict=True):
        options["lr"] *= rates.get(prefix, 1.0)
        if not decayed:
            options["weight_decay"] = 0.0
    return scaled_optimizer


class EpochRates(LambdaLR):
    """The learning rates of every epoch, a pure function of the settings of the optimizer and of the epoch.

    A resumed training has the state of its optimizer and the settings of its present config: another learning rate,
    weight decay or number of epochs counts from the first resumed epoch on.

    Args:
        optimizer: the optimizer.
        factor: the factor of the learning rate, given the epoch from 0.
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        super().__init__(optimizer, factor)
        optimizer.register_load_state_dict_pre_hook(_check_groups)
        own = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]

        def restore_settings(loaded: Optimizer) -> None:
            for group, settings in zip(loaded.param_groups, own, strict=True):
                group.update(settings)

        optimizer.register_load_state_dict_post_hook(restore_settings)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the epoch of a checkpoint."""
        self.last_epoch = state_dict["last_epoch"]
        factors = [factor(self.last_epoch) for factor in self.lr_lambdas]
        for group, base, factor in zip(self.optimizer.param_groups, self.base_lrs, factors, strict=True):
            group["lr"] = base * factor


def _check_groups(optimizer: Optimizer, state_dict: dict[str, Any]) -> None:
    """Raise `InputError` unless a state is that of the same kind of optimizer with the same parameters."""
    pairs = [*zip(optimizer.param_groups, state_dict["param_groups"], strict=False)]
    same = len(optimizer.param_groups) == len(state_dict["param_groups"])
    same &= all(len(own["params"]) == len(saved["params"]) for own, saved in pairs)
    # Versions of torch add options, so one has all that the other has.
    same &= all(own.keys() <= saved.keys() or saved.keys() <= own.keys() for own, saved in pairs)
    if not same:
        raise InputError(
            "the training was begun with another optimizer, or with other frozen weights: resume it with those of its "
            "config, or start a new run from its weights with `--model.backbone Pretrained`."
        )
