"""The one training loop and the one evaluation path."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional as F

from ltr.backbones import ResNet20
from ltr.callbacks import NCM, Adjustment, ExpertAggregation, LogitAdjustment, TauNorm, TemperatureEnsemble, Views
from ltr.contracts import Backbone, Batch, Head, Loss, Mix, Output, Target
from ltr.data import Synthetic
from ltr.errors import InputError
from ltr.heads import Cosine, Linear, Projection
from ltr.losses import GML, CrossEntropy
from ltr.methods import Method
from ltr.predictor import Predictor
from ltr.run.weights import load_head
from ltr.samplers import Power
from ltr.schedules import Cosine as CosineSchedule

Make = Callable[..., Trainer]


class Recorded(Method):
    """A method that keeps every measure that it notes."""

    noted: list[dict[str, float]]

    def log_measures(self, measures: dict[str, float]) -> None:
        self.noted = [*getattr(self, "noted", []), measures]
        super().log_measures(measures)


class Timed(Loss):
    """Cross-entropy that remembers what time it was told."""

    times: list[tuple[int, int]]

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        return F.cross_entropy(output.logits, labels, reduction="none")

    def set_epoch(self, epoch: int, epochs: int) -> None:
        self.times = [*getattr(self, "times", []), (epoch, epochs)]


class TimedSampler(Power):
    """A sampler that remembers what time it was told."""

    times: list[tuple[int, int | None]]

    def set_epoch(self, epoch: int, epochs: int | None = None) -> None:
        if epochs is not None:  # Lightning, too, tells the epoch
            self.times = [*getattr(self, "times", []), (epoch, epochs)]
        super().set_epoch(epoch, epochs)


class Breaking(Timed):
    """A loss that is not a number from some batch of the second epoch on."""

    left = 2

    def forward(self, output: Output, labels: Tensor) -> Tensor:
        values = super().forward(output, labels)
        if self.times[-1][0] == 1:
            self.left -= 1
        return values * (float("nan") if self.left < 0 else 1)


def method(data: Synthetic, **options: Any) -> Recorded:
    """Return a small method that suits the data."""
    options = {"schedule": CosineSchedule()} | options
    return Recorded(ResNet20(width=2), data.counts, **options)


def test_training_lowers_the_loss(trainer: Make) -> None:
    data = Synthetic(batch_size=8)
    model = method(data, optimizer=lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9))
    trainer(12).fit(model, datamodule=data)
    losses = [noted["train/loss"] for noted in model.noted if "train/loss" in noted]
    assert len(losses) == 12
    assert losses[-1] < 0.7 * losses[0]
    assert model.seconds > 0


def test_the_training_loss_is_the_mean_over_the_images(trainer: Make) -> None:
    data = Synthetic(batch_size=16)  # 42 images: the last batch is smaller
    model = method(data, optimizer=lambda params: torch.optim.SGD(params, lr=0.0))
    model.backbone.requires_grad_(False)
    seen: list[tuple[float, int]] = []

    class Watch(Callback):
        def on_train_batch_end(
            self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
        ) -> None:
            seen.append((outputs["loss"].item(), len(batch.labels)))

    trainer(1, callbacks=[Watch()]).fit(model, datamodule=data)
    assert [size for _, size in seen] == [16, 16, 10]
    expected = sum(loss * size for loss, size in seen) / 42
    assert next(noted["train/loss"] for noted in model.noted if "train/loss" in noted) == pytest.approx(
        expected, rel=1e-6
    )


def test_every_part_hears_the_time(trainer: Make) -> None:
    data = Synthetic(sampler=TimedSampler)
    model = method(data, loss=Timed)
    trainer(3).fit(model, datamodule=data)
    expected = [(0, 3), (1, 3), (2, 3)]
    assert model.loss.times == expected
    assert data.sampler.times == expected


def test_a_loss_that_is_no_number_stops_the_training(trainer: Make) -> None:
    data = Synthetic(batch_size=8)
    with pytest.raises(InputError, match="the loss became nan in batch 2 of epoch 1: lower the learning rate"):
        trainer(3).fit(method(data, loss=Breaking), datamodule=data)


def test_accumulation_changes_a_loss_of_the_batch(trainer: Make) -> None:
    data = Synthetic(batch_size=8)
    with pytest.warns(UserWarning, match="GML depends on the whole batch: accumulated over 2 batches"):
        trainer(1, accumulate_grad_batches=2).fit(method(data, loss=GML), datamodule=data)
    trainer(1, accumulate_grad_batches=2).fit(method(data, loss=CrossEntropy), datamodule=data)


def test_a_second_pass_that_fails_leaves_no_trace() -> None:
    model = Method(ResNet20(width=2), [9, 5, 3])

    def interrupted() -> None:
        with model.uncounted():
            model.counts.zero_()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert model.counting
    assert model.counts.tolist() == [9, 5, 3]


@pytest.mark.parametrize(("every", "epochs", "evaluated"), [(10, 3, [2]), (2, 5, [1, 3, 4]), (1, 2, [0, 1])])
def test_the_last_epoch_is_always_evaluated(trainer: Make, every: int, epochs: int, evaluated: list[int]) -> None:
    seen = []

    class Watch(Callback):
        def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
            seen.append(trainer.current_epoch)

    data = Synthetic(val_per_class=1)
    model = method(data)
    run = trainer(epochs, check_val_every_n_epoch=every, callbacks=[Watch()])
    run.fit(model, datamodule=data)
    assert seen == evaluated
    assert run.check_val_every_n_epoch == every, "the trainer is left as it was"
    for split in ("val", "test"):
        assert sum(f"{split}/hm" in noted for noted in model.noted) == len(evaluated)


def test_the_schedule_sets_the_rate_of_every_epoch(trainer: Make) -> None:
    rates = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Batch, index: int) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    data = Synthetic(batch_size=64)
    trainer(4, callbacks=[Watch()]).fit(method(data), datamodule=data)
    assert rates == pytest.approx([0.1 * CosineSchedule()(epoch, 4) for epoch in range(4)])


def test_a_schedule_that_does_not_fit_is_shortened_and_noted(trainer: Make) -> None:
    data = Synthetic()
    model = Method(ResNet20(width=2), data.counts)
    with pytest.warns(UserWarning, match="the warm-up of 5 epochs takes 0 of 2"):
        trainer(2).fit(model, datamodule=data)
    assert model.notes == model.schedule.notes(2)


def test_a_run_needs_a_length(trainer: Make) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match="give its length"):
        trainer(-1, max_steps=2).fit(Method(ResNet20(width=2), data.counts), datamodule=data)


def test_seeds_reproduce_a_training(trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> Tensor:
        torch.manual_seed(5)
        data = Synthetic(batch_size=8)
        model = method(data)
        torch.rand(13)
        trainer(2).fit(model, datamodule=data)
        return model.head.fc.weight.detach()

    first = trained()
    assert torch.equal(trained(), first)
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert not torch.equal(trained(), first)


def test_the_checkpoint_knows_what_was_trained_on(trainer: Make) -> None:
    data = Synthetic()
    model = method(data)
    trainer(1).fit(model, datamodule=data)
    state = model.state_dict()
    assert model.training_record.complete
    assert torch.equal(model.training_record.images, data.contents("train").sort().values)
    assert tuple(state["counts"].tolist()) == data.counts
    assert {key.split(".")[0] for key in state} == {"backbone", "head", "counts", "synthetic"}


def test_another_training_of_the_same_network_adds_to_its_record(trainer: Make) -> None:
    first, second = Synthetic(), Synthetic(val_per_class=2)
    model = method(first)
    for data in (first, second):
        trainer(1).fit(model, datamodule=data)
    assert model.training_record.complete
    assert torch.isin(second.contents("val"), model.training_record.images).all()


@pytest.mark.parametrize("adjusted", [False, True])
def test_test_predict_and_validate_give_one_answer(trainer: Make, adjusted: bool) -> None:
    data = Synthetic(val_per_class=1)
    model = method(data)
    with torch.no_grad():
        model.head.fc.weight.mul_(5)
    callbacks: list[Callback] = [LogitAdjustment(2.0)] if adjusted else []
    run = trainer(1, callbacks=callbacks)
    answers = run.predict(model, datamodule=data)
    run.test(model, datamodule=data, verbose=False)
    tested = model.reports["test"]
    run.validate(model, datamodule=data, verbose=False)
    assert [noted for noted in model.noted if "test/hm" in noted][-1]["test/hm"] == tested.hm
    model.eval()
    with torch.no_grad():
        logits = model(data.prepare(data.splits["test"].images)).logits
    if adjusted:
        counts = torch.tensor(data.counts)
        logits = logits - 2 * (counts / counts.sum()).log()
    labels = data.splits["test"].labels
    found = torch.cat([answer.output.logits for answer in answers])
    torch.testing.assert_close(found, logits, rtol=1e-4, atol=1e-5)
    assert tested.top1 == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert tuple(tested.counts) == data.counts
    assert not model.adjustments, "an adjustment leaves with its trainer"


def test_adjustments_act_in_order() -> None:
    class Times(Adjustment):
        settings = MappingProxyType({})

        def adjust(self, method: Method, output: Output) -> Output:
            return output._replace(logits=2 * output.logits)

    class Plus(Times):
        def adjust(self, method: Method, output: Output) -> Output:
            return output._replace(logits=output.logits + 1)

    model = Method(ResNet20(width=2), [3, 2]).eval()
    model.preprocessing = Synthetic().preprocessing
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    plain = model(Synthetic().prepare(images)).logits
    model.adjustments = [Times(), Plus()]
    torch.testing.assert_close(model.predict(images).logits, 2 * plain + 1)


@pytest.mark.parametrize("late", [NCM, TauNorm, ExpertAggregation, TemperatureEnsemble])
def test_an_adjustment_of_the_outputs_themselves_comes_first(late: type[Adjustment], trainer: Make) -> None:
    data = Synthetic()
    model = Method(ResNet20(width=2), data.counts)
    order = [LogitAdjustment(), late()]
    refusal = f"{late.__name__} needs .* which LogitAdjustment changes before it: list {late.__name__} before"
    for evaluate in (trainer(callbacks=order).test, trainer(callbacks=order).predict):
        with pytest.raises(InputError, match=refusal):
            evaluate(model, datamodule=data)
    with pytest.raises(InputError, match=refusal):
        Predictor(model, adjustments=order)
    with pytest.raises(InputError, match="which NCM changes before it: leave one of them out"):
        model.adjustments = [NCM(), late()]
    for allowed in ([late(), LogitAdjustment()], [Views(margin=1), late()]):
        model.adjustments = allowed


class Halves(Mix):
    """Blend each image with that of its neighbour in equal parts."""

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Target]:
        return (images + images.roll(1, 0)) / 2, Target(labels, labels.roll(1), torch.full((len(labels),), 0.5))


def test_a_mix_blends_images_and_losses() -> None:
    torch.manual_seed(0)
    model = Method(ResNet20(width=2), [3, 2, 2], mix=Halves).eval()
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    found = model.training_step(Batch(images, labels, labels), 0)
    logits = model((images + images.roll(1, 0)) / 2).logits
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits, labels.roll(1))) / 2
    torch.testing.assert_close(found, expected)
    with pytest.raises(InputError, match="GML has no meaning for blended labels"):
        Method(ResNet20(width=2), [3, 2, 2], loss=GML, mix=Halves)


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_weights_of_half_precision_are_refused(precision: str, trainer: Make) -> None:
    data = Synthetic()
    with pytest.raises(InputError, match=f"^`--trainer.precision {precision}` rounds counts.*: pass `bf16-mixed`"):
        trainer(1, precision=precision).fit(Method(ResNet20(width=2), data.counts), datamodule=data)


def test_checkpoints_that_do_not_fit_say_why() -> None:
    model = Method(ResNet20(width=2), [3, 2, 2, 1])
    with pytest.raises(InputError, match="not a checkpoint of `ltr`: start from it"):
        model.on_load_checkpoint({"state_dict": {"fc.weight": torch.zeros(2)}})
    five = Method(ResNet20(width=2), [3, 2, 2, 1, 1])
    with pytest.raises(InputError, match="trained on 5 classes, the data have 4"):
        model.on_load_checkpoint({"state_dict": five.state_dict()})
    other = Method(ResNet20(width=2), [3, 2, 2, 1], head=Cosine)
    with pytest.raises(InputError, match=r"another model \(missing: head\.fc\.weight.*unexpected: head\.weight"):
        model.on_load_checkpoint({"state_dict": other.state_dict()})
    model.on_load_checkpoint({"state_dict": model.state_dict(), "seconds": 12.5})
    assert model.seconds == 12.5


def test_classifiers_that_do_not_fit_say_why() -> None:
    head = Linear(4, 3)
    with pytest.raises(InputError, match="the file has no classifier"):
        load_head(head, {})
    with pytest.raises(InputError, match="the file's classifier has 5 classes, the data have 3"):
        load_head(head, Linear(4, 5).state_dict())
    with pytest.raises(InputError, match="does not fit a Linear head"):
        load_head(head, Cosine(4, 3).state_dict())
    other = Linear(4, 3)
    load_head(head, other.state_dict())
    assert torch.equal(head.fc.weight, other.fc.weight)


@pytest.mark.parametrize("kind", [Linear, Cosine])
def test_a_projection_beside_a_classifier_may_come_or_go(kind: type[Head]) -> None:
    alone, contrastive = kind(4, 3), Projection(4, 3, classifier=kind)
    load_head(alone, contrastive.state_dict())
    assert all(torch.equal(value, contrastive.state_dict()[key]) for key, value in alone.state_dict().items())

    again = Projection(4, 3, classifier=kind)
    start = again.projection[0].weight.clone()
    load_head(again, alone.state_dict())
    assert torch.equal(again.projection[0].weight, start)
    load_head(again, contrastive.state_dict())
    assert all(torch.equal(value, contrastive.state_dict()[key]) for key, value in again.state_dict().items())


def test_a_projection_of_another_size_is_no_other_number_of_classes() -> None:
    with pytest.raises(InputError, match=r"another shape: projection\.2\.weight \(128, 4\) instead of \(16, 4\)"):
        load_head(Projection(4, 3, size=16), Projection(4, 3).state_dict())


def test_a_backbone_need_not_be_a_resnet() -> None:
    class Mean(Backbone):
        dim = 3

        def forward(self, images: Tensor) -> Tensor:
            return images.mean((2, 3))

    output = Method(Mean(), [2, 1])(torch.randn(4, 3, 5, 5))
    assert output.logits.shape == (4, 2)
    assert output.features.shape == (4, 3)
