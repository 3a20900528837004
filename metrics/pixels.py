"""Distances of a synthesised image to the real one, pixel by pixel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from pix2pixhd.metrics.base import Figure, Measurement, MetricSettings, Sample, mean_figure


class PixelMetric:
    """The mean over images of a number that tells a synthesised from the real image."""

    name: str  # in METRICS
    better: Literal["lower", "higher"] = "lower"
    needs: Collection[str] = ("real",)

    def __init__(self, settings: MetricSettings) -> None:
        """Nothing is needed."""

    def measure(self, sample: Sample) -> Measurement:
        assert sample.real is not None
        value = self.of_images(sample.fake.float(), sample.real.float())
        return {"value": np.array(value.item())}

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        values = [float(measurement["value"]) for measurement in measurements]
        return {self.name: mean_figure(values, self.better)}

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        """A scalar; both images are [1, C, H, W] in [-1, 1]."""
        raise NotImplementedError


class L1(PixelMetric):
    """Mean absolute difference in units of [0, 1]: 0 for equal images, 1 for black and white."""

    name = "l1"

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        return (fake - real).abs().mean() / 2


class PSNR(PixelMetric):
    """Peak signal-to-noise ratio in dB, of levels rounded to 8 bits as files have them; equal
    images have 100."""

    name, better = "psnr", "higher"

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        error = (levels(fake) - levels(real)).square().mean()
        return (10 * (255**2 / error).log10()).clamp(max=100.0)


def levels(image: Tensor) -> Tensor:
    """The levels of an image in [-1, 1] as a file of 8 bits has them, 0 to 255 in float32."""
    return ((image.float() + 1) * 127.5).round().clamp(0, 255)
