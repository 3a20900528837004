"""Files that are either the old version or the new one, never half of it."""

from __future__ import annotations

import contextlib
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

    Folders are made as needed. A block that raises leaves `path` as it was.

    Args:
        path: the file to write.
        durable: wait until the disk has it. Pictures and pages can be drawn again, so they skip
            the wait; records that cannot should ask for it.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    # A name of fixed length: `path`'s own may leave no room for a suffix. Opened plainly, because
    # tempfile's private mode (0600) would hide the pages from a web server.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
