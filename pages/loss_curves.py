"""The scalars of a run, drawn as a picture: a small chart each, side by side."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, MaxNLocator

from pix2pixhd.util.files import replacing
from pix2pixhd.util.log_files import Record, read_records

NO_CURVES = ("epoch", "iter", "step", "time", "gpu_memory_gib")
COLUMNS = 3
MOST = 300  # charts; Matplotlib draws no picture that is higher than 65,536 pixels
INK, FAINT, GRID = "#39424b", "#6b7580", "#e9ecef"
CURVE, RATE = "#2f6fb7", "#8a6d3b"


class Curve:
    """A scalar, at the steps where it was logged."""

    def __init__(self, name: str, records: list[Record]) -> None:
        self.steps = np.array([record["step"] for record in records])  # [n] images seen, ascending
        self.values = np.array([record[name] for record in records])  # [n] NaN where there is none
        # A loss or the learning rate, logged for training steps.
        self.is_of_steps = any("iter" in record for record in records)


def draw_curves(metrics_file: Path, out: Path) -> None:
    """Draw a chart for each scalar over the images seen: losses, others, the learning rate.

    Of losses, faint points are the values as logged, the line is their moving average. Others,
    such as those of a validation, are fewer: a line from point to point.

    Args:
        metrics_file: metrics.jsonl; null values are gaps, lines that are no records are skipped.
        out: PNG to write where anything is logged yet; UserError where it cannot be written.
    """
    curves = read_curves(metrics_file)
    if not curves:
        return
    # The rate comes last: it explains the losses, it is not one.
    names = sorted(curves, key=lambda name: (name == "lr", not curves[name].is_of_steps))[:MOST]
    rows = math.ceil(len(names) / COLUMNS)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(12, 2.7 * rows), dpi=120, layout=layout, facecolor="white")
    axes = None
    for place, name in enumerate(names, 1):
        # One axis of images for all: what happens at the same time is at the same place.
        axes = figure.add_subplot(rows, COLUMNS, place, sharex=axes)
        _draw_chart(axes, name, curves[name])
    with replacing(out) as file:
        figure.savefig(file, format="png")


def read_curves(metrics_file: Path) -> dict[str, Curve]:
    """Return the scalars of a file by name; of a long file, thinned ones."""
    records: dict[str, list[Record]] = {}
    for record in read_records(metrics_file) if metrics_file.exists() else ():
        for name in record:
            if name not in NO_CURVES:
                records.setdefault(name, []).append(record)
    return {name: Curve(name, of_name) for name, of_name in records.items()}


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return the moving average of `values` [n] over a tenth of them, leaving NaN out."""
    reach = len(values) // 20
    window = np.hanning(2 * reach + 3)[1:-1]
    known = np.isfinite(values)
    inside = slice(reach, reach + len(values))
    total = np.convolve(np.where(known, values, 0), window)[inside]
    weight = np.convolve(known, window)[inside]
    return np.divide(total, weight, out=np.full(len(values), np.nan), where=known)


def _draw_chart(axes: Axes, name: str, curve: Curve) -> None:
    axes.set_title(name, loc="left", fontsize=12, fontweight="bold", color=INK, parse_math=False)
    axes.set_xlabel("images seen", fontsize=9, color=FAINT, loc="right")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 12000 images: 12k
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(colors=FAINT, labelsize=10, length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    steps, values = curve.steps, curve.values
    size = float(np.clip(60 / math.sqrt(len(values)), 1, 6))
    if not curve.is_of_steps:
        # Between its own extremes: how a distance or a likeness moves is small beside its size.
        axes.plot(steps, values, "o-", color=CURVE, markersize=size, linewidth=1.5)
        return
    low, high = _limits(values)
    axes.set_ylim(low, high)
    if name == "lr" or len(values) == 1:  # a lone point is no line
        marker = "o" if len(values) == 1 else ""
        colour = RATE if name == "lr" else CURVE
        axes.plot(steps, values, marker=marker, color=colour, markersize=size, linewidth=2)
        return
    axes.plot(steps, values, ".", color=CURVE, alpha=0.35, markersize=4, markeredgewidth=0)
    clipped = np.clip(values, low, high)  # a spike should be a bump in the line, not a tower
    axes.plot(steps, smoothed(clipped), color=CURVE, linewidth=2, solid_capstyle="round")


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Return an axis from zero to above nearly all values: a spike must not flatten the rest."""
    finite = values[np.isfinite(values)]
    low, high = 1.15 * np.percentile(finite, (1, 99)) if finite.size else (0.0, 0.0)
    low, high = min(0.0, float(low)), max(0.0, float(high))
    return low, high if high > low else low + 1.0
