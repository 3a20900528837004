"""Files that are either the old version or the new one, never half of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from util.errors import UserError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "check the folder's permissions and the free space"
        raise UserError(f"{path}: cannot be written ({reason}); {remedy}") from error


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block succeeds.

    Folders are made as needed. A block that raises leaves `path` as it was. A process killed in it
    leaves the temporary file, too, for the next one that writes `path` to use and replace.

    Args:
        path: the file to write.
        durable: wait until the disk has it. Pictures and pages can be drawn again, so they skip
            the wait; records that cannot should ask for it.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, lock = _temporary(path)
        try:
            with os.fdopen(os.dup(lock), "wb") as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(lock)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(lock)


def _temporary(path: Path) -> tuple[Path, int]:
    """An empty temporary file beside `path`, and a descriptor of it that holds its lock.

    It is named after `path`, so that what a killed process left is taken over by the next one to
    write the same file. The lock, which goes with the process, tells that from a file that someone
    is writing at this moment: there, the next number is tried.
    """
    # `path`'s own name may leave no room for a suffix.
    name = path.name if len(path.name) < 50 else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    for number in itertools.count():
        temporary = path.with_name(f".{name}.{number}.tmp" if number else f".{name}.tmp")
        try:
            lock = _opened(temporary)
        except PermissionError:
            if not temporary.exists():
                raise
            continue  # another user's, in a cache that is shared
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Before we had it, its last owner may have moved the file to where it belongs.
            if os.path.samestat(os.fstat(lock), temporary.stat()):
                os.ftruncate(lock, 0)
                return temporary, lock
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            break  # a file system that knows no locks
        os.close(lock)
    # There, it takes a name of its own, and what a killed process leaves stays.
    os.close(lock)
    temporary.unlink(missing_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    return temporary, _opened(temporary)


def _opened(path: Path) -> int:
    # Not by tempfile, whose private mode (0600) would hide the pages from a web server.
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
