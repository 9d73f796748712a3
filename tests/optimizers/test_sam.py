"""Sharpness-aware minimisation against two-step loops written by hand, in trainings and resumed."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from ltr.backbones import ResNet20
from ltr.data import Plain, Synthetic
from ltr.errors import InputError
from ltr.methods import Method
from ltr.optimizers import SAM
from ltr.schedules import Cosine

OPTIONS = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


def sam(params, rho: float = 0.3, **options) -> SAM:
    """Return SAM over plain SGD."""
    return SAM(params, lambda params: SGD(params, **OPTIONS), rho=rho, **options)


def gradients(model: Method, images: Tensor, labels: Tensor) -> tuple[float, list[Tensor]]:
    """Return the mean cross-entropy and its gradient by every parameter."""
    value = F.cross_entropy(model(images).logits, labels)
    return value.item(), list(torch.autograd.grad(value, list(model.parameters())))


class Wide(ResNet20):
    """A network that computes in float64."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.double())


class Watch(Callback):
    """Keep the batches and the losses of a training."""

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.batches.append((batch.images.clone(), batch.labels.clone()))

    def on_train_epoch_end(self, trainer, module) -> None:
        self.losses.append(module.epoch_loss.mean())


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("after", [None, 0.8])
def test_a_training_is_the_loop_by_hand(trainer, after: float | None) -> None:
    data, watch = Synthetic(batch_size=16, augment=Plain()), Watch()
    method = Method(Wide(width=2), data.counts, schedule=Cosine(), optimizer=partial(sam, rho_after=after, start=0.5))
    other = copy.deepcopy(method).train()
    trainer(2, callbacks=[watch]).fit(method, datamodule=data)
    momenta = [torch.zeros_like(parameter) for parameter in other.parameters()]
    losses = []
    for step, (images, labels) in enumerate(watch.batches):
        rate = OPTIONS["lr"] * (1.0 if step < 3 else 0.5)  # the cosine after one of two epochs
        radius = 0.3 if step < 3 else after or 0.3
        value, ascent = gradients(other, images, labels)
        losses.append((value, len(labels)))
        statistics = {key: buffer.clone() for key, buffer in other.named_buffers()}
        before = [parameter.detach().clone() for parameter in other.parameters()]
        length = sum(gradient.square().sum() for gradient in ascent).sqrt()
        with torch.no_grad():
            for parameter, gradient in zip(other.parameters(), ascent, strict=True):
                parameter += radius * gradient / length
        _, descent = gradients(other, images, labels)
        with torch.no_grad():
            for parts in zip(other.parameters(), before, momenta, descent, strict=True):
                parameter, value_before, momentum, gradient = parts
                momentum.mul_(0.9).add_(gradient + 1e-3 * value_before)
                parameter.copy_(value_before - rate * momentum)
            for key, buffer in other.named_buffers():
                buffer.copy_(statistics[key])
    assert len(watch.batches) == 6
    expected = other.state_dict()
    for key, value in method.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-6, atol=1e-9, msg=key)
    for epoch, found in enumerate(watch.losses):
        part = losses[3 * epoch : 3 * epoch + 3]
        mean = sum(loss * size for loss, size in part) / sum(size for _, size in part)
        assert found == pytest.approx(mean, rel=1e-6), "the running loss is the one at w, counted once"


def test_the_radius_changes_at_its_fraction() -> None:
    optimizer = sam([nn.Parameter(torch.ones(1))], rho=0.2, rho_after=0.4)
    radii = []
    for epoch in range(200):
        optimizer.set_epoch(epoch, 200)
        radii.append(optimizer.radius)
    assert radii == [0.2] * 160 + [0.4] * 40
    assert optimizer.notes(200) == []
    assert "the change of the radius at 0.8 of the run takes place in the last of 2 epochs" in optimizer.notes(2)
    assert sam([nn.Parameter(torch.ones(1))]).notes(2) == [], "a radius that does not change misses nothing"


@pytest.mark.slow
def test_a_resumed_run_has_the_radius_of_its_epoch(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--config sam.yaml --trainer.max_epochs 4", "--model.optimizer.rho_after 1.5 --model.optimizer.start 0.5")
    assert tiny(*words, "--name a") == 0
    begin = Method.on_train_epoch_start

    def stop(self: Method) -> None:
        if self.current_epoch == 3:
            raise InputError("power cut")
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(Method, "on_train_epoch_start", stop)
        assert tiny(*words, "--name b") != 0
    assert tiny(*words, "--name b --ckpt_path last") == 0
    assert tiny(*words, "--name constant --model.optimizer.rho_after 0.3") == 0
    a, b, constant = (
        torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in ("a", "b", "constant")
    )
    assert all(torch.equal(value, b[key]) for key, value in a.items())
    assert not torch.equal(a["head.fc.weight"], constant["head.fc.weight"])


def test_without_a_radius_it_is_its_base() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    twin = copy.deepcopy(model)
    inputs = torch.randn(8, 4)
    for network, optimizer in ((model, sam(model.parameters(), rho=0)), (twin, SGD(twin.parameters(), **OPTIONS))):
        for _ in range(3):

            def closure(network=network, optimizer=optimizer) -> Tensor:
                optimizer.zero_grad()
                loss = network(inputs).square().mean()
                loss.backward()
                return loss

            optimizer.step(closure)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_both_passes_draw_the_same() -> None:
    parameter = nn.Parameter(torch.ones(3))
    optimizer = sam([parameter])
    drawn = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        drawn.append(torch.rand(3))
        loss = (parameter * drawn[-1]).sum()
        loss.backward()
        return loss

    for _ in range(2):
        optimizer.step(closure)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[2], drawn[3])
    assert not torch.equal(drawn[0], drawn[2])


def test_it_trains_in_bfloat16(trainer) -> None:
    data, watch = Synthetic(batch_size=8), Watch()
    method = Method(ResNet20(width=2), data.counts, schedule=Cosine(), optimizer=lambda params: sam(params, 0.05))
    trainer(8, callbacks=[watch], precision="bf16-mixed").fit(method, datamodule=data)
    assert watch.losses[-1] < 0.9 * watch.losses[0]


def test_accumulated_gradients_are_refused(trainer) -> None:
    data = Synthetic(batch_size=8)
    method = Method(ResNet20(width=2), data.counts, schedule=Cosine(), optimizer=sam)
    with pytest.raises(InputError, match="SAM evaluates a batch several times in a step"):
        trainer(1, accumulate_grad_batches=2).fit(method, datamodule=data)


def test_a_step_without_a_closure_is_refused() -> None:
    with pytest.raises(InputError, match="SAM passes a batch twice, and this step got no closure for it"):
        sam([nn.Parameter(torch.ones(1))]).step()
