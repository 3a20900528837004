"""Figures: images in, numbers out. To add one: a class in a file here, and a row.

Nothing here knows of runs or processes; `engine.validation` and `engine.evaluation` feed the
metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pix2pixhd.metrics.base import Figure, Measurement, Metric, MetricSettings, Sample
from pix2pixhd.metrics.dists import DISTS
from pix2pixhd.metrics.grid import Grid
from pix2pixhd.metrics.inception import InceptionDistances
from pix2pixhd.metrics.lpips import LPIPS, Diversity
from pix2pixhd.metrics.pixels import L1, PSNR, SSIM
from pix2pixhd.metrics.segmentation import Segmentation

# Figures of one metric have the same class, which then measures once for all of them.
METRICS: dict[str, Callable[[MetricSettings], Metric]] = {
    "l1": L1,
    "psnr": PSNR,
    "ssim": SSIM,
    "lpips": LPIPS,
    "dists": DISTS,
    "diversity": Diversity,
    "grid": Grid,
    "fid_legacy": InceptionDistances,
    "fid_clean": InceptionDistances,
    "kid": InceptionDistances,
    "pixel_accuracy": Segmentation,
    "mean_iou": Segmentation,
}


def build_metrics(names: Iterable[str], settings: MetricSettings) -> list[Metric]:
    """The metrics that give the figures of these names, rows of METRICS; each once.

    Raises:
        UserError: weights that a metric needs cannot be had.
    """
    return [build(settings) for build in dict.fromkeys(METRICS[name] for name in names)]


__all__ = [
    "METRICS",
    "Figure",
    "Measurement",
    "Metric",
    "MetricSettings",
    "Sample",
    "build_metrics",
]
