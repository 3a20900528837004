"""Distances of a synthesised image to the real one, pixel by pixel."""

from __future__ import annotations

import math
from typing import Protocol, Self

from torch import Tensor


class Metric(Protocol):
    """Takes images batch by batch; processes that share the images merge what they have."""

    def update(self, fake: Tensor, real: Tensor) -> None:
        """Count images: both [N, C, H, W] in [-1, 1], on any device."""

    def merge(self, other: Self) -> None:
        """Count what another of its kind has counted. It has been pickled on the way."""

    def compute(self) -> float:
        """The figure of all images so far; NaN before the first."""


class _MeanOverImages:
    """A metric that is the mean of a number for each image."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def update(self, fake: Tensor, real: Tensor) -> None:
        values = self.of_images(fake.float(), real.float())  # [N]
        self.sum += float(values.double().sum())
        self.count += len(values)

    def merge(self, other: Self) -> None:
        self.sum += other.sum
        self.count += other.count

    def compute(self) -> float:
        return self.sum / self.count if self.count else math.nan

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        raise NotImplementedError


class L1(_MeanOverImages):
    """Mean absolute difference in units of [0, 1]: 0 for equal images, 1 for black and white."""

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        return (fake - real).abs().mean(dim=(1, 2, 3)) / 2


class PSNR(_MeanOverImages):
    """Peak signal-to-noise ratio in dB, of levels rounded to 8 bits as files have them; equal
    images have 100."""

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        levels = [((image + 1) * 127.5).round().clamp(0, 255) for image in (fake, real)]
        error = (levels[0] - levels[1]).square().mean(dim=(1, 2, 3))
        return (10 * (255**2 / error).log10()).clamp(max=100.0)
