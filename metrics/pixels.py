"""Distances of a synthesised image to the real one, pixel by pixel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from pix2pixhd.metrics.base import Figure, Measurement, MetricSettings, Sample, mean_figure
from pix2pixhd.util.errors import UserError


class PixelMetric:
    """The mean over images of a number that tells a synthesised from the real image."""

    name: str  # in METRICS
    better: Literal["lower", "higher"] = "lower"
    needs: Collection[str] = ("real",)
    protocol: Mapping[str, Any] = {}

    def __init__(self, settings: MetricSettings) -> None:
        """Nothing is needed."""

    def measure(self, sample: Sample) -> Measurement:
        assert sample.real is not None
        value = self.of_images(sample.fake.float(), sample.real.float())
        return {"value": np.array(value.item())}

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        values = [float(measurement["value"]) for measurement in measurements]
        return {self.name: mean_figure(values, self.better, **self.protocol)}

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


class SSIM(PixelMetric):
    """Structural similarity (Wang et al. 2004) of levels rounded to 8 bits as files have them;
    equal images have 1.

    As torchmetrics has it: mean over all pixels and channels, with the border reflected.
    """

    name, better = "ssim", "higher"
    protocol: Mapping[str, Any] = {
        "window": "Gaussian, 11 pixels, deviation 1.5, border reflected",
        "data_range": 255,
    }

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        """
        Raises:
            UserError: the images are smaller than the window.
        """
        from torchmetrics.functional.image import structural_similarity_index_measure

        check_size(fake, 11, self.name)
        value = structural_similarity_index_measure(levels(fake), levels(real), data_range=255.0)
        assert isinstance(value, Tensor)
        return value


def levels(image: Tensor) -> Tensor:
    """The levels of an image in [-1, 1] as a file of 8 bits has them, 0 to 255 in float32."""
    return ((image.float() + 1) * 127.5).round().clamp(0, 255)


def as_rgb(image: Tensor, metric: str) -> Tensor:
    """An image [N, 1 or 3, H, W] with three channels: one is repeated.

    Raises:
        UserError: it has another number of channels; names the metric.
    """
    if image.shape[1] not in (1, 3):
        raise UserError(
            f"{metric}: images of {image.shape[1]} channels, this metric takes 1 or 3; leave it "
            "out of --metrics"
        )
    return image.expand(-1, 3, -1, -1)


def check_size(image: Tensor, smallest: int, metric: str) -> None:
    """
    Raises:
        UserError: a side of the image has fewer pixels than the metric takes.
    """
    height, width = image.shape[-2:]
    if min(height, width) < smallest:
        raise UserError(
            f"{metric}: images of {width}x{height} pixels, this metric takes {smallest} and more "
            "each way; take larger ones, or leave it out of --metrics"
        )
