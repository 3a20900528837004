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
    """Rename the folder of an earlier run to `<folder>.1` (or 2, ...), if it got anywhere.

    Returns:
        The line that says so, if there was such a run.

    Raises:
        UserError: the folder cannot be renamed, or a process trains in it.
    """
    traces = ("*_net_*.pth", "latest_state.pth", "metrics.jsonl", "web/images/*")
    if not any(any(folder.glob(trace)) for trace in traces):
        return []
    names = (folder.with_name(f"{folder.name}.{number}") for number in itertools.count(1))
    with locked(folder):  # nobody trains in it
        aside = next(name for name in names if not name.exists())
        with writing(aside):
            folder.rename(aside)
    return [f"{folder}: held an earlier run, now in {aside} (--continue_train goes on with a run)"]


def write_all(folder: Path, texts: dict[str, str]) -> None:
    """Write text files, {name: text}; a UserError if the folder cannot be made or written."""
    for name, text in texts.items():
        save_text(text, folder / name)
