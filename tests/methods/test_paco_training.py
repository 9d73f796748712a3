"""PaCo and GPaCo: queue, momentum encoder, gradients, resume, tuning, several processes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tiny import small
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from ltr import losses
from ltr.backbones import Pretrained, ResNet20
from ltr.contracts import Backbone, Batch, Output
from ltr.data import CropFlip, MultiView, Plain, Synthetic
from ltr.errors import InputError
from ltr.heads import Linear, Projection
from ltr.losses.paco import Memory
from ltr.methods import Method, PaCo
from ltr.methods.paco import KeyQueue
from ltr.mixes import Mixup
from ltr.optimizers import SAM
from ltr.schedules import Cosine

Make = Callable[..., Trainer]
KINDS = {"PaCo": 0.9, "GPaCo": None}
every_kind = pytest.mark.parametrize("momentum", KINDS.values(), ids=KINDS)


def head(dim: int, classes: int) -> Projection:
    """Return a head with batch norm in its projection, as PaCo has."""
    return Projection(dim, classes, size=4, norm=True)


def method(data: Synthetic, **options: Any) -> PaCo:
    """Return a small method that suits the data."""
    options = {"head": head, "queue": 50, "momentum": 0.9, "schedule": Cosine()} | options
    return PaCo(ResNet20(width=2), data.counts, **options)


def views(**options: Any) -> Synthetic:
    """Return data with two different views."""
    return Synthetic(**{"batch_size": 16, "augment": MultiView([Plain(), CropFlip(1)])} | options)


class Watch(Callback):
    """Keep the weights and the batch of every step."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []
        self.batches: list[Batch] = []

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Batch, index: int) -> None:
        self.batches.append(batch)
        self.states.append({key: value.clone() for key, value in module.state_dict().items()})

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.states.append({key: value.clone() for key, value in module.state_dict().items()})


# ---- the queue


def test_the_queue_is_first_in_first_out() -> None:
    queue = KeyQueue(5, 1)
    assert queue.memory.labels.tolist() == [-1] * 5
    for start, stop, expected in (
        (0, 3, [0, 1, 2, -1, -1]),
        (3, 4, [0, 1, 2, 3, -1]),
        (4, 7, [5, 6, 2, 3, 4]),  # over the end and on from the beginning
        (7, 10, [5, 6, 7, 8, 9]),
        (10, 18, [15, 16, 17, 13, 14]),  # more than it holds: the last ones stay
        (18, 19, [15, 16, 17, 18, 14]),
    ):
        queue.push(torch.arange(start, stop).float()[:, None], torch.arange(start, stop))
        assert queue.memory.labels.tolist() == expected
        kept = [label for label in expected if label >= 0]
        assert queue.memory.embeddings[queue.memory.labels >= 0, 0].tolist() == kept
    assert queue.pushed == 19


# ---- a step


def by_hand(model: PaCo, batch: Batch) -> Tensor:
    """Return the loss of a batch from its parts; the networks must be copies, since batch norm counts."""
    query, key = batch.images.unbind(1)
    model = copy.deepcopy(model)
    output: Output = model.head(model.backbone(query))
    if model.momentum_encoder is None:
        other: Output = model.head(model.backbone(key))
        logits = torch.cat([output.logits, other.logits])
        vectors, labels = torch.cat([output.embeddings, other.embeddings])[:, 0], batch.labels.repeat(2)
        pool, classes = vectors, labels
    else:
        encoder = model.momentum_encoder
        keys = encoder.head(encoder.backbone(key)).embeddings[:, 0]
        logits, vectors, labels = output.logits, output.embeddings[:, 0], batch.labels
        pool, classes = torch.cat([vectors, keys]), labels.repeat(2)
    filled = min(int(model.queue.pushed), len(model.queue.labels))
    pool = torch.cat([pool, model.queue.embeddings[:filled]])
    classes = torch.cat([classes, model.queue.labels[:filled]])
    values = []
    for i, vector in enumerate(vectors):
        others = torch.arange(len(pool)) != i
        prior = (model.counts / model.counts.sum()).log()
        scores = torch.cat([logits[i] + prior, pool[others] @ vector / 0.05]).log_softmax(0)
        wanted = torch.cat([F.one_hot(labels[i], len(prior)), 0.01 * (classes[others] == labels[i])])
        values.append(-(wanted * scores).sum() / wanted.sum())
    return torch.stack(values).mean()


