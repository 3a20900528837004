"""The folder of a run: what a new run must not overwrite, and what it must be able to write."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from pix2pixhd.util.checkpoint import save_text
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import writing


@contextlib.contextmanager
def locked(folder: Path, patience: float = 10.0) -> Iterator[None]:
    """Hold a folder, which is made if it is not there, so that no second process trains in it.

    The system lets go of it when this process and those that it forked have ended, however they do.

    Args:
        folder: of the run.
        patience: seconds to wait for processes of a run that was just killed.

    Raises:
        UserError: another process holds it.
    """
    deadline = time.monotonic() + patience
    while True:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
        try:
            if _lock(descriptor) and _is_at(folder, descriptor):
                yield
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise UserError(
                f"{folder}: another process is training this run; stop that one, or give a "
                "--name of your own"
            )
        time.sleep(0.2)


def _lock(descriptor: int) -> bool:
    """Whether nobody else has the lock; a file system that knows no locks is not to stop a run."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


def _is_at(folder: Path, descriptor: int) -> bool:
    """Whether the open folder still has its name: its last owner may have renamed it."""
    return folder.is_dir() and os.path.samestat(os.fstat(descriptor), folder.stat())


def set_run_aside(folder: Path) -> list[str]:
    """Rename the folder of an earlier run, if it got anywhere, by when it last wrote something:
    `<folder>.2026-11-24_1412`, and `_2` and so on where that is taken.

    Returns:
        The line that says so, if there was such a run.

    Raises:
        UserError: the folder cannot be renamed, or a process trains in it.
    """
    patterns = ("*_net_*.pth", "latest_state.pth", "metrics.jsonl", "web/images/*")
    traces = [path for pattern in patterns for path in folder.glob(pattern)]
    if not traces:
        return []
    written = time.localtime(max(path.lstat().st_mtime for path in traces))
    name = f"{folder.name}.{time.strftime('%Y-%m-%d_%H%M', written)}"
    names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    with locked(folder):  # nobody trains in it
        aside = next(path for path in map(folder.with_name, names) if not path.exists())
        with writing(aside):
            folder.rename(aside)
    return [f"{folder}: held an earlier run, now in {aside} (--continue_train goes on with a run)"]


def write_all(folder: Path, texts: dict[str, str]) -> None:
    """Write text files, {name: text}; a UserError if the folder cannot be made or written."""
    for name, text in texts.items():
        save_text(text, folder / name)
