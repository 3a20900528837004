"""Files that are either the old version or the new one, never half of it."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pix2pixhd.util.errors import UserError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "check the folder's permissions and the free space"
        if isinstance(error, FileExistsError | NotADirectoryError):
            remedy = "a file is where a folder should be; remove it, or write elsewhere"
        raise UserError(f"{path}: cannot be written ({reason}); {remedy}") from error


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block succeeds.

    Folders are made as needed. A block that raises leaves `path` as it was. A process killed in it
    leaves the temporary file, too, for the next one that writes `path` to use and replace. Raises
    UserError where the folder or the file cannot be written.

    Args:
        path: the file to write.
        durable: wait until the disk has it. Pictures and pages can be drawn again, so they skip
            the wait; records that cannot should ask for it.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, opened = _open_temporary(path)
        with opened as file:
            try:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
                temporary.replace(path)  # before it is closed, which unlocks it
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


def require_writable(path: Path) -> None:
    """Raise a UserError where `replacing` could not write: before the work whose result that is."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, opened = _open_temporary(path)
        with opened:
            temporary.unlink()


def stamp(path: Path) -> list[str | int]:
    """What changes when a file is replaced by another: its path, its size, its time; for JSON."""
    found = path.stat()
    return [str(path.resolve()), found.st_size, found.st_mtime_ns]


def _open_temporary(path: Path) -> tuple[Path, BinaryIO]:
    """An empty file beside `path`, locked for as long as it is open.

    Its name is made from `path`, so that the next one to write `path` finds what a killed process
    left. A lock goes with its process: a file that is locked is being written, and the next number
    is tried. The user's id keeps those who share a cache from meeting each other's leftovers.
    """
    for number in itertools.count():
        # Cut, as `path`'s own name may leave no room for more. Others of the same start are no
        # harm: they are told apart by their locks.
        temporary = path.with_name(f".{path.name[:50]}.{os.getuid()}.{number}.tmp")
        file = _open(temporary)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Before we had it, its last owner may have moved the file to where it belongs.
            if os.path.samestat(os.fstat(file.fileno()), temporary.stat()):
                file.truncate(0)
                return temporary, file
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            break  # a file system that knows no locks
        file.close()
    # There, it takes a name of its own, and what a killed process leaves stays.
    file.close()
    temporary.unlink(missing_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    return temporary, _open(temporary)


def _open(path: Path) -> BinaryIO:
    # Not by tempfile, whose private mode (0600) would hide the pages from a web server.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), "wb")
