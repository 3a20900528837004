"""The pages of test results: a row for each sample, sorted by name, cut into pages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from dominate import tags

from pages.html import add_figure, in_words, new_page, url, write_page
from util.image import save_image, save_thumbnail, thumbnail_size
from util.image_writer import ImageWriter

IMAGES = "images"
THUMBNAILS = "images/thumbs"


@dataclass(frozen=True)
class Picture:
    """A picture as the pages show it."""

    full: str  # path from the gallery's folder
    thumbnail: str  # the same
    size: tuple[int, int]  # the thumbnail's width and height in pixels


@dataclass(frozen=True)
class Row:
    """A sample and its pictures by column."""

    name: str
    pictures: dict[str, Picture]


@dataclass(frozen=True)
class Page:
    """A run of rows, and its place in one of the two directions."""

    number: int  # from 1
    descending: bool
    rows: list[Row]


class ResultsGallery:
    """Collects pictures and shows them side by side.

    The pages exist in both directions, so sorting works over all rows, opened from a disk and
    without a script: `index.html`, `page_0002.html`, ... from the first name to the last, and
    `index_desc.html`, `page_0002_desc.html`, ... back. They show thumbnails, small files of their
    own: fifty rows of 2048x1024 would otherwise weigh half a gigabyte.

    Args:
        folder: of the pages; pictures go to `images` in it, their thumbnails to `images/thumbs`.
        title: of the pages.
        columns: the pictures of a row, in this order.
        image_width: of the thumbnails and of pictures in the page, in pixels.
        rows_per_page: how many.
        note: a line at the top, such as how many images were left out.
    """

    def __init__(
        self,
        folder: Path,
        title: str,
        columns: list[str],
        image_width: int = 512,
        rows_per_page: int = 50,
        note: str = "",
    ) -> None:
        self.folder = folder
        self.title = title
        self.columns = columns
        self.image_width = image_width
        self.rows_per_page = rows_per_page
        self.note = note
        self.rows: list[Row] = []
        self._stems: set[str] = set()  # as they are compared
        self._reserved: dict[str, str] = {}  # name -> its stem

    def reserve(self, names: Iterable[str]) -> None:
        """Fix the stems of rows to come, as if they were added in this order.

        Processes that share the rows of a gallery then name their files as a single one would.
        """
        for name in names:
            assert name not in self._reserved, f"{name}: reserved twice"
            self._reserved[name] = self._unique_stem(name)

    def take(self, rows: Iterable[Row]) -> None:
        """Add rows of another gallery, which saved their pictures into the same folder."""
        self.rows += rows

    def add_pictures(
        self,
        writer: ImageWriter,
        name: str,
        images: Mapping[str, np.ndarray],
        image_format: str = "png",
    ) -> None:
        """Save pictures as `images/<stem>_<column>.<format>` with thumbnails, and add their row.

        The stem is the last part of the name; where an earlier row has it, folders come first.
        That of a reserved name was chosen then.

        Args:
            writer: saves in the background; it must be closed before the pages are looked at.
            name: heading of the row, by which rows are sorted; may hold folders (a/b).
            images: uint8 [H,W,3] for each column of which there is one.
            image_format: png or jpg.

        Raises:
            UserError: an earlier file could not be written.
        """
        stem = self._reserved.pop(name, None) or self._unique_stem(name)
        pictures = {}
        for what, image in images.items():
            picture = self._picture(image, f"{stem}_{what}.{image_format}")
            writer.submit(self._save, image, picture)
            pictures[what] = picture
        self._add(name, pictures)

    def write(self) -> None:
        """Write all pages, and remove those of an earlier and longer result.

        Raises:
            UserError: the folder cannot be written.
        """
        written = set()
        for descending in (False, True):
            rows = sorted(self.rows, key=lambda row: natural(row.name), reverse=descending)
            starts = range(0, max(1, len(rows)), self.rows_per_page)
            pages = [
                Page(number, descending, rows[start : start + self.rows_per_page])
                for number, start in enumerate(starts, 1)
            ]
            for page in pages:
                self._write_page(page, pages)
                written.add(file_name(page.number, descending))
        for old in self.folder.glob("page_*.html"):
            if re.fullmatch(r"page_\d{4,}(_desc)?\.html", old.name) and old.name not in written:
                old.unlink()

    def _add(self, name: str, pictures: dict[str, Picture]) -> None:
        unknown = pictures.keys() - set(self.columns)
        assert not unknown, f"no such columns: {unknown}"
        self.rows.append(
            Row(name, {what: pictures[what] for what in self.columns if what in pictures})
        )

    def _picture(self, image: np.ndarray, file: str) -> Picture:
        return Picture(
            full=f"{IMAGES}/{file}",
            thumbnail=f"{THUMBNAILS}/{PurePosixPath(file).with_suffix('.jpg')}",
            size=thumbnail_size(image.shape[1], image.shape[0], self.image_width),
        )

    def _save(self, image: np.ndarray, picture: Picture) -> None:
        save_image(image, self.folder / picture.full)
        save_thumbnail(image, self.folder / picture.thumbnail, self.image_width)

    def _unique_stem(self, name: str) -> str:
        parts = [part for part in PurePosixPath(name).parts if part != "/"]
        whole = "_".join(parts)
        numbered = (f"{whole}-{number}" for number in itertools.count(2))
        candidates = itertools.chain([parts[-1], whole], numbered)
        # Folded: some file systems hold A.png and a.png to be the same.
        stem = next(stem for stem in candidates if stem.casefold() not in self._stems)
        self._stems.add(stem.casefold())
        return stem

    def _write_page(self, page: Page, pages: list[Page]) -> None:
        html = new_page(
            f"{self.title}, page {page.number}" if page.number > 1 else self.title,
            columns=len(self.columns),
            image_width=self.image_width,
        )
        with html.body:
            with tags.header():
                tags.h1(self.title)
                if self.note:
                    tags.p(self.note)
                self._add_bar(page, pages)
            with tags.main():
                for row in page.rows:
                    self._add_section(row)
            with tags.footer():
                self._add_bar(page, pages)
        write_page(html, self.folder / file_name(page.number, page.descending))

    def _add_section(self, row: Row) -> None:
        with tags.section():
            tags.h2(row.name)
            with tags.div(cls="pictures"):
                for what, picture in row.pictures.items():
                    add_figure(
                        url(picture.thumbnail),
                        picture.size,
                        caption=in_words(what),
                        alt=f"{in_words(what)} of {row.name}",
                        full=url(picture.full),
                    )

    def _add_bar(self, page: Page, pages: list[Page]) -> None:
        with tags.div(cls="bar"):
            with tags.nav(aria_label="Order"):
                tags.span("Name", cls="label")
                for label, descending in (("A to Z", False), ("Z to A", True)):
                    _add_link(
                        label, file_name(1, descending), current=page.descending == descending
                    )
            if len(pages) > 1:
                _add_pager(page, pages)


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that puts frame_2 before frame_10 and minds no capitals."""
    parts = re.split(r"([0-9]+)", name.casefold())
    # Numbers are at the odd places always, so a number is compared with numbers only.
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def file_name(number: int, descending: bool) -> str:
    """Return the file of a page, counted from 1, in one of the directions."""
    return ("index" if number == 1 else f"page_{number:04d}") + "_desc" * descending + ".html"


