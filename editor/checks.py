"""What a scene is made of, checked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from pix2pixhd.util.errors import UserError

ID_LIMITS = np.iinfo(np.int32)


def checked_map(name: str, values: ArrayLike) -> np.ndarray:
    """A copy of a map, int32 [H,W], of a picture uint8 [H,W,C], of an image [H,W,3].

    Raises:
        UserError: it is none.
    """
    map_ = np.asarray(values)
    if name in ("picture", "image"):
        three = name == "picture" or map_.shape[2:] == (3,)
        if map_.ndim != 3 or map_.dtype != np.uint8 or not map_.size or not three:
            found, channels = f"{map_.dtype} {list(map_.shape)}", "C" if name == "picture" else "3"
            raise UserError(f"{name}: {found}, expected uint8 [H, W, {channels}]; convert it")
        return np.array(map_, order="C")
    if map_.ndim != 2 or map_.dtype.kind not in "iub" or not map_.size:
        found = f"{map_.dtype} {list(map_.shape)}"
        raise UserError(f"{name}: {found}, expected integers [H, W]; one number a pixel")
    if map_.min() < ID_LIMITS.min or map_.max() > ID_LIMITS.max:
        raise UserError(
            f"{name}: holds {map_.min()} to {map_.max()}, expected numbers of 32 bits; renumber"
        )
    return np.array(map_, np.int32, order="C")


class Checking:
    """What a scene (see `Scene` for its attributes) asks of those who change it."""

    label_nc: int
    feat_num: int
    ignored: int | None
    shape: tuple[int, int]
    counts: dict[str, dict[int, int]]

    def require_labels(self, labels: ArrayLike) -> None:
        """Raise a UserError that names a label out of range, or for a scene that has none."""
        if not self.label_nc:
            raise UserError("label: a picture to draw on (--label_nc 0) has none; use set_pixels")
        values = np.asarray(labels)
        wrong = (values < 0) | (values >= self.label_nc)
        if self.ignored is not None:
            wrong &= values != self.ignored
        if wrong.any():
            raise UserError(
                f"label {values[wrong].flat[0]}: expected 0 to {self.label_nc - 1} "
                f"(--label_nc {self.label_nc}); choose one of the run's labels"
            )

    def require_inside(self, row: int, column: int) -> None:
        """Raise a UserError for a pixel outside."""
        height, width = self.shape
        if not (0 <= row < height and 0 <= column < width):
            raise UserError(
                f"pixel ({row}, {column}): expected row 0 to {height - 1} and column 0 to "
                f"{width - 1}; choose one in the picture"
            )

    def require_instances(self, instances: int | Iterable[int]) -> list[int]:
        """As a list; raise a UserError for one that is not there."""
        ids = [int(instances)] if np.ndim(instances) == 0 else [int(i) for i in instances]  # type: ignore[arg-type, union-attr]
        there = self.counts["inst" if "inst" in self.counts else "label"]
        for id_ in ids:
            if id_ not in there:
                raise UserError(f"instance {id_}: not in this scene; choose one by a pixel of it")
        return ids

    def checked_vector(self, vector: ArrayLike) -> np.ndarray:
        """float32 [feat_num], a copy; UserError for another length, or not all finite."""
        if not self.feat_num:
            raise UserError("vector: the run was trained without features; leave it out")
        values = np.array(vector, np.float32)
        if values.shape != (self.feat_num,) or not np.isfinite(values).all():
            raise UserError(
                f"vector: shape {list(values.shape)}, expected {self.feat_num} finite numbers "
                f"(--feat_num {self.feat_num}); take it from a file of this run"
            )
        values.flags.writeable = False
        return values
