"""ADRW and TLA, made of other parts, against the official code, as a slow loop and as the recipe has them."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
import yaml
from official import LONG_TAIL, Tolerance, agree, batch, cases, counts, read

from ltr.losses import BalancedSoftmax, CostSensitive, Deferred, VectorScaling
from ltr.optimizers import SAM
from ltr.run import lookup
from ltr.schedules import Steps

(SCHEDULE,) = [case for case in read("adrw_tla") if case["name"] == "schedule/400"]


def build(case: dict[str, Any]) -> Deferred:
    """Return the loss of a case at its epoch: the suffix -T drops the factor of the logits from the switch on."""
    params = case["params"]
    truncated = params["train_rule"] != "ADRW"
    after = partial(VectorScaling, gamma=0.0 if truncated else params["gamma"], tau=params["tau"])
    loss = Deferred(
        counts(case),
        before=partial(VectorScaling, gamma=params["gamma"], tau=params["tau"]),
        after=partial(CostSensitive, loss=after, power=params["rho_weights"]),
        start=case["expected"]["switch_epoch_0based"] / params["epochs"],
    )
    loss.set_epoch(params["epoch_0based"], params["epochs"])
    return loss


@cases("adrw_tla", lambda case: "logits" in case)
def test_agrees_with_the_official_code(case: dict[str, Any], tolerance: Tolerance) -> None:
    loss, expected = build(case), case["expected"]
    agree(loss, case, tolerance)
    _, after = loss.parts
    scaling = after.parts[0] if loss.started else loss.parts[0]
    close = {"rtol": 1e-6, "atol": 0.0}
    factors = torch.tensor(expected["multiplicative_factors"], dtype=scaling.scales.dtype)
    torch.testing.assert_close(scaling.scales, factors, **close)
    torch.testing.assert_close(scaling.shifts, torch.tensor(expected["additive_terms"]), **close)
    if loss.started:
        weights = after.weights / after.weights.mean()
        torch.testing.assert_close(weights, torch.tensor(expected["class_weights"]), **close)


@pytest.mark.usefixtures("double")
def test_the_formula_as_a_loop() -> None:
    output, labels = batch()
    total, weights = sum(LONG_TAIL), [(count / sum(LONG_TAIL)) ** -0.25 for count in LONG_TAIL]
    mean = sum(weights[label] for label in labels.tolist()) / len(labels)
    expected = []
    for row, label in zip(output.logits.tolist(), labels.tolist(), strict=True):
        terms = [logit + 0.75 * math.log(count / total) for logit, count in zip(row, LONG_TAIL, strict=True)]
        value = math.log(sum(math.exp(term - terms[label]) for term in terms))
        expected.append(weights[label] / mean * value)
    loss = CostSensitive(torch.tensor(LONG_TAIL), loss=partial(BalancedSoftmax, tau=0.75), power=0.25)
    assert loss(output, labels).tolist() == pytest.approx(expected, rel=1e-11)


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """Return the options of the method in the recipe."""
    content = yaml.safe_load((lookup.folder("configs") / "adrw_tla.yaml").read_text(encoding="utf-8"))
    given: dict[str, Any] = content["model"]["init_args"]
    return given


def options(part: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the options of a part, which must be of a kind."""
    assert part["class_path"].rpartition(".")[2] == kind
    given: dict[str, Any] = part["init_args"]
    return given


@cases("adrw_tla", lambda case: case["name"].startswith("cifar100_recipe"))
def test_the_recipe_has_the_loss_of_the_official_one(case: dict[str, Any], recipe: dict[str, Any]) -> None:
    loss = options(recipe["loss"], "Deferred")
    weighted = options(loss["after"], "CostSensitive")
    built = Deferred(
        counts(case),
        before=partial(VectorScaling, **options(loss["before"], "VectorScaling")),
        after=partial(
            CostSensitive,
            loss=partial(BalancedSoftmax, **options(weighted["loss"], "BalancedSoftmax")),
            power=weighted["power"],
        ),
        start=loss["start"],
    )
    built.set_epoch(case["params"]["epoch_0based"], case["params"]["epochs"])
    agree(built, case, Tolerance(1e-5, 1e-5))


@pytest.mark.parametrize("row", SCHEDULE["expected"]["rows"], ids=lambda row: str(row["epoch_0based"]))
def test_rate_and_radius_of_the_recipe(row: dict[str, Any], recipe: dict[str, Any]) -> None:
    epoch, epochs = row["epoch_0based"], SCHEDULE["params"]["epochs"]
    settings = options(recipe["optimizer"], "SAM")
    sam = SAM([torch.zeros(1)], **{key: settings[key] for key in ("rho", "rho_after", "start")})
    sam.set_epoch(epoch, epochs)
    assert sam.radius == row["sam_radius"]
    schedule = Steps(**options(recipe["schedule"], "Steps"))
    rate = SCHEDULE["params"]["learning_rate"] * schedule(epoch, epochs)
    if epoch < 10:  # the official warm-up climbs to twice the rate
        assert rate == pytest.approx(row["learning_rate"] / 2)
    else:
        assert rate == pytest.approx(row["learning_rate"])
