"""Asking experts one after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ltr.backbones import MultiExpert, Pretrained, ResNet20
from ltr.contracts import Batch, Output, Target
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.heads import ExpertHeads, Router
from ltr.methods import Method, Routing
from ltr.methods.routing import helpful, used

Make = Callable[..., Trainer]
SMALL = partial(ResNet20, width=2)
# Lightning wonders at modules in evaluation mode; that frozen experts stay in it is the point.
pytestmark = pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a checkpoint of three experts on five classes."""
    run = Method(MultiExpert(SMALL), Synthetic().counts, head=ExpertHeads)
    run.backbone(torch.randn(16, 3, 8, 8))
    torch.save({"state_dict": run.state_dict()}, tmp_path / "ride.ckpt")
    return tmp_path / "ride.ckpt"


def routing(file: Path | str = "none", **options: Any) -> Routing:
    """Return gates over the experts of the file."""
    return Routing(Pretrained(str(file), MultiExpert(SMALL)), Synthetic().counts, **options)


def undecided(model: Routing, data: Synthetic) -> Tensor:
    """Let each gate open for about half of the test images; return the images."""
    data.setup("test")
    images = data.prepare(data.splits["test"].images)
    router = model.eval().router
    with torch.no_grad():
        model.backbone.train()
        model.backbone.backbone(images)  # running statistics that tell images apart
        model.backbone.eval()
        _, _, gates = router.everything(model.backbone(images))
        router.gate.bias.sub_(gates.median())
    return images


def test_the_gates_as_a_loop() -> None:
    router = Router(12, 6, top=4, hidden=5)
    features = torch.randn(7, 12)
    experts, means, gates = router.everything(features)
    for sample in range(7):
        sums = [0.0] * 6
        for number in range(3):
            logits = experts[number, sample].tolist()
            sums = [a + b for a, b in zip(sums, logits, strict=True)]
            mean = [value / (number + 1) for value in sums]
            assert means[number, sample].tolist() == pytest.approx(mean, rel=1e-4, abs=1e-5)
            if number == 2:
                break
            feature = features[sample, 4 * number : 4 * number + 4].tolist()
            length = math.sqrt(sum(value**2 for value in feature))
            layer = router.views[number]
            view = [
                max(0.0, bias + sum(w * h / length for w, h in zip(row, feature, strict=True)))
                for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
            ]
            seen = sorted(mean, reverse=True)[:4] + view
            gate = router.gate.bias.item() + sum(
                w * x for w, x in zip(router.gate.weight[0].tolist(), seen, strict=True)
            )
            assert gates[number, sample].item() == pytest.approx(gate, rel=1e-4, abs=1e-4)


def test_an_expert_is_asked_while_the_gates_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Router(12, 6)
    experts = torch.randn(3, 4, 6)
    means = experts.cumsum(0) / torch.tensor([1.0, 2, 3])[:, None, None]
    gates = torch.tensor([[-1.0, 1, 1, -1], [-1, -1, 1, 1]])  # the last sample never comes to its second gate
    monkeypatch.setattr(router, "everything", lambda _: (experts, means, gates))
    output = router(torch.zeros(4, 12))
    assert output.experts is not None
    assert used(output.experts).tolist() == [1, 2, 3, 1]
    for sample, number in enumerate([1, 2, 3, 1]):
        torch.testing.assert_close(output.logits[sample], experts[:number, sample].mean(0))


def test_a_gate_shall_open_where_more_experts_help() -> None:
    right = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1], [1, 0, 1, 1, 0, 0]])
    means = torch.stack([1.0 - right, right.float()], 2)  # class 1 is the true one
    found = helpful(means, torch.ones(6, dtype=torch.int64))
    for sample in range(6):
        for number in range(2):
            wanted = not right[number, sample] and any(right[number + 1 :, sample])
            assert bool(found[number, sample]) == wanted


