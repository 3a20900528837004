"""What all pages are made of: the skeleton with its style, and pictures. Made with dominate.

A page is a file in this folder that starts with `new_page`, adds elements and pictures to it, and
ends with `write_page`. Everything but the pictures is in the page itself, so that a folder can be
zipped, mailed and opened from disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dominate import document, tags
from dominate.util import raw
from PIL import Image

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing, writing
from pix2pixhd.util.labels import LabelSet


@dataclass(frozen=True)
class Picture:
    """A picture in a page, and the files that it is of."""

    file: str  # path from the page's folder
    size: tuple[int, int]  # width and height in pixels: its place is kept before it has loaded
    caption: str = ""  # the line below
    alt: str = ""  # what it shows, for those who cannot see it
    full: str = ""  # path of the full size, where that is another file
    values: str = ""  # path of a file with all values, where the picture cannot show them
    written: float = 0.0  # seconds since 1970; browsers show an old version where it is not told


def new_page(
    title: str, *, columns: int, image_width: int, refresh_seconds: int = 0, command: str = ""
) -> document:
    """Start a page.

    Args:
        title: of the window.
        columns: pictures side by side where there is room; on a phone they are stacked.
        image_width: of a picture, in CSS pixels, where there is room.
        refresh_seconds: the browser loads the page again this often; 0 for never.
        command: of evaluate.py, where `refuse_other` is to know its page again.
    """
    page = document(title=title)
    page["lang"] = "en"
    page.body["style"] = f"--columns: {columns}; --width: {image_width}px"
    with page.head:
        tags.meta(charset="utf-8")
        tags.meta(name="viewport", content="width=device-width, initial-scale=1")
        tags.meta(name="color-scheme", content="light dark")
        if command:
            tags.meta(name="generator", content=f"evaluate.py {command}")
        if refresh_seconds:
            tags.meta(http_equiv="refresh", content=str(refresh_seconds))
        tags.style(raw(Path(__file__).with_name("style.css").read_text(encoding="utf-8")))
    return page


def add_figure(picture: Picture, *, eager: bool = False) -> None:
    """Add a picture with its caption to the element that is open; a click shows it in full size.

    An `eager` one loads at once, and before the page is shown, instead of when scrolled to.
    """
    # Decoding before the page is shown keeps the pictures on top from flashing at a refresh.
    hints = {"decoding": "sync"} if eager else {"decoding": "async", "loading": "lazy"}
    version = f"?{picture.written:.3f}" if picture.written else ""
    source = _url(picture.file) + version
    width, height = picture.size
    with tags.figure():
        with tags.a(href=_url(picture.full) if picture.full else source):
            tags.img(src=source, width=width, height=height, alt=picture.alt, **hints)
        if picture.caption:
            with tags.figcaption(picture.caption):
                if picture.values:
                    tags.a(f"values ({Path(picture.values).suffix})", href=_url(picture.values))


def add_section(heading: str, pictures: Iterable[Picture], note: str = "", **how: bool) -> None:
    """Add a row of pictures below a heading, with a note beside it; for `how` see `add_figure`."""
    with tags.section():
        tags.h2(heading, tags.small(note) if note else "")
        with tags.div(cls="pictures"):
            for picture in pictures:
                add_figure(picture, **how)


def in_words(what: str, *, has_labels: bool = True) -> str:
    """Turn the name of a picture into a caption: synthesized_image becomes synthesized image.

    Files of an input are called input_label, as the reference calls them, also where it is an
    image: without labels the caption says so.
    """
    return (what if has_labels else what.replace("input_label", "input_image")).replace("_", " ")


def add_legend(labels: LabelSet, shown: Container[int] | None = None) -> None:
    """Add the labels' numbers, names if they have any, and colours, folded up.

    Args:
        labels: of the data set.
        shown: those that occur on the page; None: all of them.
    """
    there = [n for n in range(len(labels)) if shown is None or n in shown]
    if not there:
        return
    with tags.details(cls="legend"):
        tags.summary(f"{len(there)} label{'s' * (len(there) != 1)}")
        with tags.ul():
            for number in there:
                with tags.li():
                    add_swatch(labels.colours[number])
                    tags.span(" ".join([str(number), *labels.names[number : number + 1]]))


def add_swatch(colour: Iterable[int]) -> None:
    """Add a small square of a colour, red, green and blue in 0..255."""
    tags.span(cls="swatch", style="background: rgb({} {} {})".format(*colour))


def image_size(path: Path) -> tuple[int, int] | None:
    """Return an image's width and height in pixels; None where there is none that can be read."""
    if not path.is_file():
        return None
    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def write_page(page: document, path: Path) -> None:
    """Write the page whole or not at all; raises UserError where it cannot be written."""
    with replacing(path) as file:
        # A file's name may hold bytes that are no text: its link works, its heading shows "?".
        file.write(page.render().encode(errors="replace"))


def refuse_other(path: Path, command: str) -> None:
    """Raises UserError where a file is in the place of a command's page and is no such page."""
    if not path.exists():
        return
    with writing(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    if f'content="evaluate.py {command}"' not in text:
        remedy = "give another --out, or remove it first"
        raise UserError(f"{path}: is no page of evaluate.py {command} and would be lost; {remedy}")


def remove_stale(folder: Path, glob: str, ours: str, written: Container[str]) -> None:
    """Remove files of an earlier page: those whose path in `folder` is as `ours`, but no others."""
    for old in folder.glob(glob):
        file = old.relative_to(folder).as_posix()
        if re.fullmatch(ours, file) and file not in written:
            with writing(old):
                old.unlink()


def _url(path: str) -> str:
    """Quote a relative path, which may hold spaces, `#`, `%`, `?` or any bytes, as a link."""
    return quote(os.fsencode(path))
