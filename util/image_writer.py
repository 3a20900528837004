"""Save pictures in the background, while the generator draws the next."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_image


class ImageWriter:
    """A few threads that save pictures; Pillow encodes outside of Python's lock.

    Use it as a context manager: leaving the block waits for what is pending. What goes wrong in a
    thread is raised by a later call or, at the latest, when the block is left. Of a user's mistake
    that ends the block, the pictures made before are still saved.

    Args:
        threads: how many pictures are encoded at once; None: as many as the machine has cores,
            but 2 at least and 8 at most.
        backlog: how many may be pending before a call waits, which bounds the memory held; None:
            two for each thread.
    """

    def __init__(self, threads: int | None = None, backlog: int | None = None) -> None:
        threads = threads or min(max(2, os.cpu_count() or 1), 8)
        self._backlog = backlog or 2 * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="image-writer")
        self._pending: deque[Future[None]] = deque()

    def save(self, image: np.ndarray, path: Path, *, quality: int = 92) -> None:
        """Save `image` (uint8 [H,W,3], not to be changed afterwards) as `save_image` does."""
        self.submit(save_image, image, path, quality=quality)

    def submit(self, task: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Run `task(*args, **kwargs)` in a thread; waits while the backlog is full.

        Raises:
            UserError: an earlier file could not be written (or whatever its task raised).
        """
        self._wait_until(self._backlog - 1)
        self._pending.append(self._pool.submit(task, *args, **kwargs))

    def _wait_until(self, pending: int) -> None:
        while len(self._pending) > pending or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()  # raises what went wrong

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:  # an error that is on its way out matters more than ours
                self._wait_until(0)
        finally:
            is_users = kind is not None and issubclass(kind, UserError)
            self._pool.shutdown(cancel_futures=not is_users)
