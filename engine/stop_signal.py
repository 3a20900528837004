"""Ctrl-C, SIGTERM, a closed terminal or pipe as a wish to stop at the next good moment."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, TextIO

HEARD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

# A batch system may signal a program and also its launcher, which passes the signal on.
SAME_WISH = 1.0  # seconds in which a second Ctrl-C is taken for the first


class StopSignal:
    """While entered, the first signal is only noted.

    A second Ctrl-C, a while later, interrupts: whoever sits at the terminal may decide that. A
    second SIGTERM does not, since batch systems repeat theirs while a run is being saved.

    `received` is the signal's number, or None. SIGPIPE stands for a standard output that nobody
    reads any more (`| head`): what is printed from then on is lost, but what was trained is not.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._noted_at = 0.0
        self._handlers: dict[int, Any] = {}
        self._stdout = sys.stdout

    def __enter__(self) -> StopSignal:
        heard = set(HEARD)
        if (
            signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        ):  # nohup: it is to outlive its terminal
            heard.remove(signal.SIGHUP)
        self._handlers = {number: signal.signal(number, self.note) for number in heard}
        self._stdout = sys.stdout
        if sys.stdout:
            sys.stdout = _Output(sys.stdout, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.stdout = self._stdout
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Take a signal.

        Raises:
            KeyboardInterrupt: it is a second Ctrl-C.
        """
        now = time.monotonic()
        if number == signal.SIGHUP:
            _leave_dead_terminal()
        if self.received is None:
            self.received, self._noted_at = number, now
        elif number == signal.SIGINT and now - self._noted_at > SAME_WISH:
            raise KeyboardInterrupt


class _Output:
    """Standard output, of which a broken pipe is noted as SIGPIPE instead of raised.

    A dead terminal is noted as SIGHUP: processes that a launcher started hear of it later.
    """

    def __init__(self, stream: TextIO, stop: StopSignal) -> None:
        self._stream, self._stop = stream, stop

    def write(self, text: str) -> int:
        with self._noting():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._noting():
            self._stream.flush()

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            discard(self._stream.fileno())
            self._stop.note(signal.SIGPIPE if error.errno == errno.EPIPE else signal.SIGHUP)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def discard(descriptor: int) -> None:
    """Let what is still written to a descriptor go nowhere, instead of failing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _leave_dead_terminal() -> None:
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            discard(descriptor)
