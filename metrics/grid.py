"""Checkerboards as a number: how far the periods of upsampling stand out of the spectrum."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from torch import Tensor

from pix2pixhd.metrics.base import Figure, Measurement, MetricSettings, Sample
from pix2pixhd.metrics.pixels import as_rgb, levels

PERIODS = (2, 4, 8)
# From here on, the neighbourhoods of the three periods hold neither each other nor frequency 0.
SMALLEST, SMALLEST_ACROSS = 88, 16


class Grid:
    """The peaks of a synthesised image's spectrum at periods of 2, 4 and 8 pixels.

    About 1 for clean images, ten and more for visible grids. `grid_peaks` says what a peak is. The
    figure is the largest of the medians over images of each of the six peaks, so that one odd
    image does not make it; `per_image` has each image's largest peak, `beside["real"]` the figure
    of the real images where there are any.
    """

    needs: Collection[str] = ()

    def __init__(self, settings: MetricSettings) -> None:
        """Nothing is needed."""

    def measure(self, sample: Sample) -> Measurement:
        images = {"fake": sample.fake, "real": sample.real}
        return {name: grid_peaks(image) for name, image in images.items() if image is not None}

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        peaks = [measurement["fake"] for measurement in measurements]
        real = [measurement["real"] for measurement in measurements if "real" in measurement]
        small = sum(bool(np.isnan(found).all()) for found in peaks)
        protocol = {
            "image": "luma of 8 bits, Hann window",
            "periods": list(PERIODS),
            "peak": "energy at the period over that 5 to 9 frequencies away",
            "over images": "largest of the six medians",
        }
        return {
            "grid": Figure(
                _largest_median(peaks),
                "lower",
                protocol,
                [_largest(found) for found in peaks],
                beside={"real": _largest_median(real)} if real else {},
                warning=f"{small} images are too small for it: below {SMALLEST} pixels each way"
                if small
                else "",
            )
        }


def grid_peaks(image: Tensor) -> np.ndarray:
    """How far each period stands out of the image's spectrum: [6], for 2, 4 and 8 pixels each
    along the width, then along the height.

    Of the luma (ITU-R 601, rounded to 8 bits) its mean is taken off, and a Hann window laid over
    both directions. At period k along the width W, with c the integer next to W / k, the peak is
    the mean power of the horizontal frequencies c - 1 to c + 1, over that of those 5 to 9 away
    from c on both sides; both are means over the vertical frequencies 0 to 7. The height is as
    the width. An image of one colour has 1.

    NaN for a direction of fewer than 88 pixels, or than 16 across it.

    Args:
        image: [1, 1 or 3, H, W] in [-1, 1].

    Raises:
        UserError: it has another number of channels.
    """
    red, green, blue = levels(as_rgb(image, "grid"))[0].double().cpu().numpy()
    luma = np.rint(0.299 * red + 0.587 * green + 0.114 * blue)
    window = np.outer(np.hanning(luma.shape[0]), np.hanning(luma.shape[1]))
    power = np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    return np.array([_peak(p, k) for k in PERIODS for p in (power, power.T)])


def _peak(power: np.ndarray, period: int) -> float:
    across, along = power.shape
    if along < SMALLEST or across < SMALLEST_ACROSS:
        return float("nan")
    centre = round(along / period)
    near = [centre + side * d for d in range(5, 10) for side in (-1, 1)]
    around = float(power[:8, near].mean())
    peak = float(power[:8, centre - 1 : centre + 2].mean())
    return peak / around if around else 1.0


def _largest_median(peaks: Sequence[np.ndarray]) -> float:
    """Each direction and period has its own images: those that are large enough."""
    columns = np.reshape(peaks, (-1, 2 * len(PERIODS))).T
    measured = [column[~np.isnan(column)] for column in columns]
    return max((float(np.median(c)) for c in measured if c.size), default=float("nan"))


def _largest(peaks: np.ndarray) -> float:
    return float("nan") if np.isnan(peaks).all() else float(np.nanmax(peaks))
