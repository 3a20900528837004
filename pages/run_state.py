"""How far a run is and how long it takes yet, in words."""

from __future__ import annotations

import time
from collections import deque
from typing import Literal

from pix2pixhd.util.words import counted, duration

Outcome = Literal["running", "finished", "stopped", "failed"]

MARK_EVERY, MARKS = 30.0, 20  # seconds; so the recent speed is that of the last ten minutes


class RunState:
    """What a run's page says of it; told the epochs and images as a log sink is."""

    def __init__(self) -> None:
        self.outcome: Outcome = "running"
        self._epoch = self._epochs = 0  # the one that is trained, from 1, and how many in all
        self._done = self._images = 0  # of the epoch's images, and how many in all
        self._step = 0  # images of the last step
        self._marks: deque[tuple[float, int]] = deque(maxlen=MARKS)  # seconds, images seen by then

    def start_epoch(self, epoch: int, epochs: int, images: int, images_done: int) -> None:
        self._epoch, self._epochs, self._images, self._done = epoch, epochs, images, images_done
        if not self._marks:
            self._marks.append((time.monotonic(), self._seen))

    def advance(self, images: int) -> None:
        self._step = images
        self._done += images
        now = time.monotonic()
        if now >= self._marks[-1][0] + MARK_EVERY:
            self._marks.append((now, self._seen))

    @property
    def seconds_per_step(self) -> float:
        """Lately; 0 before there was one."""
        return self._step * self._seconds_per_image()

    def __str__(self) -> str:
        if self.outcome == "finished":
            return f"finished, {counted(self._epochs, 'epoch')}"
        if self.outcome == "running":
            return ", ".join(self._running())
        place = "before its first step"
        if self._epoch:
            images = counted(self._images, "image")
            place = f"after {self._done:,} of {images} of epoch {self._epoch} of {self._epochs:,}"
        if self.outcome == "stopped":
            return f"stopped {place}; --continue_train goes on"
        return f"broken off {place}; --continue_train goes on from the last save, if there is one"

    def _running(self) -> list[str]:
        if not self._epoch:
            return ["starting"]
        in_all = self._epochs * self._images
        part = 100 * self._seen // in_all
        left = (in_all - self._seen) * self._seconds_per_image()
        words = ["running", f"{part} % of {counted(self._epochs, 'epoch')}"]
        return [*words, f"about {duration(left)} left"] if left else words

    @property
    def _seen(self) -> int:
        return (self._epoch - 1) * self._images + self._done

    def _seconds_per_image(self) -> float:
        """Evaluations and saves included; 0 where nothing is known yet."""
        if not self._marks or self._seen == self._marks[0][1]:
            return 0.0
        began, seen = self._marks[0]
        return (time.monotonic() - began) / (self._seen - seen)
