"""From a file to pixels: identifiers exactly as they are, photographs with all their bits.

Orientation: a photograph's EXIF tag is obeyed, so that we see what its annotators saw; maps of
identifiers are drawn, not shot, and taken as they lie. Transparency: dropped, not composited,
unless as many channels are wanted.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pix2pixhd.data import array_files
from pix2pixhd.data.array_files import ArrayFile, exif_orientation
from pix2pixhd.data.opening import is_whole, opened_file
from pix2pixhd.util.errors import UserError

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

# Photographs of these types have a black and a white that are known, or are given by flags.
DEPTHS = {np.dtype(kind) for kind in (np.uint8, np.uint16, np.float16, np.float32, np.float64)}

# Which flag says how many channels there are, by the kind of map.
CHANNEL_FLAGS = {"image": "--output_nc", "label": "--input_nc", "extra": "--extra_nc"}


class Header(NamedTuple):
    """What a file tells without decoding its pixels."""

    size: tuple[int, int]  # width and height, of photographs after turning them upright
    whole: bool  # the file ends as its format should; if not, it may yet be readable
    lossy: bool = False  # these are identifiers in a format that changes them a little
    channels: int = 1  # transparency included
    dtype: np.dtype = np.dtype(np.uint8)
    alpha: bool = False  # the last channel is transparency


def read_header(path: Path, *, photo: bool, what: str, channels: int | None = None) -> Header:
    """Read the header of an image.

    Args:
        photo: a photograph, else a map of identifiers.
        what: the kind of map, "label", "instance", "image" or "extra".
        channels: a photograph will be read as so many; None: any number is fine.

    Raises:
        UserError: not an image, or one of an unusable kind.
    """
    with opened_file(path, channels if photo else 1) as file:
        header = _header(file, photo)
        header = header._replace(whole=header.whole and is_whole(path, file))
    _check_photo(path, header, what, channels) if photo else _check_ids(path, header, what)
    return header


def read_ids(path: Path, what: str) -> Image.Image:
    """Read a map of identifiers: one channel of integers, the indices of a palette, or colours that
    are all gray. `what` is as for `read_header`.

    Returns:
        An image of mode L, of mode I;16 where the file has 16 bits, or of mode I (int32).

    Raises:
        UserError: unreadable, of colours or of floating-point numbers, or too large ones.
    """
    with opened_file(path, 1) as file:
        header = _header(file, photo=False)
        _check_ids(path, header, what)
        if isinstance(file, ArrayFile):
            planes, stretch = file.read(), 1
        else:
            stretch = STRETCH.get(array_files.raw_mode(file), 1)
            file.load()
            if file.mode in ("L", "I;16") and stretch == 1:
                return file
            planes = planes_of(file)
    ids = planes[0]
    if any(not np.array_equal(ids, plane) for plane in planes[1 : 3 if header.channels > 2 else 1]):
        raise UserError(_no_ids(path, header, what))
    if ids.dtype in (np.bool_, np.uint8):
        return Image.fromarray(ids.astype(np.uint8) // np.uint8(stretch))
    if header.dtype == np.uint16:
        return Image.fromarray(ids.astype(np.uint16))
    if not np.can_cast(ids.dtype, np.int32) and (ids.min() < -(2**31) or ids.max() >= 2**31):
        raise UserError(
            f"{path}: {what} {ids.max()} found, expected at most {2**31 - 1}; renumber them"
        )
    return Image.fromarray(ids.astype(np.int32))


def read_photo(path: Path, channels: int, what: str = "image") -> np.ndarray:
    """Read a photograph, upright: [channels,H,W], uint8, uint16 or float32, as the file has it.

    Arguments and errors are those of `decode_photo`.
    """
    photo = decode_photo(path, channels, what)
    return photo if isinstance(photo, np.ndarray) else planes_of(photo)


def decode_photo(path: Path, channels: int, what: str = "image") -> Image.Image | np.ndarray:
    """Read a photograph as `read_photo` does, but without copying what Pillow has decoded.

    Args:
        channels: 1 or 3 convert between gray and colours; else the file must have as many.
        what: the kind of map: "image", "label" or "extra".

    Returns:
        An image of mode L or RGB where it has 8 bits and 1 or 3 channels; else [channels,H,W].

    Raises:
        UserError: unreadable, of another number of channels, its range of values unknown
            (integers of 32 bits), or not all numbers finite.
    """
    with opened_file(path, channels) as file:
        header = _header(file, photo=True)
        _check_photo(path, header, what, channels)
        orientation = exif_orientation(file)
        if isinstance(file, ArrayFile):
            planes = array_files.upright(file.read(), orientation)
        else:
            file.load()
            image = _of_bytes(file, channels) if header.dtype == np.uint8 else file
            image = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
            if image.mode in ("L", "RGB"):
                return image
            planes = planes_of(image)
    dtype = np.float32 if header.dtype.kind == "f" else header.dtype
    with np.errstate(over="ignore"):  # to infinity, which is told below
        planes = array_files.with_channels(planes.astype(dtype, copy=False), channels)
    if dtype == np.float32 and not np.isfinite(planes).all():
        raise UserError(
            f"{path}: not all values are finite numbers that float32 holds; replace what is NaN or "
            "infinite"
        )
    return planes


def planes_of(image: Image.Image) -> np.ndarray:
    """An image as [C,H,W]."""
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _header(file: Image.Image | ArrayFile, photo: bool) -> Header:
    """What a file tells, usable or not, but for its end."""
    sideways = photo and exif_orientation(file) in (5, 6, 7, 8)
    size = file.size[::-1] if sideways else file.size
    if isinstance(file, ArrayFile):
        return Header(size, file.whole, False, file.channels, file.dtype, file.alpha)
    if file.mode in ("P", "PA"):
        alpha = photo and (file.mode == "PA" or "transparency" in file.info)
        channels = 3 + alpha if photo else 1
    else:
        # Four inks are a way to keep three colours.
        channels = 3 if photo and file.mode == "CMYK" else len(file.getbands())
        alpha = file.mode in ("LA", "La", "RGBA", "RGBa", "RGBX")
    # MPO is a JPEG with further pictures behind it.
    lossy = not photo and file.format in ("JPEG", "MPO")
    return Header(size, True, lossy, channels, _dtype(file), alpha)


def _dtype(image: Image.Image) -> np.dtype:
    """Of an image's values."""
    if image.mode == "F":
        return np.dtype(np.float32)
    if image.mode == "I":
        # In these formats it stands for 16 bits; elsewhere it may be any 32.
        return np.dtype(np.uint16 if image.format in ("PNG", "PPM") else np.int32)
    return np.dtype(np.uint16 if image.mode.startswith("I;16") else np.uint8)