def near(current: int, last: int, reach: int = 2) -> list[int]:
    """Return the page numbers to offer: the first, the last, and those around the current."""
    around = range(max(1, current - reach), min(last, current + reach) + 1)
    return sorted({1, *around, last})


def _add_pager(page: Page, pages: list[Page]) -> None:
    last = len(pages)
    with tags.nav(aria_label="Pages"):
        _add_step("«", "First page", 1, page)
        _add_step("‹", "Previous page", max(1, page.number - 1), page)
        before = 0
        for number in near(page.number, last):
            if number > before + 1:
                tags.span("…")
            link = _add_link(str(number), file_name(number, page.descending), number == page.number)
            rows = pages[number - 1].rows
            link["title"] = f"{rows[0].name} to {rows[-1].name}"
            before = number
        _add_step("›", "Next page", min(last, page.number + 1), page)
        _add_step("»", "Last page", last, page)


def _add_step(sign: str, meaning: str, number: int, page: Page) -> None:
    if number == page.number:
        tags.span(sign, aria_hidden="true")
    else:
        href = file_name(number, page.descending)
        tags.a(sign, href=href, title=meaning, aria_label=meaning)


def _add_link(label: str, href: str, current: bool) -> tags.html_tag:
    return tags.span(label, aria_current="page") if current else tags.a(label, href=href)
