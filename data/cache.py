"""Maps kept on disk as they are after resizing, so that they are decoded and resized only once.

One file a map, in the sub-folder of its name's first two digits. The name is a hash of what is kept
there: which source file, read as what, resized to what. The file begins with a header, JSON padded
to HEADER bytes, that tells which state of the source it was made from; the pixels follow as they
lie in memory, so that a crop is read without the rest.

Processes may share a cache without knowing of each other: a file appears whole or not at all, and
two that make the same one make the same pixels.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from util.errors import UserError
from util.files import replacing, writing

HEADER = 4096  # bytes; pixels begin with a page of memory
FORMAT = 1  # to be raised when the pixels made from a file, or the way they are kept, change

# What pixels are kept as: the first type that holds all of them exactly, else their own.
NARROW = {"u": (np.uint8,), "i": (np.uint8, np.uint16), "f": (np.float16,)}


@dataclass(frozen=True)
class ResizedMap:
    """One map of a sample, resized but not cropped."""

    planes: np.ndarray
    """[C,H,W], not to be written to; from the cache perhaps of a narrower type than it was given,
    with equal values."""

    source_size: tuple[int, int]
    """Width and height of the file that it was made from."""


class Cache:
    """A folder of resized maps.

    Raises:
        UserError: there is no such folder and it cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with self._named(), writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, source: Path, content: str, make: Callable[[], ResizedMap]) -> ResizedMap:
        """The map from the cache; made and kept if it is not there, or the source has changed.

        Args:
            source: the file that it is made from. Size and time of change tell its state.
            content: what is made of it: all that the pixels depend on besides the file.
            make: makes it.

        Raises:
            UserError: the cache cannot be written; and what `make` raises.
        """
        try:
            # Before the pixels are read: should they change in between, they are made once more.
            stamp = _stamp(source)
        except OSError:
            return make()  # which knows how to tell why
        path = self._path(source, content)
        kept = _read(path, stamp)
        if kept is None:
            kept = make()
            with self._named():
                _write(path, stamp, kept)
        return kept

    def _path(self, source: Path, content: str) -> Path:
        what = os.fsencode(source.absolute()) + b"\0" + content.encode()
        name = hashlib.blake2b(what, digest_size=16).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.map"

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Tell in errors of the block which flag they come from."""
        try:
            yield
        except UserError as error:
            raise UserError(f"--cache {self.folder}: {error}, or leave out --cache") from error


def _stamp(source: Path) -> list[int | str]:
    """What changes when the source does, or the library that decodes and resizes it."""
    state = source.stat()
    return [FORMAT, PIL.__version__, state.st_size, state.st_mtime_ns]


def _read(path: Path, stamp: list[int | str]) -> ResizedMap | None:
    """The map in a file, its planes mapped into memory; None if there is none of that stamp.

    A file of another length than its header says is none: the system has stopped before all of it
    was on the disk. So is whatever else we have not written.
    """
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(HEADER))
            if header["stamp"] != stamp:
                return None
            dtype, shape = np.dtype(header["dtype"]), tuple(header["shape"])
            length = HEADER + math.prod(shape) * dtype.itemsize
            if os.fstat(file.fileno()).st_size != length:
                return None
            planes = np.memmap(file, dtype, mode="r", offset=HEADER, shape=shape)
            width, height = (int(side) for side in header["source_size"])
            assert planes.ndim == 3
    # A file that is not ours may hold anything, and break anything that reads it.
    except Exception:
        return None
    return ResizedMap(planes, (width, height))


def _write(path: Path, stamp: list[int | str], resized: ResizedMap) -> None:
    planes = _narrowed(resized.planes)
    header = {
        "stamp": stamp,
        "source_size": resized.source_size,
        "dtype": planes.dtype.str,
        "shape": planes.shape,
    }
    with replacing(path, durable=True) as file:  # a header must not outlive its pixels
        file.write(json.dumps(header).encode().ljust(HEADER))
        file.write(np.ascontiguousarray(planes).data)


def _narrowed(planes: np.ndarray) -> np.ndarray:
    for dtype in NARROW[planes.dtype.kind]:
        with np.errstate(over="ignore"):  # to infinity, which is not equal
            narrow = planes.astype(dtype)
        if np.array_equal(narrow, planes):
            return narrow
    return planes
