"""A task done in a thread while the program goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class Background:
    """One task at a time, in a daemon thread and in no pool of threads: a second Ctrl-C ends the
    program, and with it the task."""

    def __init__(self, name: str) -> None:
        self._name = name  # of the thread
        self._pending: tuple[threading.Thread, Future[None]] | None = None

    def start(self, task: Callable[[], None]) -> None:
        """Begin a task; the one before must have been waited for."""
        done: Future[None] = Future()

        def work() -> None:
            try:
                task()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        thread = threading.Thread(target=work, name=self._name, daemon=True)
        self._pending = thread, done
        thread.start()

    def wait(self) -> None:
        """Return when the task is done, or at once if there is none; raises what it raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            thread, done = pending
            thread.join()  # one that is still about to end may make Python's own end an abort
            done.result()