@every_kind
def test_a_step_is_the_formula_by_hand(momentum: float | None) -> None:
    model = method(views(), momentum=momentum).train()
    for _ in range(4):  # an empty queue, a part of it, and one that has begun anew
        batch = Batch(torch.randn(20, 2, 3, 8, 8), torch.randint(5, (20,)), torch.arange(20))
        expected = by_hand(model, batch)
        torch.testing.assert_close(model.training_step(batch, 0), expected)
        model.on_train_batch_end(None, batch, 0)
    assert model.queue.pushed == 80


def test_keys_get_no_gradient() -> None:
    model = method(views()).train()
    assert model.momentum_encoder is not None
    images = torch.randn(8, 2, 3, 8, 8, requires_grad=True)
    model.training_step(Batch(images, torch.arange(8) % 5, torch.arange(8)), 0).backward()
    assert images.grad is not None
    assert images.grad[:, 0].abs().sum() > 0
    assert not images.grad[:, 1].any()
    assert not any(value.requires_grad for value in model.momentum_encoder.parameters())
    assert all(value.grad is not None for value in model.parameters() if value.requires_grad)


def test_without_a_momentum_encoder_both_views_get_a_gradient() -> None:
    model = method(views(), momentum=None).train()
    images = torch.randn(8, 2, 3, 8, 8, requires_grad=True)
    model.training_step(Batch(images, torch.arange(8) % 5, torch.arange(8)), 0).backward()
    assert images.grad is not None
    assert images.grad[:, 1].abs().sum() > 0


# ---- a training


@every_kind
def test_everything_that_should_change_changes(trainer: Make, momentum: float | None) -> None:
    watch, data = Watch(), views()
    trainer(2, callbacks=[watch]).fit(model := method(data, momentum=momentum), datamodule=data)
    before, after = watch.states[0], watch.states[-1]
    assert {key for key in before if torch.equal(before[key], after[key])} == {"counts", "synthetic"}
    assert model.queue.pushed == 2 * sum(data.counts)
    assert {"train", "test"} <= set(model.reports)


def test_the_key_encoder_follows_every_step(trainer: Make) -> None:
    watch, data = Watch(), views()
    model = method(data, momentum=0.8)
    trainer(2, callbacks=[watch]).fit(model, datamodule=data)
    ends = ("weight", "bias")
    names = [key for key in watch.states[0] if key.startswith(("backbone.", "head.")) and key.endswith(ends)]
    expected = {key: watch.states[0][key] for key in names}
    assert len(watch.states) == 7
    for state in watch.states[1:]:
        for key in names:
            expected[key] = 0.8 * expected[key] + 0.2 * state[key]
            torch.testing.assert_close(state[f"momentum_encoder.{key}"], expected[key], rtol=1e-5, atol=1e-6)


def test_the_queue_holds_the_keys_of_the_last_steps(trainer: Make) -> None:
    watch, data = Watch(), views()
    model = method(data, queue=30)
    trainer(1, callbacks=[watch]).fit(model, datamodule=data)
    labels = torch.cat([batch.labels for batch in watch.batches])
    places = torch.arange(len(labels) - 30, len(labels)) % 30
    assert torch.equal(model.queue.labels[places], labels[-30:])
    torch.testing.assert_close(model.queue.embeddings.norm(dim=1), torch.ones(30))


def test_sam_queues_a_batch_once_and_follows_once(trainer: Make) -> None:
    class Losses(losses.PaCo):
        seen: list[int]

        def forward(self, output: Output, labels: Tensor, memory: Memory | None = None) -> Tensor:
            assert memory is not None
            self.seen = [*getattr(self, "seen", []), int((memory.labels >= 0).sum())]
            return super().forward(output, labels, memory)

    watch, data = Watch(), views()
    model = method(data, optimizer=SAM, loss=Losses)
    trainer(1, callbacks=[watch]).fit(model, datamodule=data)
    assert model.queue.pushed == sum(data.counts) == 42
    assert model.loss.seen == [0, 0, 16, 16, 32, 32]
    name = "head.fc.weight"
    first, second = watch.states[:2]
    expected = 0.9 * first[f"momentum_encoder.{name}"] + 0.1 * second[name]
    torch.testing.assert_close(second[f"momentum_encoder.{name}"], expected)


