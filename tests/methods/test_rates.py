"""Learning rates of their own for parts of a network: which parameters, how much, and on the command line."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F
from torch.optim import SGD

from ltr.backbones import ResNet20
from ltr.data import Plain, Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.optimizers import SAM
from ltr.schedules import Cosine

Make = Callable[..., Trainer]


class Watch(Callback):
    """Keep the rates of every epoch and the first batch."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []
        self.measured: list[float] = []
        self.batches: list[tuple[Tensor, Tensor]] = []

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch, index: int) -> None:
        self.batches.append((batch.images.clone(), batch.labels.clone()))
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])
        self.measured.append(module.measures["train/lr"])


def method(data: Synthetic, rates: dict[str, float] | None, optimizer=None) -> Method:
    """Return a small method, its rate 0.1 and without a warm-up."""
    optimizer = optimizer or (lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-3))
    return Method(ResNet20(width=2), data.counts, schedule=Cosine(), optimizer=optimizer, rates=rates)


def names(model: Method, trainer: Trainer) -> list[set[str]]:
    """Return the names of the parameters of every group."""
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{known[id(parameter)] for parameter in group["params"]} for group in trainer.optimizers[0].param_groups]


def test_without_rates_there_is_one_group_in_the_order_of_the_parameters(trainer: Make) -> None:
    data = Synthetic()
    model = method(data, None)
    run = trainer(1)
    run.fit(model, datamodule=data)
    (group,) = run.optimizers[0].param_groups
    assert all(a is b for a, b in zip(group["params"], model.parameters(), strict=True))


def test_the_schedule_acts_on_every_group_and_the_rest_is_what_is_logged(trainer: Make) -> None:
    data, watch = Synthetic(batch_size=64), Watch()
    model = method(data, {"backbone": 0.1, "backbone.layer3": 0.5})
    run = trainer(4, callbacks=[watch])
    run.fit(model, datamodule=data)
    for epoch, rates in enumerate(watch.rates):
        assert rates == pytest.approx([factor * 0.1 * Cosine()(epoch, 4) for factor in (1, 0.1, 0.5)])
    assert watch.measured == [rates[0] for rates in watch.rates]
    rest, body, last = names(model, run)
    assert rest == {"head.fc.weight", "head.fc.bias"}
    assert last == {name for name, _ in model.named_parameters() if name.startswith("backbone.layer3.")}
    assert rest | body | last == {name for name, _ in model.named_parameters()}
    assert not body & last, "the longest beginning counts"


def test_without_a_rest_the_first_rate_is_logged(trainer: Make) -> None:
    data, watch = Synthetic(batch_size=64), Watch()
    trainer(1, callbacks=[watch]).fit(method(data, {"backbone": 0.1, "head": 2.0}), datamodule=data)
    assert watch.rates == [pytest.approx([0.01, 0.2])]
    assert watch.measured == pytest.approx([0.01])


def test_both_rates_act_as_by_hand(trainer: Make) -> None:
    data, watch = Synthetic(batch_size=64, augment=Plain()), Watch()
    model = method(data, {"head.fc.weight": 0.2})
    before = copy.deepcopy(model).train()
    trainer(1, callbacks=[watch]).fit(model, datamodule=data)
    ((images, labels),) = watch.batches
    F.cross_entropy(before(images).logits, labels).backward()
    for (name, parameter), new in zip(before.named_parameters(), model.parameters(), strict=True):
        rate = 0.1 * (0.2 if name == "head.fc.weight" else 1.0)
        expected = parameter.detach() - rate * (parameter.grad + 1e-3 * parameter.detach())
        torch.testing.assert_close(new.detach(), expected, rtol=1e-4, atol=1e-6, msg=name)


def test_it_works_with_sam(trainer: Make) -> None:
    data, watch = Synthetic(batch_size=64), Watch()
    model = method(data, {"backbone": 0.0}, lambda params: SAM(params, lambda params: SGD(params, lr=0.1)))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trainer(2, callbacks=[watch]).fit(model, datamodule=data)
    assert watch.rates == [pytest.approx([0.1, 0.0]), pytest.approx([0.05, 0.0])]
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("backbone."), name


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        ({"head.f": 0.2}, r"names head\.f, but no trained parameter begins so"),
        ({"old_head": 0.2}, "names old_head"),
        ({"head": 0.2, "head.fc": 0.1}, "names head, "),
        ({"head": -1.0}, "`rates` of Method must be at least 0, not -1"),
        ({"head": float("nan")}, "must be at least 0, not nan"),
    ],
)
def test_a_rate_of_nothing_is_refused(trainer: Make, rates: dict[str, float], why: str) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=why):
        trainer(1).fit(method(data, rates), datamodule=data)


def test_the_command_line_takes_them(ltr, tiny, capsys) -> None:
    assert ltr("fit --print_config --model.rates", '{"head.fc":0.2,"backbone":0.1}') == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["rates"] == {"head.fc": 0.2, "backbone": 0.1}
    assert tiny('--name a --model.rates {"head.fd":0.2}') == 2
    assert "names head.fd, but no trained parameter begins so" in capsys.readouterr().err
