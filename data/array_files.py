"""Image files that come as arrays: what Pillow would reduce to 8 bits or fewer channels, or cannot
read. These are PNG of 16 bits and several channels, TIFF likewise or in floating point, and .npy.

What the libraries raise on damaged files is translated by `data.decode`. They are imported where
they are used: most data sets need none of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from pix2pixhd.util.errors import UserError

# PNG as Pillow names its pixels -> channels. It would read them as bytes.
DEEP_PNG = {"LA;16B": 2, "RGB;16B": 3, "RGBA;16B": 4}

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN_COLOURS = ("MINISBLACK", "RGB", "SEPARATED")  # whose values stand for themselves
ALPHA = (1, 2)  # the kinds of a TIFF's extra samples that are transparency

LUMA = (19595, 38470, 7471)  # of red, green and blue, in 65536ths: as Pillow makes gray

# Its remarks on damaged files would stand beside the one line that we write.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class ArrayFile(NamedTuple):
    """What the header of such a file tells, and how to read the rest."""

    format: str  # as Pillow names it
    size: tuple[int, int]  # width and height as they lie in the file
    channels: int  # transparency included
    dtype: np.dtype
    alpha: bool  # the last channel is transparency
    orientation: int  # as EXIF has it
    whole: bool  # the file is as long as its header says
    read: Callable[[], np.ndarray]  # [C,H,W], as they lie in the file


def array_file(path: Path, image: Image.Image, channels: int | None) -> ArrayFile | None:
    """What stands in for an image just opened, should Pillow not read all that is in it.

    Args:
        channels: as many are wanted; None if that does not matter.
    """
    if image.format == "PNG" and (of_png := DEEP_PNG.get(raw_mode(image))):
        return _png_file(path, image, of_png)
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        samples, bits = tags.get(277, 1), max(tags.get(258, (1,)))
        stacked = image.mode in ("L", "I;16", "F") and channels not in (None, 1, 3)
        if (samples > 1 and bits > 8) or samples > len(image.getbands()) or stacked:
            return tiff_file(path, channels)
    return None


def raw_mode(image: Image.Image) -> str:
    """How the pixels of an image just opened lie in its file."""
    tiles = getattr(image, "tile", ())
    raw = tiles[0][3] if tiles else ""
    return raw if isinstance(raw, str) else raw[0]


def _png_file(path: Path, image: Image.Image, channels: int) -> ArrayFile:
    def read() -> np.ndarray:
        from imagecodecs import png_decode

        # It makes transparency of a colour that the file calls transparent: one channel more.
        return png_decode(path.read_bytes()).transpose(2, 0, 1)[:channels]

    dtype, alpha = np.dtype(np.uint16), channels in (2, 4)
    return ArrayFile("PNG", image.size, channels, dtype, alpha, exif_orientation(image), True, read)


def exif_orientation(image: Image.Image | ArrayFile) -> int:
    """How a picture just opened is turned, 1 being upright.

    TIFF is turned by Pillow itself, and a PNG without the tag before its pixels would be decoded
    to look for it behind them.
    """
    if isinstance(image, ArrayFile):
        return image.orientation
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def is_tiff(path: Path) -> bool:
    """By the file's first bytes."""
    with path.open("rb") as file:
        return file.read(4) in TIFF_MAGIC


