"""Open an image file, and say in one line why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pix2pixhd.data import array_files
from pix2pixhd.data.array_files import ArrayFile
from pix2pixhd.util.errors import UserError

# The end of a file that was written to its end: PNG's last chunk, JPEG's last marker.
LAST_BYTES = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image whose pixels are yet to be loaded. Pillow's errors on the way are the user's."""
    with _errors_of(path), Image.open(path) as image:
        yield image


@contextmanager
def opened_file(path: Path, channels: int | None) -> Iterator[Image.Image | ArrayFile]:
    """The same; or an ArrayFile, where Pillow does not read all of it. See there for `channels`."""
    with _errors_of(path):
        if path.suffix.lower() == ".npy":
            yield array_files.npy_file(path, channels)
            return
        try:
            image = Image.open(path)
        except UnidentifiedImageError:
            if not array_files.is_tiff(path):
                raise
        else:
            with image:
                yield array_files.array_file(path, image, channels) or image
            return
        yield array_files.tiff_file(path, channels)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Errors of the block are the user's, who gave a file that cannot be read."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    # Readers raise many a type on damaged files: OSError, SyntaxError, struct.error, ...
    except Exception as error:
        raise UserError(_unreadable(path, error)) from error


def is_whole(path: Path, image: Image.Image | ArrayFile) -> bool:
    """Whether the file of an image just opened ends as its format should."""
    last = LAST_BYTES.get(image.format or "", b"")
    with path.open("rb") as file:
        file.seek(-len(last), 2)
        return file.read() == last


def _unreadable(path: Path, error: Exception) -> str:
    """The reason why a file could not be read."""
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
