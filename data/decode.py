"""From a file to pixels: identifiers exactly as they are, photographs as 8 bits a channel.

Orientation: a photograph's EXIF tag is obeyed, so that we see what its annotators saw; maps of
identifiers are drawn, not shot, and taken as they lie. Transparency: dropped, not composited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from data import problems
from util.errors import UserError

# The end of a file that was written to its end: PNG's last chunk, JPEG's last marker.
LAST_BYTES = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}

# What turns a photograph upright, by its EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)

# Gray levels of fewer than 8 bits are stretched to 0..255 by Pillow, by these factors.
STRETCH = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True)
class Header:
    """What a file tells without decoding its pixels."""

    size: tuple[int, int]
    """Width and height, of photographs after turning them upright."""

    whole: bool
    """Whether the file ends as its format should. If not, it may yet be readable."""

    lossy: bool = False
    """Whether these are identifiers in a format that changes them a little."""


def read_header(path: Path, *, photo: bool, what: str) -> Header:
    """Read the header of an image.

    Args:
        path: the file.
        photo: a photograph, else a map of identifiers.
        what: the kind of map, "label", "instance" or "image".

    Raises:
        UserError: not an image, or one of an unusable kind.
    """
    with opened(path) as image:
        _raise_if(_mode_problem(path, image, photo, what))
        width, height = image.size
        sideways = photo and _orientation(image) in SIDEWAYS
        size = (height, width) if sideways else (width, height)
        # MPO is a JPEG with further pictures behind it.
        lossy = not photo and image.format in ("JPEG", "MPO")
        return Header(size, is_whole(path, image), lossy)


def read_ids(path: Path, what: str) -> Image.Image:
    """Read a map of identifiers.

    Args:
        path: a file of one channel of 1 to 32 bits, or with a palette, whose indices count.
        what: the kind of map, "label" or "instance".

    Returns:
        An image of mode L, or of mode I (int32) where the file has more than 8 bits.

    Raises:
        UserError: unreadable, several channels, or floating-point.
    """
    with opened(path) as image:
        _raise_if(_mode_problem(path, image, False, what))
        stretch = _stretch(image)
        image.load()
    if image.mode == "L" and stretch == 1:
        return image
    ids = np.asarray(image)
    if ids.dtype in (np.bool_, np.uint8):
        return Image.fromarray(ids.astype(np.uint8) // np.uint8(stretch))
    return Image.fromarray(ids.astype(np.int32))


def read_photo(path: Path, channels: int) -> Image.Image:
    """Read a photograph, upright.

    Args:
        path: a file of any kind but floating-point and 32-bit integers.
        channels: 1 for mode L, 3 for mode RGB.

    Raises:
        UserError: unreadable, or its range of values unknown.
    """
    with opened(path) as image:
        _raise_if(_mode_problem(path, image, True, "image"))
        orientation = _orientation(image)
        image.load()
    photo: Image.Image = image
    if photo.mode.startswith("I"):
        # Pillow's own conversion cuts off what is above 255.
        photo = Image.fromarray(np.rint(np.asarray(photo) / 257).astype(np.uint8))
    if photo.mode in ("P", "PA"):
        # Straight to RGB, Pillow warns about every palette with transparency.
        photo = photo.convert("RGBA")
    mode = "L" if channels == 1 else "RGB"
    if photo.mode != mode:  # Pillow would copy the pixels
        photo = photo.convert(mode)
    return photo.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else photo


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image whose pixels are yet to be loaded. Pillow's errors on the way are the user's."""
    try:
        with Image.open(path) as image:
            yield image
    except (UserError, MemoryError):
        raise
    # Pillow's readers raise many a type on damaged files: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise UserError(problems.unreadable(path, error)) from error


def is_whole(path: Path, image: Image.Image) -> bool:
    """Whether the file of an image just opened ends as its format should."""
    last = LAST_BYTES.get(image.format or "", b"")
    with path.open("rb") as file:
        file.seek(-len(last), 2)
        return file.read() == last


def _raise_if(problem: str | None) -> None:
    if problem:
        raise UserError(problem)


def _mode_problem(path: Path, image: Image.Image, photo: bool, what: str) -> str | None:
    if photo:
        return problems.photo_mode(path, image.mode, image.format)
    return problems.id_mode(path, image.mode, what)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a picture just opened: 1 is upright, the others as in UPRIGHT.

    TIFF is turned by Pillow itself, and a PNG without the tag before its pixels would be decoded
    to look for it behind them.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _stretch(image: Image.Image) -> int:
    """The factor by which Pillow will multiply the values of an image just opened."""
    tiles = getattr(image, "tile", ())
    raw = tiles[0][3] if tiles else ""
    return STRETCH.get(raw if isinstance(raw, str) else raw[0], 1)
