"""The losses of a run, drawn as a picture: a small chart each, side by side."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, MaxNLocator

from util.files import replacing
from util.metrics import read_records

NOT_LOSSES = ("epoch", "iter", "step", "time")
COLUMNS = 3
INK, FAINT, GRID = "#39424b", "#6b7580", "#e9ecef"
CURVE, RATE = "#2f6fb7", "#8a6d3b"


def draw_loss_curves(metrics_file: Path, out: Path) -> None:
    """Draw a chart for each loss (and the learning rate) over the images seen.

    Faint points are the values as logged, the line is their moving average. Of a long run, evenly
    spaced lines are read, about 5000. Draws nothing where nothing is logged yet.

    Args:
        metrics_file: metrics.jsonl; null values are gaps, a broken last line is skipped.
        out: PNG to write, whole or not at all.

    Raises:
        UserError: `out` cannot be written.
    """
    records = read(metrics_file)
    if not records["step"].size:
        return
    steps = records.pop("step")
    # The rate comes last: it explains the losses, it is not one.
    names = sorted(records, key=lambda name: name == "lr")
    rows = math.ceil(len(names) / COLUMNS)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(12, 2.7 * rows), dpi=120, layout=layout, facecolor="white")
    for place, name in enumerate(names, 1):
        _draw_chart(figure.add_subplot(rows, COLUMNS, place), name, steps, records[name])
    with replacing(out) as file:
        figure.savefig(file, format="png")


def read(metrics_file: Path) -> dict[str, np.ndarray]:
    """Return a column for each loss, and `step` and `lr`; float64, NaN where there is no value."""
    if not metrics_file.exists():
        return {"step": np.empty(0)}
    # A line has about 200 bytes, so a megabyte of them is plenty for a picture.
    every = metrics_file.stat().st_size // 2**20 + 1
    records = [record for record in read_records(metrics_file, every) if "step" in record]
    names = dict.fromkeys(name for record in records for name in record if name not in NOT_LOSSES)
    return {
        name: np.array([record.get(name) for record in records], dtype=float)
        for name in ("step", *names)
    }


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return the moving average of `values` [n] over a tenth of them, leaving NaN out."""
    reach = len(values) // 20
    window = np.hanning(2 * reach + 3)[1:-1]
    known = np.isfinite(values)
    inside = slice(reach, reach + len(values))
    total = np.convolve(np.where(known, values, 0), window)[inside]
    weight = np.convolve(known, window)[inside]
    return np.divide(total, weight, out=np.full(len(values), np.nan), where=known)


def _draw_chart(axes: Axes, name: str, steps: np.ndarray, values: np.ndarray) -> None:
    axes.set_title(name, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel("images seen", fontsize=9, color=FAINT, loc="right")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 12000 images: 12k
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(colors=FAINT, labelsize=10, length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    low, high = _limits(values)
    axes.set_ylim(low, high)
    if name == "lr":
        axes.plot(steps, values, color=RATE, linewidth=2)
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
