"""Moving the foreground, pixel by pixel, and what is drawn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ltr.data.transforms.foreground import box, draw, move

SIZE, HEIGHT, WIDTH = 12, 11, 14


def pictures(size: int = SIZE) -> tuple[Tensor, Tensor]:
    """Draw uint8 images of noise, and masks that are ellipses."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (size, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=generator)
    middle = torch.tensor([HEIGHT, WIDTH]) * (0.3 + 0.4 * torch.rand(size, 2, generator=generator))
    radius = 2 + 3 * torch.rand(size, 2, generator=generator)
    rows = (torch.arange(HEIGHT) - middle[:, :1]) / radius[:, :1]
    columns = (torch.arange(WIDTH) - middle[:, 1:]) / radius[:, 1:]
    return images, rows[:, :, None] ** 2 + columns[:, None, :] ** 2 < 1


def pixel(image: Tensor, x: float, y: float) -> list[float]:
    """Read an image between its pixels, the border going on beyond it."""
    x, y = min(max(x, 0), WIDTH - 1), min(max(y, 0), HEIGHT - 1)
    left, top = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    u, v = x - left, y - top
    shares = (((1 - v) * (1 - u), 0, 0), ((1 - v) * u, 0, 1), (v * (1 - u), 1, 0), (v * u, 1, 1))
    return [
        sum(share * float(image[channel, top + down, left + right]) for share, down, right in shares)
        for channel in range(3)
    ]


def slow(image: Tensor, mask: Tensor, matrix: Tensor) -> Tensor:
    """Move the foreground of an image one pixel at a time."""
    result = image.clone()
    (a, b, c), (d, e, f) = matrix.double().tolist()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            u, v = x + 0.5 - WIDTH / 2, y + 0.5 - HEIGHT / 2
            from_x, from_y = a * u + b * v + c + WIDTH / 2 - 0.5, d * u + e * v + f + HEIGHT / 2 - 0.5
            column, row = round(from_x), round(from_y)
            if not (0 <= column < WIDTH and 0 <= row < HEIGHT):
                continue
            if mask[y, x] or mask[row, column]:
                result[:, y, x] = torch.tensor(pixel(image, from_x, from_y)).round().to(torch.uint8)
    return result


def kind(matrix: Tensor) -> str:
    """Say what a matrix does."""
    if matrix[0, 0] == -1:
        return "mirror"
    return "shift" if torch.equal(matrix[:, :2], torch.eye(2)) else "turn"


def test_every_movement_pixel_by_pixel() -> None:
    images, masks = pictures(30)
    kept = images.clone()
    matrices = draw(masks)
    assert {kind(matrix) for matrix in matrices} == {"turn", "shift", "mirror"}
    found = move(images, masks, matrices)
    assert found.dtype == torch.uint8
    assert torch.equal(images, kept), "the batch is left as it was"
    for image, mask, matrix, result in zip(images, masks, matrices, found, strict=True):
        difference = (result.int() - slow(image, mask, matrix).int()).abs()
        if kind(matrix) == "turn":  # a position half-way between two pixels may be rounded to either
            assert (difference <= 1).double().mean() > 0.995
        else:
            assert not difference.any(), kind(matrix)


def test_a_mirrored_foreground_is_exact() -> None:
    images, masks = pictures()
    found = move(images, masks, torch.tensor([[-1.0, 0, 0], [0, 1, 0]]).expand(SIZE, 2, 3))
    where = masks | masks.flip(2)
    assert torch.equal(found, torch.where(where[:, None], images.flip(3), images))
    assert not torch.equal(found, images)


def test_where_no_foreground_was_or_arrives_nothing_changes() -> None:
    images, masks = pictures(200)
    matrices = draw(masks)
    found = move(images, masks, matrices)
    white = torch.full_like(images, 255)
    arrived = move(torch.where(masks[:, None], white, 0), torch.ones_like(masks), matrices)[:, 0] > 0
    changed = (found != images).any(1)
    assert not (changed & ~masks & ~arrived).any()
    assert changed.flatten(1).any(1).double().mean() > 0.9


def test_what_is_drawn(within_four_sigma) -> None:
    _, masks = pictures(3000)
    low, high = box(masks)
    frame = torch.tensor([WIDTH, HEIGHT])
    kinds, angles, scales, moved = {"turn": 0, "shift": 0, "mirror": 0}, [], [], []
    for matrix, first, last in zip(draw(masks), low, high, strict=True):
        name = kind(matrix)
        kinds[name] += 1
        if name == "shift":
            shift = -matrix[:, 2]
            assert torch.equal(shift, shift.round())
            assert (first + shift >= 0).all()
            assert (last + shift < frame).all(), "the box stays in the frame"
            moved.append(bool(shift.any()))
        elif name == "turn":
            centre = torch.cat([(first + last + 1 - frame) / 2, torch.ones(1)])
            torch.testing.assert_close(matrix @ centre, centre[:2], rtol=1e-4, atol=1e-4)
            scales.append(float(torch.linalg.det(matrix[:, :2])) ** -0.5)
            angles.append(math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])))
    assert within_four_sigma(torch.tensor(list(kinds.values())), torch.full((3,), 1 / 3))
    assert max(map(abs, angles)) == pytest.approx(45, abs=0.5)
    assert sum(angles) / len(angles) == pytest.approx(0, abs=4 * 45 / math.sqrt(3 * len(angles)))
    assert (min(scales), max(scales)) == pytest.approx((0.8, 1.2), abs=0.01)
    assert sum(moved) > 0.9 * len(moved)


def test_the_box_of_a_foreground() -> None:
    _, masks = pictures()
    masks[0] = True
    masks[1] = False
    masks[1, 4, 13] = True
    for mask, low, high in zip(masks, *box(masks), strict=True):
        rows, columns = mask.nonzero().unbind(1)
        assert low.tolist() == [columns.min(), rows.min()]
        assert high.tolist() == [columns.max(), rows.max()]
