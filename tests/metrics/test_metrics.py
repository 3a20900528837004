"""Over every metric of the table: order changes nothing, damage shows."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from pix2pixhd.metrics import METRICS, Figure, MetricSettings, Sample, build_metrics

every_metric = pytest.mark.parametrize("name", METRICS)


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 8, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def figure(name: str, fake: torch.Tensor, real: torch.Tensor) -> Figure:
    [metric] = build_metrics([name], MetricSettings())
    pairs = zip(fake.split(1), real.split(1), strict=True)
    measured = [metric.measure(Sample(*pair)) for pair in pairs]
    return metric.figures(pickle.loads(pickle.dumps(measured)))[name]


@every_metric
def test_without_images_there_is_no_figure(name: str) -> None:
    [metric] = build_metrics([name], MetricSettings())
    assert math.isnan(metric.figures([])[name].value)


@every_metric
def test_order_changes_nothing(name: str) -> None:
    fake, real = images(0), images(1)
    there, back = figure(name, fake, real), figure(name, fake.flip(0), real.flip(0))
    assert there.value == pytest.approx(back.value, rel=1e-6)
    assert there.per_image is None or there.per_image == back.per_image[::-1]


@every_metric
def test_damage_makes_it_worse(name: str) -> None:
    real = images(1)
    equal, noisy, noise = (figure(name, real + s * images(2), real) for s in (0, 0.1, 1))
    sign = -1 if equal.better == "higher" else 1
    assert sign * equal.value < sign * noisy.value < sign * noise.value


def test_figures_of_one_metric_are_measured_once() -> None:
    assert len(build_metrics(["l1", "psnr", "l1"], MetricSettings())) == 2


def test_l1_and_psnr_by_hand() -> None:
    black, gray = torch.full((1, 3, 4, 4), -1.0), torch.zeros(1, 3, 4, 4)
    assert figure("l1", gray, black).value == pytest.approx(0.5)
    assert figure("l1", black, black).value == 0
    assert figure("psnr", black, black).value == 100
    assert figure("psnr", gray, black).value == pytest.approx(10 * math.log10(255**2 / 128**2))
