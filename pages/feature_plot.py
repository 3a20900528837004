"""A label's features as a picture: every instance a point in the colour of its cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pix2pixhd.util.files import replacing
from pix2pixhd.util.labels import label_palette

SIZE = (4.7, 4.2)  # inches
DPI = 180

# On a transparent ground this gray is read on white paper as well as on black.
INK = "#808a94"


@dataclass(frozen=True)
class Example:
    """An instance that shows what a cluster is like."""

    image: np.ndarray  # uint8 [h,w,3], see cut_out
    caption: str  # where it is from


@dataclass(frozen=True)
class LabelClusters:
    """The instances of a label, and the clusters found among them."""

    label: int
    colour: Sequence[int]  # of the label in other pages, red, green and blue in 0..255
    points: np.ndarray  # finite [n, feat_num], the features of every instance that was clustered
    centres: np.ndarray  # [k, feat_num], numbered from 1 in this order: the largest first
    assignment: np.ndarray  # integers [n] in [0, k), the cluster of each instance
    examples: Sequence[Sequence[Example]]  # of each of the k clusters, the nearest to it first
    left_out: int = 0  # instances that were not clustered
    name: str = ""  # of the label, if it has one

    @property
    def sizes(self) -> np.ndarray:
        """Instances of each cluster, [k]."""
        return np.bincount(self.assignment, minlength=len(self.centres))


def cluster_colours(centres: np.ndarray) -> np.ndarray:
    """Return a colour for each cluster, uint8 [k,3], by their finite centres, [k, feat_num].

    Three features are red, green and blue, -1 to 1 as 0 to 255 (clipped); for any other number
    of them the colours are from a palette, calm on white paper as on black, and only tell the
    clusters apart.
    """
    if centres.shape[1] == 3:
        return ((centres + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    palette = label_palette(400)
    seen_on_both = (_luminance(palette) > 0.08) & (_luminance(palette) < 0.5)
    return np.resize(palette[seen_on_both], (len(centres), 3))


def ink_on(colour: np.ndarray) -> str:
    """Return the colour of text, near white or near black, that is read on `colour`, uint8 [3]."""
    return "#ffffff" if _luminance(colour) < 0.2 else "#14171a"


def draw_features(found: LabelClusters, colours: np.ndarray, out: Path) -> tuple[int, int]:
    """Draw all points, and the centres with their numbers from 1, on a transparent ground.

    One feature is a histogram, two are the axes themselves, more are shown by their first two
    principal components.

    Args:
        found: at least one point.
        colours: of the clusters, uint8 [k,3].
        out: PNG to write, whole or not at all; UserError where it cannot be written.

    Returns:
        Width and height of the picture in pixels.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.locator_params(nbins=6)
    axes.spines[:].set_visible(False)
    axes.grid(color=INK, alpha=0.25, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.label.set(color=INK, fontsize=10)
    axes.yaxis.label.set(color=INK, fontsize=10)
    draw = _draw_histogram if found.points.shape[1] == 1 else _draw_points
    _draw_centres(axes, draw(axes, found, colours / 255), colours)
    with replacing(out) as file:
        figure.savefig(file, format="png", transparent=True)
    return round(SIZE[0] * DPI), round(SIZE[1] * DPI)


def plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Choose the plane on which finite points, [n, d] with n > 0 and d > 1, are drawn.

    Returns:
        Its two directions, [d, 2], as columns; its origin [d]; and the names of its axes.
    """
    n, d = points.shape
    if d == 2:
        return np.eye(2), np.zeros(2), ["feature 1", "feature 2"]
    middle = points.mean(axis=0)
    variances, directions = np.linalg.eigh((points - middle).T @ (points - middle) / n)
    chosen = directions[:, :-3:-1]  # eigh sorts them upwards
    # Their signs are arbitrary: fixed, so that a run drawn again looks the same.
    chosen = chosen * np.where(chosen[np.abs(chosen).argmax(axis=0), [0, 1]] < 0, -1, 1)
    shares = variances[:-3:-1].clip(0) / (variances.sum() or 1)
    names = [f"{order} principal component" for order in ("first", "second")]
    return (
        chosen,
        middle,
        [f"{n} ({s:.0%} of the variance)" for n, s in zip(names, shares, strict=True)],
    )


def _draw_points(axes: Axes, found: LabelClusters, colours: np.ndarray) -> np.ndarray:
    """Draw points; returns where the centres are, [k, 2]."""
    directions, origin, names = plane(found.points)
    points = (found.points - origin) @ directions  # [n, 2]
    # Else the last cluster would hide the others wherever they overlap.
    order = np.random.default_rng(0).permutation(len(points))
    diameter = float(np.clip(120 / np.sqrt(len(points)), 1.5, 7))
    # The rim keeps black points in sight on a black page, and white ones on a white one.
    rim: dict[str, Any] = {"edgecolors": INK, "linewidths": max(diameter / 20, 0.15)}
    x, y = points[order].T
    axes.scatter(x, y, s=diameter**2, c=colours[found.assignment[order]], **rim)
    axes.set_aspect("equal", adjustable="datalim")  # distances are what is looked at
    axes.margins(0.08)
    axes.set(xlabel=names[0], ylabel=names[1])
    return (found.centres - origin) @ directions


def _draw_histogram(axes: Axes, found: LabelClusters, colours: np.ndarray) -> np.ndarray:
    """Draw bars; returns where the centres are, [k, 2]."""
    values, centres = found.points[:, 0], found.centres[:, 0]
    of_each = [values[found.assignment == cluster] for cluster in range(len(centres))]
    bins = int(np.clip(2 * np.sqrt(len(values)), 10, 60))
    axes.hist(of_each, bins, stacked=True, color=list(colours), edgecolor=INK, linewidth=0.4)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    high = axes.get_ylim()[1]
    # The centres are on a line of their own below the bars, at any scale.
    axes.set_ylim(-0.12 * high, high)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= high])
    axes.set(xlabel="feature 1", ylabel="instances")
    return np.stack([centres, np.full(len(centres), -0.06 * high)], 1)


def _draw_centres(axes: Axes, places: np.ndarray, colours: np.ndarray) -> None:
    # The smallest first: where discs overlap, the largest cluster's is on top.
    for cluster in reversed(range(len(places))):
        colour, layer = colours[cluster], 3 + 1 / (cluster + 2)
        disc: dict[str, Any] = {"ms": 16, "mec": INK, "mew": 1.2, "clip_on": False}
        axes.plot(*places[cluster], "o", color=colour / 255, zorder=layer, **disc)
        text: dict[str, Any] = {"ha": "center", "va": "center_baseline", "weight": "bold"}
        text |= {"fontsize": 9, "color": ink_on(colour), "zorder": layer}
        axes.annotate(str(cluster + 1), places[cluster], **text)


def _luminance(rgb: np.ndarray) -> np.ndarray:
    """Map sRGB [...,3] in 0..255 to luminance [...] in 0..1, nearly."""
    return (rgb / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
