"""Ctrl-C, SIGTERM, a closed terminal or pipe as a wish to stop at the next good moment."""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType
from typing import Any, Self

HEARD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE}

HEARD_IT = b"\nsaving after this step, or after images are evaluated; Ctrl-C again ends at once\n"

# A batch system may signal a program and also its launcher, which passes the signal on.
SAME_WISH = 1.0  # seconds in which a second Ctrl-C is taken for the first


class StopSignal:
    """While entered, the first signal is only noted.

    A second Ctrl-C, a while later, interrupts: whoever sits at the terminal may decide that. A
    second SIGTERM does not, since batch systems repeat theirs while a run is being saved.

    `received` is the signal's number, or None. SIGPIPE stands for a standard output that nobody
    reads any more (`| head`): what is printed from then on is lost, but what was trained is not.
    (The print that finds out raises BrokenPipeError all the same, as always in Python.)
    """

    def __init__(self, tells: bool = False) -> None:
        """`tells`: whoever presses Ctrl-C is told that it was heard."""
        self._tells = tells
        self.received: int | None = None
        self._noted_at = 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # to outlive its terminal
        heard = HEARD - {signal.SIGHUP} if is_nohup else HEARD
        self._handlers = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number in (signal.SIGHUP, signal.SIGPIPE):
            is_of_stdout = 1 in discard_dead_outputs()
            if number == signal.SIGPIPE and not is_of_stdout:
                return  # of another pipe or socket: whoever wrote to it gets an error
        now = time.monotonic()
        if self.received is None:
            self.received, self._noted_at = number, now
            if self._tells and number == signal.SIGINT and os.isatty(2):
                os.write(2, HEARD_IT)
        elif number == signal.SIGINT and now - self._noted_at > SAME_WISH:
            raise KeyboardInterrupt


def discard(descriptor: int) -> None:
    """Let what is still written to a descriptor go nowhere, instead of failing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def discard_dead_outputs() -> list[int]:
    """Discard what goes to a pipe without a reader or to a closed terminal, of descriptors 1, 2."""
    outputs = select.poll()
    for descriptor in (1, 2):
        outputs.register(descriptor, 0)  # of no event but errors, which are always told
    dead = [descriptor for descriptor, _ in outputs.poll(0)]
    for descriptor in dead:
        discard(descriptor)
    return dead
