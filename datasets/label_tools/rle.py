"""COCO's run lengths: columns from the left, runs of 0 and 1 in turn, beginning with 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def decode_rle(counts: str | Sequence[int], height: int, width: int) -> np.ndarray:
    """The mask, bool [height,width], of run lengths, compressed (a string) or not.

    Raises:
        ValueError: not run lengths of a mask of this size.
    """
    runs = decompress(counts) if isinstance(counts, str) else np.asarray(counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths of {runs.sum()} pixels, expected {height * width}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def decompress(text: str) -> np.ndarray:
    """Run lengths from a string: numbers of 5 bits a character, the lowest first, in ASCII from "0"
    on; bit 5 says that more follow, bit 4 of the last is the sign. From the fourth on a number is
    the difference to the last but one.

    Raises:
        ValueError: other characters, or an end in the middle of a number.
    """
    codes = np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(codes & 32 == 0)
    if ((codes < 0) | (codes > 63)).any() or (len(codes) and not codes[-1] & 32 == 0):
        raise ValueError("a damaged string of run lengths")
    starts = np.concatenate([[0], ends + 1])[: len(ends)]
    lengths = ends - starts + 1
    if (lengths > 12).any():  # of 64 bits
        raise ValueError("a damaged string of run lengths")
    shift = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((codes & 31) << shift, starts) if len(ends) else ends
    runs = runs - ((codes[ends] & 16 != 0).astype(np.int64) << (5 * lengths))
    runs[1::2], runs[2::2] = runs[1::2].cumsum(), runs[2::2].cumsum()
    return runs