def tiff_file(path: Path, channels: int | None) -> ArrayFile:
    """A TIFF's first page; or, where other than 1 or 3 channels are wanted, all gray pages of the
    same size, each being a channel.

    Raises:
        UserError: pixels of an unusual arrangement.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        pages = tiff.series[0]
        stacked = page.samplesperpixel == 1 and len(pages.shape) == 3 and channels not in (1, 3)
        axes = pages.axes if stacked else page.axes
        shape = pages.shape if stacked else page.shape
        photometric = getattr(page.photometric, "name", str(page.photometric))
        plain = photometric in PLAIN_COLOURS and page.imagedepth == 1
        if page.dtype is None or not plain or len(shape) not in (2, 3):
            kind = f"{photometric.lower()}, {'x'.join(map(str, shape))}"
            raise UserError(
                f"{path}: a TIFF of unusual pixels ({kind}), expected gray, RGB or plain channels; "
                "save it so, or as .npy"
            )
        if 0 in shape:
            raise ValueError("no pixels")
        last = len(shape) == 3 and axes.endswith("S")
        height, width = shape[:2] if last else shape[-2:]
        ends = zip(page.dataoffsets, page.databytecounts, strict=True)
        whole = max((sum(end) for end in ends), default=0) <= path.stat().st_size
        of_gray = page.samplesperpixel == 2 and any(int(k) in ALPHA for k in page.extrasamples)
        alpha = of_gray or (photometric == "RGB" and page.samplesperpixel == 4)
        orientation = int(page.tags.valueof(274, default=1))

    def read() -> np.ndarray:
        with tifffile.TiffFile(path) as tiff:
            values = tiff.series[0].asarray() if stacked else tiff.pages.first.asarray()
        if values.shape != shape:
            raise ValueError(f"{values.shape} in place of {shape} values")
        return _planes(values, last)

    _check_pixels(width, height)
    count = 1 if len(shape) == 2 else shape[-1] if last else shape[0]
    size = width, height
    return ArrayFile("TIFF", size, count, page.dtype, alpha, orientation, whole, read)


def npy_file(path: Path, channels: int | None) -> ArrayFile:
    """An array [H,W], [H,W,C] or [C,H,W]; of the latter two, the axis of the channels is the one
    that has as many as are wanted, or else the shorter one.

    Raises:
        UserError: of another shape.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if "Python objects" not in str(error):
            raise
        remedy = "save it as uint8, uint16 or float32"
        raise UserError(f"{path}: an array of Python objects, expected numbers; {remedy}") from None
    shape = array.shape
    if len(shape) not in (2, 3) or 0 in shape:
        raise UserError(
            f"{path}: an array of shape {list(shape)}, expected [H,W], [H,W,C] or [C,H,W]; "
            "save one image in a file"
        )
    last = len(shape) == 3 and (
        shape[2] == channels or (shape[0] != channels and shape[2] <= shape[0])
    )
    height, width = shape[:2] if last else shape[-2:]
    _check_pixels(width, height)
    count = 1 if len(shape) == 2 else shape[2] if last else shape[0]
    dtype = array.dtype.newbyteorder("=")
    size = width, height
    return ArrayFile(
        "NPY", size, count, dtype, False, 1, True, lambda: _planes(np.array(array), last)
    )


def upright(planes: np.ndarray, orientation: int) -> np.ndarray:
    """[C,H,W] turned upright, by its EXIF orientation."""
    if orientation >= 5:
        planes = planes.swapaxes(1, 2)
    if orientation in (2, 3, 6, 7):
        planes = planes[:, :, ::-1]
    return planes[:, ::-1] if orientation in (3, 4, 7, 8) else planes


def with_channels(planes: np.ndarray, channels: int) -> np.ndarray:
    """[C,H,W] as `channels` of them: as many, without transparency, or as gray or RGB."""
    if len(planes) == channels:
        return planes
    # Of two or four, the last one is transparency.
    colour = planes[: 3 if len(planes) > 2 else 1]
    if len(colour) == channels:
        return colour
    if channels == 3:
        return np.repeat(colour, 3, axis=0)
    if planes.dtype.kind == "f":
        return np.tensordot(np.array(LUMA, np.float32) / np.float32(65536), colour, 1)[None]
    gray = sum(np.uint32(weight) * plane for weight, plane in zip(LUMA, colour, strict=True))
    return (gray + np.uint32(32768) >> 16).astype(planes.dtype)[None]


def _planes(values: np.ndarray, last: bool) -> np.ndarray:
    """[C,H,W] in the machine's byte order, of [H,W] or [C,H,W], or `last` [H,W,C]."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim == 2:
        return values[None]
    return values.transpose(2, 0, 1) if last else values


def _check_pixels(width: int, height: int) -> None:
    """Pillow's own limit, for what it does not see."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise Image.DecompressionBombError
