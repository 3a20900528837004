"""A label's features as a picture: every instance a point in the colour of its cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from util.files import replacing
from util.image import label_palette

SIZE = (4.7, 4.2)  # inches
DPI = 180

# On a transparent ground this gray is read on white paper as well as on black.
INK = "#808a94"


def cluster_colours(centres: np.ndarray) -> np.ndarray:
    """Return a colour for each cluster, uint8 [k,3].

    Three features are red, green and blue, -1 to 1 as 0 to 255 (clipped); for any other number
    of them the colours are from a palette, calm on white paper as on black, and only tell the
    clusters apart.

    Args:
        centres: finite [k, feat_num].
    """
    if centres.shape[1] == 3:
        return ((centres + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    palette = label_palette(400)
    seen_on_both = (_luminance(palette) > 0.08) & (_luminance(palette) < 0.5)
    return np.resize(palette[seen_on_both], (len(centres), 3))


def ink_on(colour: np.ndarray) -> str:
    """Return the colour of text, near white or near black, that is read on `colour`, uint8 [3]."""
    return "#ffffff" if _luminance(colour) < 0.2 else "#14171a"


def draw_features(
    points: np.ndarray,
    centres: np.ndarray,
    assignment: np.ndarray,
    colours: np.ndarray,
    out: Path,
) -> tuple[int, int]:
    """Draw all points, and the centres with their numbers from 1, on a transparent ground.

    One feature is a histogram, two are the axes themselves, more are shown by their first two
    principal components.

    Args:
        points: finite [n, feat_num], n > 0.
        centres: [k, feat_num].
        assignment: the cluster of each point, integers [n] in [0, k).
        colours: uint8 [k,3].
        out: PNG to write, whole or not at all.

    Returns:
        Width and height of the picture in pixels.

    Raises:
        UserError: `out` cannot be written.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.locator_params(nbins=6)
    axes.spines[:].set_visible(False)
    axes.grid(color=INK, alpha=0.25, linewidth=0.7)
    axes.set_axisbelow(True)
    if points.shape[1] == 1:
        _draw_histogram(axes, points[:, 0], centres[:, 0], assignment, colours / 255)
    else:
        places, middle, names = plane(points)
        axes.set_xlabel(names[0], color=INK, fontsize=10)
        axes.set_ylabel(names[1], color=INK, fontsize=10)
        _draw_points(
            axes, (points - middle) @ places, (centres - middle) @ places, assignment, colours / 255
        )
    with replacing(out) as file:
        figure.savefig(file, format="png", transparent=True)
    return round(SIZE[0] * DPI), round(SIZE[1] * DPI)


def plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Choose the plane on which points are drawn.

    Args:
        points: finite [n, d], n > 0, d > 1.

    Returns:
        Its two directions, [d, 2], as columns; its origin [d]; and the names of its axes.
    """
    n, d = points.shape
    if d == 2:
        return np.eye(2), np.zeros(2), ("feature 1", "feature 2")
    middle = points.mean(axis=0)
    variances, directions = np.linalg.eigh((points - middle).T @ (points - middle) / n)
    chosen = directions[:, :-3:-1]  # eigh sorts them upwards
    # Their signs are arbitrary: fixed, so that a run drawn again looks the same.
    chosen = chosen * np.where(chosen[np.abs(chosen).argmax(axis=0), [0, 1]] < 0, -1, 1)
    names = [f"{order} principal component" for order in ("first", "second")]
    if (total := variances.sum()) > 0:
        shares = variances[:-3:-1].clip(0) / total
        names = [
            f"{name} ({share:.0%} of the variance)"
            for name, share in zip(names, shares, strict=True)
        ]
    return chosen, middle, (names[0], names[1])


def _draw_points(
    axes: Axes,
    points: np.ndarray,
    centres: np.ndarray,
    assignment: np.ndarray,
    colours: np.ndarray,
) -> None:
    # Else the last cluster would hide the others wherever they overlap.
    order = np.random.default_rng(0).permutation(len(points))
    diameter = float(np.clip(120 / np.sqrt(len(points)), 1.5, 7))
    # The rim keeps black points in sight on a black page, and white ones on a white one.
    axes.scatter(
        points[order, 0],
        points[order, 1],
        s=diameter**2,
        c=colours[assignment[order]],
        edgecolors=INK,
        linewidths=max(diameter / 20, 0.15),
    )
    axes.set_aspect("equal", adjustable="datalim")  # distances are what is looked at
    axes.margins(0.08)
    _draw_centres(axes, centres, colours)


def _draw_histogram(
    axes: Axes,
    values: np.ndarray,
    centres: np.ndarray,
    assignment: np.ndarray,
    colours: np.ndarray,
) -> None:
    clusters = range(len(centres))
    axes.hist(
        [values[assignment == cluster] for cluster in clusters],
        bins=int(np.clip(2 * np.sqrt(len(values)), 10, 60)),
        stacked=True,
        color=list(colours),
        edgecolor=INK,
        linewidth=0.4,
    )
    axes.set_xlabel("feature 1", color=INK, fontsize=10)
    axes.set_ylabel("instances", color=INK, fontsize=10)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    high = axes.get_ylim()[1]
    # On a line of their own below the bars, at any scale.
    axes.set_ylim(-0.12 * high, high)
    _draw_centres(axes, np.stack([centres, np.full(len(centres), -0.06 * high)], axis=1), colours)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= high])


def _draw_centres(axes: Axes, centres: np.ndarray, colours: np.ndarray) -> None:
    # The smallest first: where discs overlap, the largest cluster's is on top.
    for cluster in reversed(range(len(centres))):
        colour = colours[cluster]
        axes.plot(
            *centres[cluster],
            "o",
            markersize=16,
            color=colour,
            markeredgecolor=INK,
            markeredgewidth=1.2,
            clip_on=False,
            zorder=3 + 1 / (cluster + 2),
        )
        axes.annotate(
            str(cluster + 1),
            centres[cluster],
            ha="center",
            va="center_baseline",
            fontsize=9,
            fontweight="bold",
            color=ink_on(colour * 255),
            zorder=3 + 1 / (cluster + 2),
        )


def _luminance(rgb: np.ndarray) -> np.ndarray:
    """Map sRGB [...,3] in 0..255 to luminance [...] in 0..1, nearly."""
    return (rgb / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
