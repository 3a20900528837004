"""Save pictures in the background, while the generator draws the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from util.image import save_image


class ImageWriter:
    """A few threads that save pictures; Pillow encodes outside of Python's lock.

    Use it as a context manager: leaving the block waits for what is pending. What goes wrong in a
    thread is raised by the next call or, at the latest, when the block is left.

    Args:
        threads: how many pictures are encoded at once; None: as many as the machine has cores,
            but 2 at least and 8 at most.
        backlog: how many may be pending before a call waits, which bounds the memory held; None:
            two for each thread.
    """

    def __init__(self, threads: int | None = None, backlog: int | None = None) -> None:
        threads = threads or min(max(2, os.cpu_count() or 1), 8)
        backlog = backlog or 2 * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="image-writer")
        self._slots = threading.BoundedSemaphore(backlog)
        self._failure: Exception | None = None

    def save(self, image: np.ndarray, path: Path, *, quality: int = 92) -> None:
        """Save `image` (uint8 [H,W,3], not to be changed afterwards) as `save_image` does."""
        self.submit(save_image, image, path, quality=quality)

    def submit(self, task: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Run `task(*args, **kwargs)` in a thread; waits while the backlog is full.

        Raises:
            UserError: an earlier file could not be written (or whatever its task raised).
        """
        self._raise_failure()
        self._slots.acquire()
        self._pool.submit(self._run, task, args, kwargs)

    def close(self) -> None:
        """Wait for all that is pending.

        Raises:
            UserError: a file could not be written (or whatever its task raised).
        """
        self._pool.shutdown(wait=True)
        self._raise_failure()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:  # the error that is on its way out matters more than ours
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(
        self, task: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        try:
            if self._failure is None:
                task(*args, **kwargs)
        except Exception as error:
            self._failure = error
        finally:
            self._slots.release()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
