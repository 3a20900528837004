from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from pix2pixhd.metrics import Figure, MetricSettings, Sample, build_metrics
from pix2pixhd.metrics.grid import PERIODS, grid_peaks
from pix2pixhd.util.errors import UserError


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Levels of gray, in the shape of an image."""
    draw = np.random.default_rng(seed)
    return image_of(draw.integers(60, 196, (height, width)))


def image_of(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(levels.astype(np.float32) / 127.5 - 1).expand(1, 3, -1, -1)


def stripes(height: int, width: int, period: int, along_width: bool) -> torch.Tensor:
    wave = torch.cos(2 * math.pi * torch.arange(width if along_width else height) / period)
    return wave.view(1, -1) if along_width else wave.view(-1, 1)


def figure(*samples: Sample) -> Figure:
    [metric] = build_metrics(["grid"], MetricSettings())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return metric.figures([metric.measure(sample) for sample in samples])["grid"]


@pytest.mark.parametrize("size", [(128, 256), (131, 203)], ids=str)
@pytest.mark.parametrize("along_width", [True, False])
@pytest.mark.parametrize("period", PERIODS)
def test_a_grid_stands_out_in_its_place(
    period: int, along_width: bool, size: tuple[int, int]
) -> None:
    clean = noise(*size)
    peaks = grid_peaks(clean + 0.2 * stripes(*size, period, along_width))
    place = 2 * PERIODS.index(period) + (not along_width)
    assert peaks[place] > 10
    assert np.delete(peaks, place) == pytest.approx(np.delete(grid_peaks(clean), place), rel=0.3)


def test_noise_has_about_one() -> None:
    found = figure(*(Sample(noise(128, 256, seed)) for seed in range(20)))
    assert 0.8 < found.value < 1.2


def test_blocks_of_a_checkerboard() -> None:
    """What a transposed convolution leaves: one of 2x2 pixels is darker."""
    board = torch.zeros(128, 256)
    board[::2, ::2] = -0.2
    assert figure(Sample(noise(128, 256) + board)).value > 10


def plain(levels: np.ndarray) -> list[float]:
    """The definition, in loops over frequencies and without an FFT, for a gray image."""
    height, width = levels.shape
    rows, columns = np.arange(height), np.arange(width)
    windows = [0.5 - 0.5 * np.cos(2 * np.pi * x / (x.size - 1)) for x in (rows, columns)]
    x = (levels - levels.mean()) * windows[0][:, None] * windows[1][None]

    def power(v: int, u: int) -> float:
        down = np.exp(-2j * np.pi * v * rows / height)
        along = np.exp(-2j * np.pi * u * columns / width)
        return float(abs(down @ x @ along) ** 2)

    found = []
    for period in (2, 4, 8):
        for side, at in ((width, power), (height, lambda v, u: power(u, v))):
            centre = side // period

            def mean(frequencies: list[int], at=at) -> float:  # type: ignore[no-untyped-def]
                return float(np.mean([at(low, u) for low in range(8) for u in frequencies]))

            near = [centre + d for d in (-9, -8, -7, -6, -5, 5, 6, 7, 8, 9)]
            found.append(mean([centre - 1, centre, centre + 1]) / mean(near))
    return found


def test_it_is_the_definition() -> None:
    levels = np.random.default_rng(3).integers(0, 256, (88, 96))
    expected = plain(levels)
    assert grid_peaks(image_of(levels)) == pytest.approx(expected, rel=1e-6)


def test_luma_is_of_colours() -> None:
    levels = np.random.default_rng(4).integers(0, 256, (3, 88, 96))
    image = torch.from_numpy(levels.astype(np.float32) / 127.5 - 1)[None]
    luma = np.rint(np.tensordot([0.299, 0.587, 0.114], levels, 1))
    assert grid_peaks(image) == pytest.approx(grid_peaks(image_of(luma)), rel=1e-6)
    with pytest.raises(UserError, match=r"^grid: images of 2 channels"):
        grid_peaks(image[:, :2])


def test_largest_of_medians_and_the_real_images_beside() -> None:
    clean = [noise(96, 96, seed) for seed in range(3)]
    fakes = [image + 0.2 * stripes(96, 96, 4, True) for image in clean]
    fakes[0] = fakes[0] + 0.5 * stripes(96, 96, 2, False)  # one odd image
    found = figure(*(Sample(*pair) for pair in zip(fakes, clean, strict=True)))
    peaks = np.array([grid_peaks(image) for image in fakes])
    assert found.value == np.median(peaks[:, 2])
    assert found.per_image == list(peaks.max(1))
    assert found.per_image[0] == peaks[0, 1] > found.value
    assert found.beside["real"] == figure(*map(Sample, clean)).value
    assert found.better == "lower"
    assert "real" not in figure(Sample(fakes[0])).beside


def test_small_images_have_none() -> None:
    narrow, small = noise(64, 128), noise(87, 87)
    assert np.isnan(grid_peaks(narrow)).tolist() == [False, True] * 3
    found = figure(Sample(small), Sample(narrow))
    assert found.value == grid_peaks(narrow)[::2].max()
    assert math.isnan(found.per_image[0])  # type: ignore[index]
    assert found.warning.startswith("1 images are too small")
    assert math.isnan(figure(Sample(small, small)).value)
    assert figure(Sample(narrow)).warning == ""


def test_one_colour_has_one() -> None:
    assert figure(Sample(torch.full((1, 3, 96, 100), 0.1234))).value == 1