def test_sam_queues_the_keys_of_the_first_pass(trainer: Make) -> None:
    class Losses(losses.PaCo):
        keys: list[Tensor]

        def forward(self, output: Output, labels: Tensor, memory: Memory | None = None) -> Tensor:
            assert output.embeddings is not None
            self.keys = [*getattr(self, "keys", []), output.embeddings[len(labels) // 2 :, 0].detach()]
            return super().forward(output, labels, memory)

    data = views()
    model = method(data, optimizer=partial(SAM, rho=1.0), loss=Losses, momentum=None)
    trainer(1, limit_train_batches=1).fit(model, datamodule=data)
    first, second = model.loss.keys
    assert torch.equal(model.queue.embeddings[:16], first)
    assert not torch.equal(first, second)


def test_an_evaluation_uses_the_trained_network_alone(trainer: Make) -> None:
    data = views()
    model = method(data)
    trainer(1).fit(model, datamodule=data)
    assert model.momentum_encoder is not None
    with torch.no_grad():
        for value in (*model.momentum_encoder.parameters(), *model.queue.buffers()):
            value.zero_()
    state = copy.deepcopy(model.state_dict())
    plain = Method(ResNet20(width=2), data.counts, head=head).eval()
    plain.load_state_dict({key: value for key, value in state.items() if key in plain.state_dict()})
    found = torch.cat([answer.output.logits for answer in trainer(1).predict(model, datamodule=data)])
    with torch.no_grad():
        expected = plain(data.prepare(data.splits["test"].images)).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_the_keys_start_where_the_file_does(trainer: Make, run_file: Path) -> None:
    watch, data = Watch(), views()
    model = PaCo(Pretrained(str(run_file), ResNet20(width=2), "none"), data.counts, head=head, schedule=Cosine())
    trainer(1, callbacks=[watch]).fit(model, datamodule=data)
    file = torch.load(run_file)["state_dict"]
    for key in ("layer1.0.conv1.weight", "conv1.weight"):
        assert torch.equal(watch.states[0][f"momentum_encoder.backbone.backbone.{key}"], file[f"backbone.{key}"])


@pytest.mark.filterwarnings("ignore:Found .* module.* in eval mode")
def test_the_keys_of_a_frozen_network_are_its_features(trainer: Make, run_file: Path) -> None:
    data = views()
    model = PaCo(Pretrained(str(run_file), ResNet20(width=2)), data.counts, head=head, schedule=Cosine())
    trainer(1).fit(model, datamodule=data)
    encoder, images = model.momentum_encoder, torch.randn(6, 3, 8, 8)
    assert encoder is not None
    with torch.no_grad():
        torch.testing.assert_close(encoder.backbone(images), model.backbone(images))


# ---- what is refused


@pytest.mark.parametrize(("augment", "number"), [(Plain(), 1), (MultiView([Plain()] * 3), 3)])
def test_other_than_two_views_are_refused(trainer: Make, augment: Any, number: int) -> None:
    data = views(augment=augment)
    with pytest.raises(InputError, match=rf"two views .* `data.augment` makes {number}: use `ltr.data.MultiView`"):
        trainer(1).fit(method(data), datamodule=data)


def test_blended_views_are_refused() -> None:
    with pytest.raises(InputError, match="PaCo has no meaning for blended labels: leave out the mix"):
        method(views(), mix=Mixup)


def test_a_head_without_embeddings_is_refused() -> None:
    with pytest.raises(InputError, match=r"a Linear head does not make: pass `--model\.head Projection`"):
        method(views(), head=Linear)


# ---- on the command line

SMALL = (
    "--model.queue 40 --model.head.size 8 --model.schedule Cosine --model.schedule.warmup 0 --trainer.max_epochs {} "
    "--data.batch_size 8"
)


@pytest.mark.slow
def test_a_resumed_run_equals_an_undisturbed_one(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--config paco.yaml", SMALL.format(4))
    assert tiny(*words, "--name a") == 0
    begin = PaCo.on_train_epoch_start

    def stop(self: PaCo) -> None:
        if self.current_epoch == 2:
            raise InputError("power cut")
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(PaCo, "on_train_epoch_start", stop)
        assert tiny(*words, "--name b") != 0
    assert tiny(*words, "--name b --ckpt_path last") == 0
    a, b = (torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True)["state_dict"] for name in "ab")
    assert a["queue.pushed"] > 40
    assert set(a) == set(b)
    for key, value in a.items():
        assert torch.equal(value, b[key]), key


@pytest.mark.slow
def test_a_run_is_tested_averaged_and_tuned(tiny, ltr) -> None:
    words = ("--config paco.yaml", SMALL.format(2), "--trainer.callbacks+=EMA --name paco")
    assert tiny(*words) == 0
    assert ltr("test --ckpt_path paco --trainer.callbacks+=TauNorm") == 0
    tuning = (
        "fit --config gml.yaml --data Synthetic --data.imbalance 4 --trainer.max_epochs 3 --trainer.precision 32-true "
        f"{small('--model.backbone.backbone')} --trainer.enable_progress_bar false "
        "--trainer.accelerator cpu --trainer.check_val_every_n_epoch 3 --model.backbone.checkpoint paco"
    )
    assert ltr(tuning, "--name tuned") == 0
    run, tuned = (torch.load(f"checkpoints/{name}/last.ckpt", weights_only=True) for name in ("paco", "tuned"))
    run, tuned = run["state_dict"], tuned["state_dict"]
    for part in ("fc.weight", "fc.bias"):
        assert torch.equal(tuned[f"old_head.{part}"], run[f"head.{part}"]), "the centres are the old head"
    assert not any(key.startswith(("momentum_encoder", "queue")) or "projection" in key for key in tuned)


def test_one_view_on_the_command_line_is_refused(tiny, capsys) -> None:
    assert tiny("--config paco.yaml --config recipes/autoaugment.yaml", SMALL.format(2), "--name paco") == 2
    assert "as paco.yaml does" in capsys.readouterr().err


# ---- several processes

LABELS = torch.arange(24) % 5
IMAGES = torch.randn(2, 24, 2, 3, 1, 2, generator=torch.Generator().manual_seed(7))
BATCHES = {"12/12": 12, "17/7": 17, "23/1": 23}


class Flat(Backbone):
    """A network without batch norm: the same in one process and in several."""

    dim = 6

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layer(images.flatten(1))
        return features


def steps(momentum: float | None, shard: slice) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Look at two batches; return the values, the gradients of this process and the queue."""
    torch.manual_seed(0)
    options = {"head": Projection, "queue": 31, "momentum": momentum}
    model = PaCo(Flat(), [120, 40, 12, 4, 2], loss=lambda counts: losses.PaCo(counts, alpha=0.5), **options)
    if model.momentum_encoder is not None:
        nn.init.normal_(model.momentum_encoder.backbone.layer.weight)
    values = []
    for images in IMAGES.to(torch.get_default_dtype()):
        batch = Batch(images[shard], LABELS[shard], LABELS[shard])
        value = model.training_step(batch, 0)
        value.backward()
        model.on_train_batch_end(None, batch, 0)
        values.append(value.detach())
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return values, gradients, list(model.queue.buffers())


def work(rank: int, folder: str) -> None:
    """Run every case in one of two processes, and all of it alone."""
    torch.set_default_dtype(torch.float64)
    alone = {kind: steps(momentum, slice(None)) for kind, momentum in KINDS.items()}
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results = {}
    for kind, momentum in KINDS.items():
        for name, first in BATCHES.items():
            values, gradients, queue = steps(momentum, slice(0, first) if rank == 0 else slice(first, None))
            for tensor in (*values, *gradients):  # as DistributedDataParallel averages
                distributed.all_reduce(tensor)
                tensor /= 2
            results[kind, name] = {"alone": alone[kind], "together": (values, gradients, queue)}
    distributed.barrier()
    distributed.destroy_process_group()
    torch.save(results, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def processes(in_two_processes, tmp_path_factory: pytest.TempPathFactory) -> list[dict[tuple[str, str], Any]]:
    """Run all cases in the two processes."""
    folder = tmp_path_factory.mktemp("processes")
    in_two_processes(work, str(folder))
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_are_as_one(processes: list[dict[tuple[str, str], Any]], kind: str, name: str, rank: int) -> None:
    result = processes[rank][kind, name]
    (values, gradients, queue), (expected, exact, kept) = result["together"], result["alone"]
    for found, wanted in zip(values, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    for found, wanted in zip(gradients, exact, strict=True):
        assert wanted.abs().max() > 1e-4
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-13)
    for found, wanted in zip(queue, kept, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15)
