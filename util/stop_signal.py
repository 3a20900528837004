"""Ctrl-C, SIGTERM and a closed terminal as a wish to stop at the next good moment."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Any


class StopSignal:
    """While entered, the first signal is only noted; a second one, a while later, acts at once.

    `received` is the signal's number, or None.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Batch systems signal a program, and the launcher that passes signals on to it.
    SAME_WISH = 1.0  # seconds in which a second signal is taken for the first

    def __init__(self) -> None:
        self.received: int | None = None
        self._noted_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        heard = set(self.SIGNALS)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            heard.remove(signal.SIGHUP)  # nohup: to live on when the terminal closes
        self._before = {number: signal.signal(number, self._note) for number in heard}
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
        if self.received is None:
            self.received, self._noted_at = number, now
        elif now - self._noted_at > self.SAME_WISH:
            sys.exit(128 + number)
