"""What a scene is made of, checked."""

from __future__ import annotations

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
