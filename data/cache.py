"""Maps kept on disk as they are after resizing, so that they are decoded and resized only once.

An entry is an array, `.npy`, and its sidecar, `.json`, named by a hash of what is kept: which file,
read as what, resized to what. The array is written first; without its sidecar it does not count.
The state of the file is in the array's name, so that no sidecar speaks for pixels of another state,
in whatever order the processes that share a cache write.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from util.errors import UserError
from util.files import replacing, writing

FORMAT = 2  # to be raised when the pixels made from a file, or the way they are kept, change

# Pixels are kept in the first of these types that holds all of them exactly, else in their own.
# Unsigned ones stay as they are: by its type a photograph's largest value, white, is known.
NARROW = {"i": (np.uint8, np.uint16), "f": (np.float16,)}


class ResizedMap(NamedTuple):
    """One map of a sample, resized but not cropped."""

    planes: np.ndarray  # [C,H,W], not to be written to; of equal values in a cache's narrower type
    source_size: tuple[int, int]  # width and height of the file that it was made from


class Cache:
    """A folder of resized maps; raises a UserError if there is none and it cannot be made."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with _naming(self.folder), writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, source: Path, content: str, make: Callable[[], ResizedMap]) -> ResizedMap:
        """The map that `make` makes of a file; from the cache, unless the file has changed.
        `content` names all that the map depends on besides the file.

        Raises:
            UserError: the cache cannot be written; and what `make` raises.
        """
        try:
            state = (
                source.stat()
            )  # before the pixels: if they change meanwhile, they are read again
        except OSError:
            return make()  # which knows how to tell why
        stamp = [FORMAT, PIL.__version__, state.st_size, state.st_mtime_ns]
        what = os.fsencode(source.absolute()) + b"\0" + content.encode()
        name, state_name = (hashlib.sha256(b).hexdigest() for b in (what, str(stamp).encode()))
        sidecar = self.folder / name[:2] / f"{name[2:32]}.json"
        array = sidecar.with_suffix(f".{state_name[:8]}.npy")
        try:
            entry = json.loads(sidecar.read_bytes())
            planes = np.load(array, mmap_mode="r")  # of which a crop reads only its part
            found = entry["stamp"], entry["bytes"], planes.ndim
            if found == (stamp, array.stat().st_size, 3):
                return ResizedMap(planes, (int(entry["size"][0]), int(entry["size"][1])))
        except Exception:  # a file that is not ours may break in any way what reads it
            pass
        made = make()
        with _naming(self.folder):
            _write(sidecar, array, stamp, made)
        return made


def _write(sidecar: Path, array: Path, stamp: list[object], made: ResizedMap) -> None:
    with np.errstate(over="ignore"):  # to infinity, which is not equal
        narrower = (made.planes.astype(t) for t in NARROW.get(made.planes.dtype.kind, ()))
        kept = next((n for n in narrower if np.array_equal(n, made.planes)), made.planes)
    planes = np.ascontiguousarray(kept)
    with replacing(array, durable=True) as file:  # a sidecar must not outlive its array
        # Written as `np.save` does, which would not say of a full disk that it is full.
        header = np.lib.format.header_data_from_array_1_0(planes)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(planes.data)
        entry = {"stamp": stamp, "size": made.source_size, "bytes": file.tell()}
    with replacing(sidecar) as file:
        file.write(json.dumps(entry).encode())
    for old in set(array.parent.glob(f"{sidecar.stem}.*.npy")) - {array}:
        old.unlink(missing_ok=True)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Tell in errors of the block which flag they come from."""
    try:
        yield
    except UserError as error:
        raise UserError(f"--cache {folder}: {error}, or leave out --cache") from error
