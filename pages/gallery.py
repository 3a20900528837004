"""The pages of test results: a row for each sample, sorted by name, cut into pages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from dominate import tags

from pix2pixhd.pages.html import Picture, add_section, in_words, new_page, remove_stale, write_page
from pix2pixhd.util.image import save_image, save_thumbnail, thumbnail_size
from pix2pixhd.util.image_writer import ImageWriter

# At the end of a link it shows the rows of a page from the last to the first, see style.css.
DESCENDING = "descending"


class Row(NamedTuple):
    """A sample and its pictures."""

    name: str
    pictures: list[Picture]


@dataclass
class ResultsGallery:
    """Collects pictures and shows them side by side.

    The pages are `index.html`, `page_0002.html`, ... from the first name to the last. Backwards
    they are the same files in reversed order, each with its rows reversed by the stylesheet: so
    sorting works over all rows, opened from a disk and without a script. They show thumbnails,
    small files of their own: fifty rows of 2048x1024 would otherwise weigh half a gigabyte.
    """

    folder: Path  # of the pages; pictures go to `images` in it, thumbnails to `images/thumbs`
    title: str
    columns: list[str]  # the pictures of a row, in this order
    image_width: int = 512  # of the thumbnails and of pictures in the page, in pixels
    rows_per_page: int = 50
    note: str = ""  # a line at the top, such as how many images were left out
    rows: list[Row] = field(default_factory=list, init=False)  # to which others' may be added
    _stems: dict[str, str] = field(default_factory=dict, init=False)  # of each row's files

    def reserve(self, names: Iterable[str]) -> None:
        """Choose the stems of the files of all rows to come, each of another name.

        It is the last part of the name; where an earlier row has it, folders come first. Processes
        that share the rows of a gallery thus name their files as a single one would.
        """
        taken = set()
        for name in names:
            assert name not in self._stems, f"{name}: reserved twice"
            parts = [part for part in PurePosixPath(name).parts if part != "/"]
            whole = "_".join(parts)
            numbered = (f"{whole}-{number}" for number in itertools.count(2))
            candidates = itertools.chain([parts[-1], whole], numbered)
            # Folded: some file systems hold A.png and a.png to be the same.
            stem = next(stem for stem in candidates if stem.casefold() not in taken)
            taken.add(stem.casefold())
            self._stems[name] = stem

    def add_pictures(
        self,
        writer: ImageWriter,
        name: str,
        images: Mapping[str, np.ndarray],
        image_format: str = "png",
    ) -> None:
        """Save pictures as `images/<stem>_<column>.<format>` with thumbnails, and add their row.

        Args:
            writer: saves in the background; raises what went wrong with an earlier file.
            name: heading of the row, by which rows are sorted; may hold folders (a/b); reserved.
            images: uint8 [H,W,3] for each column of which there is one.
            image_format: png or jpg.
        """
        assert images.keys() <= set(self.columns), f"no such columns: {list(images)}"
        stem, row = self._stems[name], Row(name, [])
        for what in self.columns:
            if what in images:
                height, width = images[what].shape[:2]
                picture = Picture(
                    file=f"images/thumbs/{stem}_{what}.jpg",
                    size=thumbnail_size(width, height, self.image_width),
                    caption=in_words(what),
                    alt=f"{in_words(what)} of {name}",
                    full=f"images/{stem}_{what}.{image_format}",
                )
                writer.submit(self._save, images[what], picture)
                row.pictures.append(picture)
        self.rows.append(row)

    def write(self) -> None:
        """Write all pages, and remove those of an earlier and longer result.

        Raises UserError where the folder cannot be written.
        """
        rows = sorted(self.rows, key=lambda row: natural(row.name))
        starts = range(0, max(1, len(rows)), self.rows_per_page)
        pages = [rows[start : start + self.rows_per_page] for start in starts]
        written = {self._write_page(number, pages) for number in range(1, len(pages) + 1)}
        # Earlier versions had a page of its own for each page backwards.
        remove_stale(self.folder, "*.html", r"(index|page_\d{4,})(_desc)?\.html", written)

    def _save(self, image: np.ndarray, picture: Picture) -> None:
        save_image(image, self.folder / picture.full)
        save_thumbnail(image, self.folder / picture.file, self.image_width)

    def _write_page(self, number: int, pages: list[list[Row]]) -> str:
        """Write a page, counted from 1; returns its file's name."""
        title = f"{self.title}, page {number}" if number > 1 else self.title
        html = new_page(title, columns=len(self.columns), image_width=self.image_width)
        html.body["id"] = DESCENDING
        with html.body:
            with tags.header():
                tags.h1(self.title)
                if self.note:
                    tags.p(self.note)
                _add_bars(number, pages)
            with tags.main():
                for row in pages[number - 1]:
                    add_section(row.name, row.pictures)
            with tags.footer():
                _add_bars(number, pages)
        file = file_name(number)
        write_page(html, self.folder / file)
        return file


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that puts frame_2 before frame_10 and minds no capitals."""
    parts = re.split(r"([0-9]+)", name.casefold())
    # Numbers are at the odd places always, so a number is compared with numbers only.
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def file_name(number: int) -> str:
    """Return the file of a page, counted from 1."""
    return "index.html" if number == 1 else f"page_{number:04d}.html"


def near(current: int, last: int, reach: int = 2) -> list[int]:
    """Return the page numbers to offer: the first, the last, and those around the current."""
    return sorted({1, *range(max(1, current - reach), min(last, current + reach) + 1), last})


def _add_bars(number: int, pages: list[list[Row]]) -> None:
    """Add a page's links in either direction; the stylesheet shows one of the two bars."""
    spans = [f"{rows[0].name} to {rows[-1].name}" if rows else "" for rows in pages]
    forwards = [(file_name(page), span) for page, span in enumerate(spans, 1)]
    backwards = [(f"{file}#{DESCENDING}", span) for file, span in reversed(forwards)]
    for links, current in ((forwards, number), (backwards, len(pages) + 1 - number)):
        with tags.div(cls="bar ascending" if links is forwards else "bar descending"):
            with tags.nav(aria_label="Order"):
                tags.span("Name", cls="label")
                _add_link("A to Z", forwards[0][0], links is forwards)
                _add_link("Z to A", backwards[0][0], links is backwards)
            if len(pages) > 1:
                _add_pager(links, current)


def _add_pager(links: list[tuple[str, str]], current: int) -> None:
    """Add links to pages, of which each has a file and the names that it shows."""
    with tags.nav(aria_label="Pages"):
        if current > 1:
            tags.a("‹", href=links[current - 2][0], title="Previous page")
        for before, number in itertools.pairwise([0, *near(current, len(links))]):
            if number > before + 1:
                tags.span("…")
            file, span = links[number - 1]
            _add_link(str(number), file, number == current)["title"] = span
        if current < len(links):
            tags.a("›", href=links[current][0], title="Next page")


def _add_link(label: str, href: str, is_current: bool) -> tags.html_tag:
    return tags.span(label, aria_current="page") if is_current else tags.a(label, href=href)
