"""Figures: images in, numbers out. To add one: a class here or in a file of its own, and a row.

Nothing here knows of runs, files or processes; `engine.validation` feeds the metrics.
"""

from __future__ import annotations

from collections.abc import Callable

from pix2pixhd.metrics.pixels import L1, PSNR, Metric

METRICS: dict[str, Callable[[], Metric]] = {
    "l1": L1,
    "psnr": PSNR,
}

__all__ = ["METRICS", "Metric"]
