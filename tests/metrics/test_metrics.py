"""Over every metric of the table: sharing changes nothing, damage shows."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from pix2pixhd.metrics import METRICS

every_metric = pytest.mark.parametrize("name", METRICS)
HIGHER_IS_BETTER = {"psnr"}


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 8, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def value(name: str, *pairs: tuple[torch.Tensor, torch.Tensor]) -> float:
    metric = METRICS[name]()
    for fake, real in pairs:
        metric.update(fake, real)
    return metric.compute()


@every_metric
def test_without_images_there_is_no_figure(name: str) -> None:
    assert math.isnan(value(name))


@every_metric
def test_shares_of_the_images_merge_to_the_whole(name: str) -> None:
    fake, real = images(0), images(1)
    whole = value(name, (fake, real))
    parts = [METRICS[name]() for _ in range(2)]
    parts[0].update(fake[:1], real[:1])
    parts[1].update(fake[1:], real[1:])
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    assert parts[0].compute() == pytest.approx(whole, rel=1e-6)


@every_metric
def test_damage_makes_it_worse(name: str) -> None:
    real = images(1)
    sign = -1 if name in HIGHER_IS_BETTER else 1
    equal, noisy, noise = (
        sign * value(name, (real + amount * images(2), real)) for amount in (0, 0.1, 1)
    )
    assert equal < noisy < noise


def test_l1_and_psnr_by_hand() -> None:
    black, gray = torch.full((1, 3, 4, 4), -1.0), torch.zeros(1, 3, 4, 4)
    assert value("l1", (gray, black)) == pytest.approx(0.5)
    assert value("l1", (black, black)) == 0
    assert value("psnr", (black, black)) == 100
    assert value("psnr", (gray, black)) == pytest.approx(10 * math.log10(255**2 / 128**2))
