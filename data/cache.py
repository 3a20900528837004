"""Maps kept on disk as they are after resizing, so that they are decoded and resized only once.

An entry is an array, `.npy`, and its sidecar, `.json`, named by a hash of the file, what it is read
as and resized to. The array is written first and does not count without its sidecar. The state of
the file is in the array's name, so that no sidecar speaks for pixels of another state, in whatever
order the processes that share a cache write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing, writing

FORMAT = 3  # to be raised when the pixels made from a file, or the way they are kept, change


class ResizedMap(NamedTuple):
    """One map of a sample, resized but not cropped."""

    planes: np.ndarray  # [C,H,W], read-only; from the cache perhaps of a narrower type
    source_size: tuple[int, int]  # width and height of the file that it was made from


class Cache:
    """A folder of resized maps; raises a UserError if there is none and it cannot be made."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        with _naming(self.folder), writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, source: Path, content: str, make: Callable[[], ResizedMap]) -> ResizedMap:
        """The map that `make` makes of a file; from the cache, unless the file has changed.

        Args:
            content: all that the map depends on besides the file, in words.

        Raises:
            UserError: the cache cannot be written; and what `make` raises.
        """
        try:
            state = source.stat()  # before its pixels: should they change, they are made again
        except OSError:
            return make()  # which knows how to tell why
        stamp = [FORMAT, PIL.__version__, state.st_size, state.st_mtime_ns]
        named = f"{source.absolute()}\0{content}", str(stamp)
        name, state_name = (sha256(n.encode(errors="surrogateescape")).hexdigest() for n in named)
        sidecar = self.folder / name[:2] / f"{name[2:32]}.json"
        array = sidecar.with_suffix(f".{state_name[:8]}.npy")
        try:
            note = json.loads(sidecar.read_bytes())
            with array.open("rb") as file:  # as `np.load(mmap_mode="r")`, but 4 times as fast
                planes = np.memmap(file, note["descr"], "r", note["offset"], tuple(note["shape"]))
            if note["stamp"] == stamp and note["offset"] + planes.nbytes == array.stat().st_size:
                return ResizedMap(planes, (int(note["size"][0]), int(note["size"][1])))
        except Exception:  # a file that is not ours may break in any way what reads it
            pass
        made = make()
        with _naming(self.folder):
            _write(sidecar, array, stamp, made)
        return made


def _write(sidecar: Path, array: Path, stamp: list[object], made: ResizedMap) -> None:
    planes = made.planes
    if planes.dtype.kind == "f":  # whole numbers stay as they are, as their type says something
        with np.errstate(over="ignore"):  # to infinity, which is not equal
            half = planes.astype(np.float16)
        planes = half if np.array_equal(half, planes) else planes
    with replacing(array, durable=True) as file:  # a sidecar must not outlive its array
        # Written as `np.save` does, which would not say of a full disk that it is full.
        planes = np.ascontiguousarray(planes)
        header = np.lib.format.header_data_from_array_1_0(planes)
        np.lib.format.write_array_header_1_0(file, header)
        note = {"stamp": stamp, "size": made.source_size, "offset": file.tell(), **header}
        file.write(planes.data)
    with replacing(sidecar) as file:
        file.write(json.dumps(note).encode())
    for old in set(array.parent.glob(f"{sidecar.stem}.*.npy")) - {array}:
        old.unlink(missing_ok=True)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Tell in errors of the block which flag they come from."""
    try:
        yield
    except UserError as error:
        raise UserError(f"--cache {folder}: {error}, or leave out --cache") from error
