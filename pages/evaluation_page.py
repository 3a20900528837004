"""The page of an evaluation: figures, how they spread, best and worst images, the protocol."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from dominate import svg, tags

from pix2pixhd.pages.gallery import EVALUATION
from pix2pixhd.pages.html import (
    Picture,
    add_section,
    image_size,
    new_page,
    remove_stale,
    write_page,
)
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import read_picture, save_thumbnail

IMAGE_WIDTH = 320  # of a picture, in CSS pixels
EXTREMES = 3  # best and worst images that are shown of each figure
MOST_BINS, WIDTH, HEIGHT = 24, 480, 120  # of a histogram
OWN_THUMBS = "evaluation_thumbs"


@dataclass(frozen=True)
class Shown:
    """A picture of an image that was evaluated."""

    what: str
    full: Path
    small: Path | None = None  # its thumbnail, where there is one


@dataclass
class EvaluationPage:
    """Writes the page, and thumbnails of what it shows where there are none."""

    folder: Path  # of the page
    report: Mapping[str, Any]  # what metrics.json holds
    shown: Mapping[str, Sequence[Shown]]  # by the name of the image
    warning: str = ""  # about all figures
    _written: dict[Path, str] = field(default_factory=dict, init=False)  # full -> thumbnail

    @property
    def file(self) -> Path:
        """The page."""
        return self.folder / EVALUATION

    def write(self) -> None:
        """Write the page; UserError where it cannot be written or a picture not be read."""
        metrics, name = self.report["metrics"], self.report["name"]
        columns = max((len(pictures) for pictures in self.shown.values()), default=1)
        page = new_page(f"{name}: figures", columns=columns, image_width=IMAGE_WIDTH)
        with page.body:
            with tags.header():
                tags.h1(f"{name}: figures")
                tags.p(_facts(self.report["protocol"]))
                if (self.folder / "index.html").is_file():
                    tags.p(tags.a("All images", href="index.html"))
            with tags.main():
                warnings = [
                    f"{name}: {f['warning']}" for name, f in metrics.items() if f["warning"]
                ]
                _add_warnings([self.warning, *warnings] if self.warning else warnings)
                _add_figures(metrics)
                for key, figure in metrics.items():
                    self._add_metric(key, figure)
                _add_protocol(self.report)
        write_page(page, self.file)
        remove_stale(
            self.folder, f"{OWN_THUMBS}/*.jpg", rf"{OWN_THUMBS}/.*", set(self._written.values())
        )

    def _add_metric(self, name: str, figure: Mapping[str, Any]) -> None:
        """How a figure spreads, its classes, and the images at its ends."""
        values = {k: v for k, v in figure["per_image"].items() if v is not None}
        if not values and not figure["by_class"]:
            return
        with tags.section(id=name):
            tags.h2(name, tags.small(f"{figure['better']} is better"))
            if values:
                add_histogram(name, list(values.values()))
                self._add_extremes(name, values, figure["better"])
            if figure["by_class"]:
                _add_classes(figure["by_class"])

    def _add_extremes(self, name: str, values: Mapping[str, float], better: str) -> None:
        """The best and the worst images, folded up."""
        best = sorted(values, key=lambda image: values[image], reverse=better == "higher")
        count = min(EXTREMES, len(best) // 2)
        with tags.details():
            tags.summary(f"Best and worst images by {name}")
            for heading, images in (("best", best[:count]), ("worst", best[::-1][:count])):
                for image in images:
                    pictures = [self._picture(one, image) for one in self.shown[image]]
                    add_section(image, pictures, f"{heading}: {in_short(values[image])}")

    def _picture(self, one: Shown, image: str) -> Picture:
        small = one.small if one.small and one.small.is_file() else self._thumbnail(one.full)
        size = image_size(small)
        if size is None:
            raise UserError(f"{small}: cannot be read as an image; remove it, and evaluate again")
        paths = (Path(os.path.relpath(path, self.folder)).as_posix() for path in (small, one.full))
        file, full = paths
        return Picture(file, size, one.what, f"{one.what} of {image}", full)

    def _thumbnail(self, full: Path) -> Path:
        """The file of a thumbnail of our own."""
        if full not in self._written:
            self._written[full] = f"{OWN_THUMBS}/{len(self._written)}.jpg"
            small = self.folder / self._written[full]
            save_thumbnail(read_picture(full), small, 2 * IMAGE_WIDTH)
        return self.folder / self._written[full]


def in_short(value: float | None) -> str:
    """A figure in four digits."""
    return "–" if value is None else f"{value:.4g}"


def add_histogram(name: str, values: Sequence[float]) -> None:
    """Add a drawing of how the values of images spread, with their median."""
    bins = min(MOST_BINS, 4 + math.isqrt(2 * len(values)))
    counts, edges = np.histogram(values, bins)
    low, middle, high = edges[0], float(np.median(values)), edges[-1]
    said = f"{len(values)} images: {in_short(low)} to {in_short(high)}, median {in_short(middle)}"
    step = WIDTH / bins
    with tags.figure(cls="spread"):
        with svg.svg(viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{name}, {said}"):
            for place, count in enumerate(counts):
                high_bar = HEIGHT * count / max(counts)
                svg.rect(
                    svg.title(f"{count}: {in_short(edges[place])} to {in_short(edges[place + 1])}"),
                    x=f"{place * step + 1:g}",
                    y=f"{HEIGHT - high_bar:g}",
                    width=f"{step - 2:g}",
                    height=f"{high_bar:g}",
                )
            at = WIDTH * (middle - low) / (high - low)
            svg.line(x1=f"{at:g}", x2=f"{at:g}", y1="0", y2=str(HEIGHT))
        tags.figcaption(said)


def _add_warnings(lines: Sequence[str]) -> None:
    if lines:
        with tags.section(cls="warnings"):
            tags.h2("Warnings")
            with tags.ul(cls="lines"):
                for line in lines:
                    tags.li(line)


def _add_figures(metrics: Mapping[str, Mapping[str, Any]]) -> None:
    with tags.section():
        tags.h2("Figures")
        with tags.table(cls="table figures"):
            with tags.tr():
                for heading in ("Metric", "Value", "Better", "Beside"):
                    tags.th(heading, scope="col")
            for name, figure in metrics.items():
                has_more = figure["per_image"] or figure["by_class"]
                beside = ", ".join(
                    f"{key.replace('_', ' ')} {in_short(value)}"
                    for key, value in figure["beside"].items()
                )
                with tags.tr():
                    tags.td(tags.a(name, href=f"#{name}") if has_more else name)
                    tags.td(tags.strong(in_short(figure["value"])))
                    tags.td(figure["better"])
                    tags.td(beside)


def _add_classes(by_class: Mapping[str, float | None]) -> None:
    longest = max((value for value in by_class.values() if value), default=1)
    with tags.table(cls="table histogram"):
        for name, value in by_class.items():
            with tags.tr():
                tags.td(name)
                tags.td(in_short(value))
                with tags.td(aria_hidden="true"), tags.span(cls="share"):
                    share = max(0.0, value or 0.0) / longest
                    tags.i(style=f"width: {share:.2%}; background: var(--accent)")


def _facts(protocol: Mapping[str, Any]) -> str:
    return (
        f"{protocol['images']} images of {protocol['split']} at {protocol['size']}; features: "
        f"{protocol['features']}; checkpoint: {protocol['checkpoint']['chosen']}"
    )


def _add_protocol(report: Mapping[str, Any]) -> None:
    """All that is to be known of the figures, and lines to quote."""
    common = report["protocol"]
    with tags.section(id="protocol"):
        tags.h2("Protocol")
        _add_table(common)
        for name, figure in report["metrics"].items():
            tags.h2(name)
            tags.pre(figure["quote"], cls="command")
            _add_table({k: v for k, v in figure["protocol"].items() if common.get(k) != v})


def _add_table(values: Mapping[str, Any]) -> None:
    with tags.table(cls="table"):
        for key, value in values.items():
            with tags.tr():
                tags.th(key.replace("_", " "), scope="row")
                tags.td(_in_words(value))


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_in_words(one)}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
