"""The von Mises-Fisher distribution, against scipy's Bessel functions and against samples that scipy draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.nn import functional as F

from ltr.losses.von_mises_fisher import concentration, log_expectation, log_partition

KAPPAS = np.array([1e-2, 0.1, 1, 7, 60, 606.3, 5e3, 1e5])


def bessel(order: float) -> np.ndarray:
    """Return log I_v of every kappa, NaN where scipy's scaled one underflows."""
    scaled = special.ive(order, KAPPAS)
    return np.log(np.where(scaled > 0, scaled, np.nan)) + KAPPAS


@pytest.mark.parametrize("dim", [2, 3, 4, 7, 16, 64, 81, 128, 300])
def test_the_partition_is_that_of_scipy(dim: int) -> None:
    order = dim / 2 - 1
    squared = torch.tensor(KAPPAS).square().requires_grad_()
    found = log_partition(squared, dim)
    expected = bessel(order) - order * np.log(KAPPAS)
    known = np.isfinite(expected)
    assert known.sum() >= 4
    np.testing.assert_allclose(found.detach().numpy()[known], expected[known], rtol=0, atol=1e-9)
    (gradient,) = torch.autograd.grad(found.sum(), squared)
    slope = np.exp(bessel(order + 1) - bessel(order))  # of log(I_v / kappa^v) by kappa
    known = np.isfinite(slope)
    np.testing.assert_allclose((2 * KAPPAS * gradient.numpy())[known], slope[known], rtol=1e-8)


@pytest.mark.parametrize("dim", [3, 10, 128])
def test_the_partition_is_finite_where_nothing_is_concentrated(dim: int) -> None:
    order = dim / 2 - 1
    squared = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    found = log_partition(squared, dim)
    assert found.item() == pytest.approx(-order * np.log(2) - special.gammaln(order + 1), abs=1e-9)
    (gradient,) = torch.autograd.grad(found.sum(), squared)
    assert gradient.item() == pytest.approx(1 / (2 * dim), rel=1e-6), "1 / (4 (v + 1))"


@pytest.mark.parametrize(("dim", "kappa", "temperature"), [(3, 4.0, 0.5), (4, 10.0, 0.4), (8, 25.0, 0.3)])
def test_the_closed_form_is_the_mean_over_samples(dim: int, kappa: float, temperature: float) -> None:
    """The expectation that ProCo contrasts with, estimated from a million draws."""
    draw = np.random.default_rng(3)
    centre, embedding = (vector / np.linalg.norm(vector) for vector in draw.normal(size=(2, dim)))
    samples = stats.vonmises_fisher(centre, kappa).rvs(1_000_000, random_state=draw)
    values = np.exp(samples @ embedding / temperature)
    error = values.std() / np.sqrt(len(values)) / values.mean()
    assert error < 5e-3
    length = _resultant(kappa, dim)
    found = log_expectation(
        torch.tensor(embedding)[None], torch.tensor(length * centre)[None], temperature=temperature
    ).item()
    assert found == pytest.approx(np.log(values.mean()), abs=4 * error)


def _resultant(kappa: float, dim: int) -> float:
    """Return the length of the mean for which `concentration` gives kappa: kappa R^2 + P R - kappa = 0."""
    return float((-dim + np.sqrt(dim**2 + 4 * kappa**2)) / (2 * kappa))


def test_the_concentration_is_that_of_the_official_code() -> None:
    lengths = torch.tensor([0.0, 0.3, 0.9, 0.9999, 1.0, 1.0000001], dtype=torch.float64)
    found = concentration(lengths, 128).tolist()
    expected = [0, 128 * 0.3 / 0.91, 128 * 0.9 / 0.19, 1e5, 1e5, 1e5]
    assert found == pytest.approx(expected, rel=1e-12)
    assert found[2] == pytest.approx(128 * 90 / 19)


def test_a_class_of_one_point_is_a_prototype() -> None:
    embeddings, points = (F.normalize(torch.randn(size, 16, dtype=torch.float64)) for size in (5, 3))
    found = log_expectation(embeddings, points, temperature=0.1)
    torch.testing.assert_close(found, 10 * embeddings @ points.T, rtol=0, atol=0.02)


def test_a_class_of_all_directions_prefers_none() -> None:
    embeddings = F.normalize(torch.randn(5, 16))
    found = log_expectation(embeddings, torch.zeros(1, 16), temperature=0.1)
    assert found.std().item() < 1e-6
    assert torch.isfinite(found).all()
