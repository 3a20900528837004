"""Ctrl-C, SIGTERM and a closed terminal as a wish to stop at the next good moment."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Any

# Batch systems signal a program, and the launcher that passes signals on to it.
SAME_WISH = 1.0  # seconds in which a second signal is taken for the first


def heard_signals() -> set[signal.Signals]:
    """Those to act on. Under nohup a closed terminal is not among them."""
    heard = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        heard.remove(signal.SIGHUP)
    return heard


def leave_dead_terminal() -> None:
    """Let what is still printed to a terminal that was closed go nowhere, instead of failing."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class StopSignal:
    """While entered, the first signal is only noted; a second one, a while later, acts at once.

    `received` is the signal's number, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._noted_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._note) for number in heard_signals()}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGHUP:
            leave_dead_terminal()
        if self.received is None:
            self.received, self._noted_at = number, now
        elif now - self._noted_at > SAME_WISH:
            sys.exit(128 + number)