def test_the_loss_as_a_loop() -> None:
    model = routing(weight=7.0)
    features, labels = torch.randn(9, model.backbone.dim), torch.arange(9) % 5
    _, means, gates = model.router.everything(features)
    found = model.values(Output(features, features), Target(labels), Batch(features, labels, labels))
    helps = helpful(means, labels)
    for sample in range(9):
        expected = 0.0
        for gate, help_ in zip(gates[:, sample].tolist(), helps[:, sample].tolist(), strict=True):
            opens = 1 / (1 + math.exp(-gate))
            expected -= (7 * math.log(opens) if help_ else math.log(1 - opens)) / 2
        assert found[sample].item() == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_one_by_one_is_what_the_whole_batch_says() -> None:
    data, model = Synthetic(), routing()
    images = undecided(model, data)
    with torch.no_grad():
        whole = model.router(model.backbone(images))
        single = model(images)
    assert whole.experts is not None
    assert single.experts is not None
    assert len(used(whole.experts).unique()) > 1, "the gates must part the images for this test to say anything"
    torch.testing.assert_close(single.logits, whole.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(single.experts, whole.experts, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_an_expert_is_not_run_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = Synthetic(), routing()
    images, run = undecided(model, data), [0, 0, 0]
    usual = model.network.expert

    def expert(number: int, maps: Tensor) -> Tensor:
        run[number] += len(maps)
        return usual(number, maps)

    monkeypatch.setattr(model.network, "expert", expert)
    with torch.no_grad():
        output = model(images)
    assert output.experts is not None
    asked = used(output.experts)
    assert run == [int((asked > number).sum()) for number in range(3)]
    assert run[2] < len(images)
    assert output.features.isnan().any(1).sum() == (asked < 3).sum()


def test_only_the_gates_move(file: Path, trainer: Make) -> None:
    data, model = Synthetic(), routing(file)
    first = model.router.gate.weight.detach().clone()
    trainer(2).fit(model, datamodule=data)
    old, state = torch.load(file)["state_dict"], model.state_dict()
    for key, value in old.items():
        if key.startswith("backbone."):
            assert torch.equal(state[key.replace("backbone.", "backbone.backbone.", 1)], value), key
        elif key.startswith("head."):
            assert torch.equal(state[key], value), key
    assert not torch.equal(state["head.gate.weight"], first)
    trained = {name.split(".")[1] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"views", "gate"}


def test_a_test_says_how_many_experts_were_used(file: Path, trainer: Make) -> None:
    data, model = Synthetic(), routing(file)
    run = trainer(1)
    run.fit(model, datamodule=data)
    images = undecided(model, data)
    with torch.no_grad():
        asked = used(model.router(model.backbone(images)).experts)
    run.test(model, datamodule=data, verbose=False)
    extras = model.reports["test"].extras
    assert extras["experts_used"] == pytest.approx(asked.float().mean().item())
    routed, ungated = model.costs
    assert extras["flops"] == pytest.approx(sum(routed[number] for number in asked.tolist()) / len(asked))
    assert extras["flops_saved"] == pytest.approx(1 - extras["flops"] / ungated)
    assert "experts used" in model.reports["test"].summary()
    assert model.reports["test"].to_json()["experts_used"] == extras["experts_used"]


def test_flops_by_hand(file: Path, trainer: Make) -> None:
    data, model = Synthetic(), routing(file, hidden=4)
    run = trainer(1)
    run.fit(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    routed, ungated = model.costs

    def stage(inputs: int, outputs: int, side: int) -> int:
        convolutions = [inputs, *[outputs] * 5]  # three blocks of two
        return sum(2 * 9 * channels * outputs * side**2 for channels in convolutions)

    common = 2 * 9 * 3 * 2 * 64 + stage(2, 2, 8)
    expert = stage(2, 4, 4) + stage(4, 8, 2) + 2 * 8 * 5
    gate = 2 * 8 * 4 + 2 * (5 + 4)
    assert ungated == common + 3 * expert
    assert routed == [0, common + expert + gate, common + 2 * expert + 2 * gate, common + 3 * expert + 2 * gate]


def test_a_single_expert_cannot_be_routed() -> None:
    with pytest.raises(InputError, match="Routing needs several experts"):
        Routing(Pretrained("none", ResNet20(width=2)), [3, 2, 1])


@pytest.mark.slow
def test_a_resumed_routing_is_an_undisturbed_one(ltr) -> None:
    small = (
        "--data Synthetic --data.batch_size 16 --data.imbalance 4 --trainer.enable_progress_bar false "
        "--trainer.accelerator cpu --trainer.precision 32-true"
    )
    network = "--model.backbone.backbone ResNet20 --model.backbone.backbone.width 2"
    assert ltr(f"fit --config ride.yaml {small} {network} --trainer.max_epochs 0 --name ride") == 0
    network = network.replace("backbone.backbone", "backbone.backbone.backbone")
    rest = f"--config ride_routing.yaml {small} {network} --trainer.max_epochs 3"
    assert ltr(f"fit {rest} --name whole") == 0
    from ltr.callbacks import Run

    usual = Run.on_train_epoch_end

    def stop(self: Run, trainer: Trainer, module: Routing) -> None:
        usual(self, trainer, module)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "on_train_epoch_end", stop)
        assert ltr(f"fit {rest} --name halved") != 0
    assert ltr(f"fit {rest} --name halved --ckpt_path last") == 0
    whole, halved = (
        torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in ("whole", "halved")
    )
    assert all(torch.equal(whole[key], halved[key]) for key in whole)
    assert ltr("test --ckpt_path whole --evaluation test") == 0
