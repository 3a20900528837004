"""The folder of a run: what a new run must not overwrite, and what it must be able to write."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from util.checkpoint import save_text
from util.errors import UserError
from util.files import writing


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
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder, patience)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{folder}: another process is training this run; stop that one, or give a "
                    "--name of your own"
                ) from error
            time.sleep(0.2)
        except OSError:  # a file system that knows no locks
            return


def set_run_aside(folder: Path) -> list[str]:
    """Rename the folder of an earlier run to `<folder>.1` (or 2, ...), if it got anywhere.

    Returns:
        The line that says so, if there was such a run.

    Raises:
        UserError: the folder cannot be renamed, or a process trains in it.
    """
    traces = ("*_net_*.pth", "metrics.jsonl", "web/images/*")
    if not any(any(folder.glob(trace)) for trace in traces):
        return []
    with locked(folder):
        pass  # nobody trains in it
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    with writing(aside):
        folder.rename(aside)
    return [f"{folder}: held an earlier run, now in {aside} (--continue_train goes on with a run)"]


def write_all(folder: Path, texts: dict[str, str]) -> None:
    """Write text files, {name: text}, into a folder that is made if it is not there.

    Raises:
        UserError: the folder cannot be made or written.
    """
    for name, text in texts.items():
        save_text(text, folder / name)
