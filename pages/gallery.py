"""The pages of test results: a row for each sample, sorted by name, cut into pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from dominate import tags

from pix2pixhd.pages.html import (
    Picture,
    add_figure,
    add_legend,
    add_section,
    image_size,
    in_words,
    new_page,
    remove_stale,
    write_page,
)
from pix2pixhd.pages.pager import DESCENDING, add_bars, file_name, natural
from pix2pixhd.pages.result_files import copy_file, keep_files, link_or_copy, plan_files
from pix2pixhd.util.image import (
    THUMBNAIL_QUALITY,
    save_image,
    save_thumbnail,
    save_values,
    thumbnail_size,
)
from pix2pixhd.util.image_writer import ImageWriter
from pix2pixhd.util.labels import LabelSet

EVALUATION = "evaluation.html"  # the page of figures beside a gallery

# The name of the file of the photograph that the style is from; rows end in a column's name.
STYLE = "style_from"


class Row(NamedTuple):
    """A sample, its pictures, and the paths of all their files."""

    name: str
    pictures: list[Picture]
    files: list[str]


class Original(NamedTuple):
    """A picture that is a file already, in the gallery's format: it is copied.

    Not linked: who edits a picture of the results would edit the data set.
    """

    file: Path
    size: tuple[int, int]  # width and height
    read_small: Callable[[tuple[int, int]], np.ndarray]  # width, height -> uint8 [H,W,3] so large


class Style(NamedTuple):
    """The photograph that the style of a rendering is from."""

    name: str
    image: np.ndarray  # uint8 [H,W,3]


@dataclass
class ResultsGallery:
    """Collects pictures and shows them side by side.

    The pages are `index.html`, `page_0002.html`, ... from the first name to the last; for the other
    direction see `pages.pager`. They show thumbnails, small files of their own: fifty rows of
    2048x1024 would otherwise weigh half a gigabyte.
    """

    folder: Path  # of the pages; pictures go to `images` in it, thumbnails to `images/thumbs`
    title: str
    columns: list[str]  # the pictures that a row may have, in this order
    labels: LabelSet  # shown in a legend; without labels, captions say that the input is an image
    image_width: int = 512  # of the thumbnails and of pictures in the page, in pixels
    rows_per_page: int = 50
    image_format: str = "png"  # or jpg
    plain_folders: bool = False  # also put each picture into a folder of its column
    note: str = ""  # a line at the top, such as how many images were left out
    date: str = ""  # of the rendering
    command: str = ""  # that made it
    style: Style | None = None
    rows: list[Row] = field(default_factory=list, init=False)  # to which others' may be added
    _stems: dict[str, str] = field(default_factory=dict, init=False)  # of each row's files
    _has_figures: bool = field(default=False, init=False)

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

    def plan(self) -> None:
        """List the files to come, before any is written; one process does it for all of them.

        Raises UserError where the folder cannot be written.
        """
        endings = {self.image_format, "png", "tif"}
        stems = itertools.product(self._stems.values(), self.columns)
        names = [*(f"{stem}_{what}" for stem, what in stems), STYLE]
        files = [f"images/{name}.{ending}" for name in names for ending in endings]
        files += [f"images/thumbs/{name}.jpg" for name in names]
        if self.plain_folders:
            of_plain = itertools.product(self.columns, self._stems.values(), endings)
            files += [f"{what}/{stem}.{ending}" for what, stem, ending in of_plain]
        plan_files(self.folder, files)

    def add_pictures(
        self,
        writer: ImageWriter,
        name: str,
        images: Mapping[str, np.ndarray | Original],
        values: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Save pictures as `images/<stem>_<column>.<format>` with thumbnails, and add their row.

        Values go into the picture's own file where that can hold them, and else beside it.

        Args:
            writer: saves in the background; raises what went wrong with an earlier file.
            name: heading of the row, by which rows are sorted; may hold folders (a/b); reserved.
            images: uint8 [H,W,3], or what stands for it, for each column of which there is one.
            values: of such an image, [C,H,W] of uint8, uint16 or float32, where the picture tells
                less.
        """
        assert images.keys() <= set(self.columns), f"no such columns: {list(images)}"
        stem, row = self._stems[name], Row(name, [], [])
        for what in (what for what in self.columns if what in images):
            file, of_values = f"{stem}_{what}", (values or {}).get(what)
            caption = in_words(what, has_labels=len(self.labels) > 0)
            picture = self._picture(file, _size_of(images[what]), caption, f"{caption} of {name}")
            if of_values is not None:
                kept = f"images/{file}.{ending_of(of_values, self.image_format)}"
                picture = replace(picture, values="" if kept == picture.full else kept)
            plain = ""
            if self.plain_folders:
                suffix = PurePosixPath(picture.values or picture.full).suffix
                plain = f"{what}/{stem}{suffix}"
            writer.submit(self._save, images[what], of_values, picture, plain)
            row.pictures.append(picture)
            row.files.extend(filter(None, (picture.file, picture.full, picture.values, plain)))
        self.rows.append(row)

    def keep_row(self, name: str, columns: Iterable[str], since_ns: int) -> bool:
        """Add the row of an earlier rendering, of pictures alone; False, and none, where one of its
        files is not there, or was written before a time, in nanoseconds since 1970."""
        stem, row = self._stems[name], Row(name, [], [])
        for what in columns:
            file, caption = f"{stem}_{what}", in_words(what, has_labels=len(self.labels) > 0)
            size = image_size(self.folder / f"images/{file}.{self.image_format}")
            if size is None:
                return False
            picture = self._picture(file, size, caption, f"{caption} of {name}")
            row.pictures.append(picture)
            row.files.extend((picture.file, picture.full))
            if self.plain_folders:
                row.files.append(f"{what}/{stem}.{self.image_format}")
        paths = [self.folder / file for file in row.files]
        if not all(path.is_file() and path.stat().st_mtime_ns >= since_ns for path in paths):
            return False
        self.rows.append(row)
        return True

    def write(self) -> None:
        """Write all pages, and remove files of an earlier and longer result.

        Raises UserError where the folder cannot be written.
        """
        files = [file for row in self.rows for file in row.files]
        if self.style:
            picture = self._style_picture(self.style)
            self._save(self.style.image, None, picture)
            files += [picture.file, picture.full]
        rows = sorted(self.rows, key=lambda row: natural(row.name))
        starts = range(0, max(1, len(rows)), self.rows_per_page)
        pages = [rows[start : start + self.rows_per_page] for start in starts]
        self._has_figures = self._are_evaluated()
        written = {self._write_page(number, pages) for number in range(1, len(pages) + 1)}
        # Earlier versions had a page of its own for each page backwards.
        remove_stale(self.folder, "*.html", r"(index|page_\d{4,})(_desc)?\.html", written)
        keep_files(self.folder, files)

    def _picture(self, file: str, whole: tuple[int, int], caption: str, alt: str) -> Picture:
        size = thumbnail_size(*whole, self.image_width)
        thumbnail, full = f"images/thumbs/{file}.jpg", f"images/{file}.{self.image_format}"
        return Picture(thumbnail, size, caption, alt, full)

    def _style_picture(self, style: Style) -> Picture:
        caption = f"style of {style.name}"
        alt = "photograph that the style is from"
        return self._picture(STYLE, _size_of(style.image), caption, alt)

    def _save(
        self,
        image: np.ndarray | Original,
        values: np.ndarray | None,
        picture: Picture,
        plain: str = "",
    ) -> None:
        """Write the files of a picture; `plain` is its path in a plain folder."""
        thumbnail, full = self.folder / picture.file, self.folder / picture.full
        kept = self.folder / (picture.values or picture.full)
        if isinstance(image, Original):
            save_image(image.read_small(picture.size), thumbnail, quality=THUMBNAIL_QUALITY)
            copy_file(image.file, full)
        else:
            save_thumbnail(image, thumbnail, self.image_width)
            if values is None or picture.values:
                save_image(image, full)
        if values is not None and values.dtype == np.uint8 and len(values) == 1:
            save_image(values[0], kept)
        elif values is not None:
            save_values(values, kept)
        if plain:
            link_or_copy(kept, self.folder / plain)

    def _write_page(self, number: int, pages: list[list[Row]]) -> str:
        """Write a page, counted from 1; returns its file's name."""
        title = f"{self.title}, page {number}" if number > 1 else self.title
        columns = max((len(row.pictures) for row in self.rows), default=1)
        html = new_page(title, columns=columns, image_width=self.image_width)
        html.body["id"] = DESCENDING
        spans = [_span(rows) for rows in pages]
        with html.body:
            with tags.header():
                tags.h1(self.title)
                self._add_facts()
                add_bars(number, spans)
            with tags.main():
                for row in pages[number - 1]:
                    add_section(row.name, row.pictures)
            with tags.footer():
                add_bars(number, spans)
        file = file_name(number)
        write_page(html, self.folder / file)
        return file

    def _add_facts(self) -> None:
        """Add what the pages are of, and how they were made."""
        if self.note:
            tags.p(self.note)
        if self.command:
            tags.p(f"Rendered {self.date} by")
            tags.pre(tags.code(self.command), cls="command")
        if self._has_figures:
            tags.p(tags.a("Figures of these images", href=EVALUATION))
        add_legend(self.labels)
        if self.style:
            with tags.div(cls="style"):
                add_figure(self._style_picture(self.style))

    def _are_evaluated(self) -> bool:
        """Whether there is a page of figures that no picture was written after."""
        page = self.folder / EVALUATION
        times = [(self.folder / p.full).stat().st_mtime_ns for r in self.rows for p in r.pictures]
        return page.is_file() and page.stat().st_mtime_ns >= max(times, default=0)


def _span(rows: list[Row]) -> str:
    """The names that a page shows, first to last."""
    return f"{rows[0].name} to {rows[-1].name}" if rows else ""


def _size_of(image: np.ndarray | Original) -> tuple[int, int]:
    """Width and height."""
    return image.size if isinstance(image, Original) else (image.shape[1], image.shape[0])


def ending_of(values: np.ndarray, image_format: str) -> str:
    """The ending of a file that holds all values, [C,H,W]: a picture's where it can."""
    if len(values) == 1 and values.dtype == np.uint8:
        return image_format
    return "png" if len(values) in (1, 3) and values.dtype != np.float32 else "tif"
