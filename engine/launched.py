"""What a GPU was given to do, fetched without waiting for what it was given since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch

from pix2pixhd.engine.render import side_stream

Item = TypeVar("Item")


class Launched(Generic[Item]):
    """Something computed on a device that may still be at work on it."""

    def __init__(self, item: Item, device: torch.device) -> None:
        self._item, self._device = item, device
        self._done: torch.cuda.Event | None = None
        if device.type == "cuda":
            self._done = torch.cuda.current_stream(device).record_event()

    @contextlib.contextmanager
    def fetching(self) -> Iterator[Item]:
        """What the block does with the item waits for the item alone."""
        with torch.cuda.stream(side_stream(self._device) if self._done else None):
            if self._done:
                # Only now: by then, the side stream may have been given copies of later batches.
                self._done.wait()
            yield self._item
