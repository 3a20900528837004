"""What edits changed, as differences, not copies: undo has no limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Vectors = dict[int, np.ndarray | None]
"""Feature vectors by instance id, float32 [feat_num]; None: the instance has none."""


class Box(NamedTuple):
    """A rectangle of pixels; bottom and right are the first row and column outside."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, eq=False)
class Change:
    """What an operation makes of a scene; `Scene.change` makes it."""

    shape: tuple[int, int]  # of the scene, H and W
    pixels: np.ndarray  # int [n], those that change, row * W + column, ascending
    before: dict[str, np.ndarray]  # map -> its values there, [n], or [n,C] of a picture
    after: dict[str, np.ndarray]
    vectors_before: Vectors  # those that change
    vectors_after: Vectors
    grown: dict[str, dict[int, int]]  # map -> id -> how many pixels it gains, or loses if negative

    def reversed(self) -> Change:
        """The change that takes this one back; it shares the arrays."""
        grown = {name: {id_: -n for id_, n in ids.items()} for name, ids in self.grown.items()}
        maps, vectors = (self.after, self.before), (self.vectors_after, self.vectors_before)
        return Change(self.shape, self.pixels, *maps, *vectors, grown)

    @property
    def is_empty(self) -> bool:
        return not len(self.pixels) and not self.vectors_after

    @property
    def instance(self) -> int | None:
        """Of the first pixel that changes; None where instances stay."""
        found = self.after.get("inst")
        return None if found is None or not len(found) else int(found[0])

    @property
    def memory(self) -> int:
        """Bytes of its arrays."""
        maps = [*self.before.values(), *self.after.values()]
        vectors = [*self.vectors_before.values(), *self.vectors_after.values()]
        arrays = [self.pixels, *maps, *(v for v in vectors if v is not None)]
        return sum(array.nbytes for array in arrays)

    @property
    def box(self) -> Box | None:
        """What encloses the pixels that change; None where only vectors do."""
        if not len(self.pixels):
            return None
        width = self.shape[1]
        columns = self.pixels % width
        first, last = self.pixels[0] // width, self.pixels[-1] // width
        return Box(int(first), int(columns.min()), int(last) + 1, int(columns.max()) + 1)


def box_of(changes: Iterable[Change]) -> Box | None:
    """What encloses the pixels of all changes; None where only vectors change."""
    boxes = [box for change in changes if (box := change.box)]
    if not boxes:
        return None
    top, left, bottom, right = zip(*boxes, strict=True)
    return Box(min(top), min(left), max(bottom), max(right))


@dataclass
class History:
    """Steps that were done, and undone ones, the next to be redone last. A step is the changes of
    a stroke, in their order."""

    done: list[list[Change]] = field(default_factory=list)
    undone: list[list[Change]] = field(default_factory=list)
    is_open: bool = field(default=False, init=False)  # the last step may be extended

    def add(self, change: Change, extend: bool = False) -> None:
        """Record a change as a step, or as part of the last one if that is still under way. A
        change of nothing is none."""
        self.is_open &= extend
        if change.is_empty:
            return
        if self.is_open:
            self.done[-1].append(change)
        else:
            self.done.append([change])
        self.is_open = True
        self.undone.clear()

    def undo(self) -> list[Change]:
        """The changes that take the last step back, in their order; none where there is no step."""
        self.is_open = False
        if not self.done:
            return []
        self.undone.append(self.done.pop())
        return [change.reversed() for change in reversed(self.undone[-1])]

    def redo(self) -> list[Change]:
        """The changes of the step undone last."""
        self.is_open = False
        if not self.undone:
            return []
        self.done.append(self.undone.pop())
        return self.done[-1]
