"""Run lengths and polygons as COCO means them."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from label_tools.canvas import Canvas, polygon_mask
from label_tools.rle import decode_rle, decompress

masks = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40))


def run_lengths(mask: np.ndarray) -> list[int]:
    runs = [(value, len(list(run))) for value, run in groupby(mask.T.ravel().tolist())]
    return [0] * runs[0][0] + [length for _, length in runs]


def compress(runs: list[int]) -> str:
    """The string of run lengths, a character at a time."""
    text = ""
    for place, run in enumerate(runs):
        rest = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            low, rest = rest & 31, rest >> 5
            more = rest != (-1 if low & 16 else 0)
            text += chr(48 + (low | 32 * more))
    return text


@given(masks)
def test_masks_come_back_from_run_lengths(mask: np.ndarray) -> None:
    runs = run_lengths(mask)
    for counts in (runs, compress(runs)):
        np.testing.assert_array_equal(decode_rle(counts, *mask.shape), mask)


@given(st.lists(st.integers(0, 10**9), max_size=20))
def test_long_run_lengths(runs: list[int]) -> None:
    assert decompress(compress(runs)).tolist() == runs


@pytest.mark.parametrize(
    ("text", "shape", "pixels"),
    [
        ("01<2G000:N", (6, 7), [(0, 0), *((y, x) for y in (1, 2, 3) for x in (2, 3, 4)), (5, 6)]),
        ("mb01nli10UVVN", (200, 300), [(5, 3), (100, 299)]),
    ],
)
def test_strings_of_pycocotools(
    text: str, shape: tuple[int, int], pixels: list[tuple[int, int]]
) -> None:
    found = np.argwhere(decode_rle(text, *shape)).tolist()
    assert sorted(found) == sorted(map(list, pixels))


@pytest.mark.parametrize(
    "counts", [[4, 4], [-1, 10], "01", "0", "P1", "\x00", "é", "o" * 20 + "0", [[9]]]
)
def test_damaged_run_lengths(counts: str | list[int]) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        decode_rle(counts, 3, 3)


@pytest.mark.parametrize(
    ("corners", "rows"),
    [
        ([[1, 1], [4, 1], [4, 3], [1, 3]], ["      ", " ###  ", " ###  ", "      "]),
        ([[0.6, 0], [6, 0], [6, 1.4], [0.6, 1.4]], [" #####", "      ", "      ", "      "]),
        ([[0, 0], [4, 0], [0, 4]], ["###   ", "##    ", "#     ", "      "]),
        ([[-9, -9], [99, -9], [99, 2], [-9, 2]], ["######", "######", "      ", "      "]),
        ([[0, 0], [6, 0], [6, 4], [0, 4], [0, 1], [4, 1], [4, 3], [0, 3]],
         ["######", "    ##", "    ##", "######"]),
        ([[9, 9], [12, 9], [12, 12]], ["      "] * 4),
    ],
    ids=["square", "rounded", "triangle", "larger", "concave", "outside"],
)  # fmt: skip
def test_polygons(corners: list[list[float]], rows: list[str]) -> None:
    canvas = Canvas(6, 4)
    canvas.fill(*polygon_mask(np.array(corners, float), 6, 4), canvas.shape(1))
    drawn = canvas.drawing().label.tolist()
    assert ["".join(" #"[value] for value in row) for row in drawn] == rows
