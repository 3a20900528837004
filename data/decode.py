"""From a file to pixels: identifiers exactly as they are, photographs as 8 bits a channel.

Orientation: a photograph's EXIF tag is obeyed, so that we see what its annotators saw; maps of
identifiers are drawn, not shot, and taken as they lie. Transparency: dropped, not composited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from pix2pixhd.util.errors import UserError

# Pillow's modes with one whole number a pixel. A palette's indices are such numbers.
ID_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N"})

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

# Gray levels of fewer than 8 bits are stretched to 0..255 by Pillow, by these factors.
STRETCH = {"L;2": 85, "L;4": 17}


class Header(NamedTuple):
    """What a file tells without decoding its pixels."""

    size: tuple[int, int]  # width and height, of photographs after turning them upright
    whole: bool  # the file ends as its format should; if not, it may yet be readable
    lossy: bool = False  # these are identifiers in a format that changes them a little


def read_header(path: Path, *, photo: bool, what: str) -> Header:
    """Read the header of an image.

    Args:
        photo: a photograph, else a map of identifiers.
        what: the kind of map, "label", "instance" or "image".

    Raises:
        UserError: not an image, or one of an unusable kind.
    """
    with opened(path) as image:
        _check_photo(path, image) if photo else _check_ids(path, image, what)
        sideways = photo and _orientation(image) in (5, 6, 7, 8)
        size = image.size[::-1] if sideways else image.size
        # MPO is a JPEG with further pictures behind it.
        lossy = not photo and image.format in ("JPEG", "MPO")
        return Header(size, is_whole(path, image), lossy)


def read_ids(path: Path, what: str) -> Image.Image:
    """Read a map of identifiers, of one channel of 1 to 32 bits or the indices of a palette.

    `what` is as for `read_header`.

    Returns:
        An image of mode L, or of mode I (int32) where the file has more than 8 bits.

    Raises:
        UserError: unreadable, several channels, or floating-point.
    """
    with opened(path) as image:
        _check_ids(path, image, what)
        stretch = _stretch(image)
        image.load()
    if image.mode == "L" and stretch == 1:
        return image
    ids = np.asarray(image)
    if ids.dtype in (np.bool_, np.uint8):
        return Image.fromarray(ids.astype(np.uint8) // np.uint8(stretch))
    return Image.fromarray(ids.astype(np.int32))


def read_photo(path: Path, channels: int) -> Image.Image:
    """Read a photograph, upright: for 1 channel in mode L, for 3 in mode RGB.

    Raises:
        UserError: unreadable, or its range of values unknown: floating-point, 32-bit integers.
    """
    with opened(path) as image:
        _check_photo(path, image)
        orientation = _orientation(image)
        image.load()
    if image.mode.startswith("I"):
        # Pillow's own conversion cuts off what is above 255.
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("P", "PA"):
        # Straight to RGB, Pillow warns about every palette with transparency.
        image = image.convert("RGBA")
    mode = "L" if channels == 1 else "RGB"
    if image.mode != mode:  # Pillow would copy the pixels
        image = image.convert(mode)
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


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
        raise UserError(_unreadable(path, error)) from error


def is_whole(path: Path, image: Image.Image) -> bool:
    """Whether the file of an image just opened ends as its format should."""
    last = LAST_BYTES.get(image.format or "", b"")
    with path.open("rb") as file:
        file.seek(-len(last), 2)
        return file.read() == last


def _unreadable(path: Path, error: Exception) -> str:
    """The reason why Pillow could not read a file."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return f"{path}: {error.strerror}; make the file readable, or remove its partners too"
    if path.stat().st_size == 0:
        return f"{path}: the file is empty (0 bytes), expected an image; copy it here again"
    if isinstance(error, UnidentifiedImageError):
        return f"{path}: not an image, whatever its name says; replace or remove it"
    if isinstance(error, Image.DecompressionBombError):
        return f"{path}: more pixels than Pillow takes for an honest image; cut it into tiles"
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{path}: damaged, its pixels cannot be decoded ({reason}); copy it here again"


def _check_ids(path: Path, image: Image.Image, what: str) -> None:
    """Refuse a label or instance map that has no whole numbers for pixels."""
    if image.mode in ID_MODES:
        return
    if image.mode == "F":
        raise UserError(
            f"{path}: this {what} map holds floating-point numbers, expected whole ones; "
            "save it with 8, 16 or 32 bits as integers"
        )
    pictures = "; for image-to-image put the pictures into <phase>_A and <phase>_B and give "
    instead = pictures + "--label_nc 0" if what == "label" else ", or give --no_instance"
    raise UserError(
        f"{path}: this {what} map has {Image.getmodebands(image.mode)} channels ({image.mode}), "
        f"expected one; save the number of each pixel's {what}, not its colour{instead}"
    )


def _check_photo(path: Path, image: Image.Image) -> None:
    """Refuse a photograph whose range of values is unknown."""
    # In these formats Pillow's "I" stands for 16 bits; elsewhere it may be any 32.
    if image.mode != "F" and (image.mode != "I" or image.format in ("PNG", "PPM")):
        return
    kind = "floating-point" if image.mode == "F" else "32-bit"
    raise UserError(
        f"{path}: this photograph holds {kind} numbers whose range is unknown, expected 8 or "
        "16 bits a channel; convert it"
    )


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
