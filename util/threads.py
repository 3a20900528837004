"""Work on many files at once: Pillow and disks do theirs outside of Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use: a scheduler may have given it a part of the machine's."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], title: str = "", unit: str = "file"
) -> Iterator[Result]:
    """The function's results in the items' order, with a bar where there is a terminal.

    What it raises for an item is raised at that item.
    """
    # More threads than cores hide a slow disk.
    pool = ThreadPoolExecutor(min(16, 2 * cores()))
    try:
        results = pool.map(function, items)
        yield from tqdm(results, title or None, len(items), leave=False, unit=unit, disable=None)
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the other files
