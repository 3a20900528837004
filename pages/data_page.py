"""The page of a data set: what is wrong, what it holds, samples, and labels that are rare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from dominate import tags

from pix2pixhd.pages.data_report import DataReport, LabelRow, command_lines, percent
from pix2pixhd.pages.html import Picture, add_section, in_words, new_page, remove_stale, write_page
from pix2pixhd.util.image import save_thumbnail, thumbnail_size

OWN_FILES = r"images/(sample|label)\d+_[a-z_]+\.jpg"
IMAGE_WIDTH = 360  # of a picture, in CSS pixels; files have twice that, for fine screens


@dataclass(frozen=True)
class Sample:
    """A sample to show."""

    name: str  # of its label map
    pictures: Mapping[str, np.ndarray]  # what it is -> uint8 [H,W,3]


@dataclass(frozen=True)
class LabelExample:
    """A sample that shows a rare label."""

    label: int
    title: str
    caption: str
    picture: np.ndarray  # uint8 [H,W,3]


@dataclass
class DataPage:
    """Writes a page, with `images` beside it."""

    file: Path  # of the page
    _written: set[str] = field(default_factory=set, init=False)

    def write(
        self,
        report: DataReport,
        samples: Iterable[Sample] = (),
        examples: Iterable[LabelExample] = (),
    ) -> None:
        """Write the page; pictures of an earlier one that it does not need go.

        Args:
            samples, examples: taken one at a time, as they are shown.

        Raises UserError where the folder cannot be written.
        """
        self._written.clear()
        page = new_page(report.title, columns=4, image_width=IMAGE_WIDTH)
        with page.body:
            with tags.header():
                tags.h1(report.title)
                tags.p(report.verdict)
            with tags.main():
                _add_list("Problems", report.problems, "problems")
                _add_list("Warnings", report.warnings, "warnings")
                _add_facts("Files", report.facts)
                if report.labels:
                    _add_histogram(report.labels)
                _add_list("Notes", report.notes)
                _add_facts("Flags that suit it", report.suggestions, code=True)
                if report.command:
                    with tags.section():
                        tags.h2(report.next_heading)
                        tags.pre("\n".join(command_lines(report.command)))
                for number, sample in enumerate(samples):
                    pictures = [
                        self._save(f"sample{number}_{what}", image, in_words(what), sample.name)
                        for what, image in sample.pictures.items()
                    ]
                    add_section(sample.name, pictures)
                rare = [
                    self._save(f"label{e.label}_example", e.picture, f"{e.title}: {e.caption}")
                    for e in examples
                ]
                if rare:
                    add_section("Rare labels", rare, "each in the image that holds most of it")
        write_page(page, self.file)
        remove_stale(self.file.parent, "images/*.jpg", OWN_FILES, self._written)

    def _save(self, stem: str, image: np.ndarray, caption: str, of: str = "") -> Picture:
        file = f"images/{stem}.jpg"
        save_thumbnail(image, self.file.parent / file, 2 * IMAGE_WIDTH)
        self._written.add(file)
        height, width = image.shape[:2]
        size = thumbnail_size(width, height, 2 * IMAGE_WIDTH)
        return Picture(file, size, caption, f"{caption} of {of}" if of else caption)


def _add_list(heading: str, lines: list[str], cls: str = "") -> None:
    if lines:
        with tags.section(cls=cls):
            tags.h2(heading)
            with tags.ul(cls="lines"):
                for line in lines:
                    tags.li(line)


def _add_facts(heading: str, facts: list[tuple[str, str]], *, code: bool = False) -> None:
    if facts:
        with tags.section():
            tags.h2(heading)
            with tags.table(cls="table"):
                for what, figures in facts:
                    with tags.tr():
                        tags.th(tags.code(what) if code else what, scope="row")
                        tags.td(figures)


def _add_histogram(rows: list[LabelRow]) -> None:
    longest = max(row.share for row in rows) or 1
    with tags.section():
        tags.h2("Labels")
        with tags.table(cls="table histogram"):
            with tags.tr():
                for heading in ("Label", "Pixels", "Images", ""):
                    tags.th(heading, scope="col")
            for row in rows:
                colour = "rgb({} {} {})".format(*row.colour)
                with tags.tr():
                    with tags.td():
                        tags.span(cls="swatch", style=f"background: {colour}")
                        tags.span(f"{row.label} {row.name}".strip())
                        if row.note:
                            tags.small(row.note)
                    tags.td(percent(row.share), title=f"{row.pixels:,} pixels")
                    tags.td(f"{row.images:,}")
                    with tags.td(aria_hidden="true"), tags.span(cls="share"):
                        tags.i(style=f"width: {row.share / longest:.2%}; background: {colour}")
