"""Over every metric of the table: order changes nothing, damage shows."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stand_ins import settings, vgg16_stand_in

from pix2pixhd.metrics import METRICS, Figure, MetricSettings, Sample, build_metrics

every_metric = pytest.mark.parametrize("name", METRICS)
Make = Callable[[str], MetricSettings]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def build(name: str) -> MetricSettings:
        if name == "dists":
            vgg16_stand_in(monkeypatch, folder)
        return settings(folder)

    return build


def images(seed: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 88, 96, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def damaged(image: torch.Tensor, much: float) -> torch.Tensor:
    """With stripes of two pixels, of other signs in other channels."""
    stripes = torch.tensor([1.0, -1.0]).repeat(48) * torch.tensor([1.0, 1.0, -1.0]).view(3, 1, 1)
    return (image + much * stripes).clamp(-1, 1)


def figure(name: str, made: MetricSettings, fake: torch.Tensor, real: torch.Tensor) -> Figure:
    """The real image's brightest channel is its label; the fake is one of two renderings."""
    [metric] = build_metrics([name], made)
    measured = []
    for one, other in zip(fake.split(1), real.split(1), strict=True):
        others = torch.cat([one, damaged(other, 1)])
        label = other.argmax(1, keepdim=True)
        measured.append(metric.measure(Sample(one, other, label, others)))
    return metric.figures(pickle.loads(pickle.dumps(measured)))[name]


@every_metric
def test_without_images_there_is_no_figure(name: str, build: Make) -> None:
    [metric] = build_metrics([name], build(name))
    assert math.isnan(metric.figures([])[name].value)


@every_metric
def test_order_changes_nothing(name: str, build: Make) -> None:
    fake, real = images(0), images(1)
    there = figure(name, build(name), fake, real)
    back = figure(name, build(name), fake.flip(0), real.flip(0))
    assert there.value == pytest.approx(back.value, rel=1e-6)
    assert there.per_image is None or there.per_image == back.per_image[::-1]


@every_metric
def test_damage_makes_it_worse(name: str, build: Make) -> None:
    # Renderings of one input are the less diverse, the more they are alike in their damage.
    real = images(1)
    figures = [figure(name, build(name), damaged(real, much), real) for much in (0, 0.2, 1)]
    sign = -1 if figures[0].better == "higher" else 1
    values = [sign * found.value for found in figures]
    assert values == sorted(set(values))


def test_figures_of_one_metric_are_measured_once() -> None:
    assert len(build_metrics(["l1", "psnr", "l1"], MetricSettings())) == 2