def _of_bytes(image: Image.Image, channels: int) -> Image.Image:
    """A photograph of 8 bits with as many channels: of mode L or RGB, or as it is."""
    if image.mode in ("P", "PA"):
        # Straight to RGB, Pillow warns about every palette with transparency.
        image = image.convert("RGBA")
    mode = {1: "L", 3: "RGB"}.get(channels, image.mode)
    return image if image.mode == mode else image.convert(mode)  # else Pillow would copy the pixels


def _check_ids(path: Path, header: Header, what: str) -> None:
    """Refuse a label or instance map that cannot have whole numbers for pixels."""
    if header.dtype.kind not in "bui":
        kind = "floating-point" if header.dtype.kind == "f" else header.dtype
        raise UserError(
            f"{path}: this {what} map holds {kind} numbers, expected whole ones; "
            "save it with 8, 16 or 32 bits as integers"
        )
    if header.channels - header.alpha not in (1, 3):
        raise UserError(_no_ids(path, header, what))


def _no_ids(path: Path, header: Header, what: str) -> str:
    """A line about a label or instance map that shows colours."""
    pictures = "for image-to-image put the pictures into <phase>_A and <phase>_B and give "
    instead = pictures + "--label_nc 0" if what == "label" else "or give --no_instance"
    command = f"python datasets/prepare_labels.py --in {path.parent} --out <folder> --from colours"
    return (
        f"{path}: this {what} map has {header.channels} channels, expected one, with the number of "
        f"each pixel's {what}, not its colour; to make numbers of colours: {command}; {instead}"
    )


def _check_photo(path: Path, header: Header, what: str, channels: int | None) -> None:
    """Refuse a photograph of unknown range of values, or that cannot have so many channels."""
    if header.dtype not in DEPTHS:
        kind = "32-bit" if header.dtype == np.int32 else str(header.dtype)
        raise UserError(
            f"{path}: this photograph holds {kind} numbers whose range is unknown, expected 8 or "
            "16 bits a channel, or floating point; save it as uint8, uint16 or float32"
        )
    has = header.channels
    converts = channels in (1, 3) and has - header.alpha in (1, 3)
    if channels is None or channels == has or converts:
        return
    flag = CHANNEL_FLAGS[what]
    raise UserError(
        f"{path}: {has} channel{'s' * (has > 1)} of {header.dtype}, expected {channels} "
        f"({flag} {channels}); give {flag} {has}"
    )
