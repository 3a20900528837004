"""Ctrl-C and SIGTERM as a wish to stop at the next good moment."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any


class StopSignal:
    """While entered, the first SIGINT or SIGTERM is only noted; a second one acts at once.

    `received` is the signal's number, or None.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def exit(self) -> None:
        """End the program with the code that the signal is known by: 130 or 143."""
        assert self.received is not None
        sys.exit(128 + self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            sys.exit(128 + number)
        self.received = number
