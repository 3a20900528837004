"""Strokes, fills and placed objects, against slow definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pix2pixhd.editor import regions
from pix2pixhd.util.errors import UserError

SHAPE = (13, 17)
PLACES = list(itertools.product(range(SHAPE[0]), range(SHAPE[1])))
masks = st.lists(st.booleans(), min_size=221, max_size=221).map(
    lambda bits: np.array(bits).reshape(SHAPE)
)
point = st.tuples(st.floats(-9, 22), st.floats(-9, 26))


def distance(at: tuple[int, int], p: tuple[float, float], q: tuple[float, float]) -> float:
    """Of a point to a line from p to q."""
    length = math.dist(p, q)
    along = sum((a - b) * (c - b) for a, b, c in zip(at, p, q, strict=True))
    t = min(max(along / length**2, 0), 1) if length > 1e-9 else 0
    return math.dist(at, [b + t * (c - b) for b, c in zip(p, q, strict=True)])


@settings(deadline=None, max_examples=40)
@given(st.lists(point, min_size=1, max_size=4), st.floats(0, 9))
def test_a_stroke_is_all_within_half_a_width(
    points: list[tuple[float, float]], width: float
) -> None:
    mask = regions.disc_stroke(SHAPE, points, width)
    lines = list(itertools.pairwise(points)) or [(points[0], points[0])]
    own = {(round(row), round(column)) for row, column in points}
    for at in PLACES:
        away = min(distance(at, *line) for line in lines) - max(width, 1) / 2
        if abs(away) > 1e-6 and at not in own:
            assert mask[at] == (away < 0)
    assert all(mask[at] for at in own & set(PLACES))


def test_a_fast_thin_stroke_has_no_gaps() -> None:
    mask = regions.disc_stroke((300, 400), [(3.4, 5.5), (290, 390), (290, 10)], 1)
    assert regions.ndimage.label(mask, np.ones((3, 3)))[1] == 1
    assert mask.any(axis=0)[6:391].all() and mask.sum() < 1200


def test_a_stroke_of_no_numbers_is_refused() -> None:
    with pytest.raises(UserError, match="finite"):
        regions.disc_stroke(SHAPE, [(6, 3), (6, math.nan)], 3)


def test_a_stroke_from_far_outside_is_cut_off() -> None:
    mask = regions.disc_stroke(SHAPE, [(6, -1e300), (6, 1e300)], 3)
    assert np.array_equal(np.flatnonzero(mask.any(axis=1)), [5, 6, 7]) and mask[5:8].all()


@given(masks)
@settings(deadline=None, max_examples=20)
def test_flood_fills_what_is_joined_by_sides(mask: np.ndarray) -> None:
    found, reached, edge = regions.flood(mask, 6, 8), set(), {(6, 8)}
    while edge:
        reached |= edge
        steps = [(r + a, c + b) for r, c in edge for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        edge = {at for at in {*steps} & {*PLACES} - reached if mask[at] == mask[6, 8]}
    assert {at for at in PLACES if found[at]} == reached


def test_flood_of_a_picture_looks_at_all_channels() -> None:
    picture = np.zeros((2, 4, 3), np.uint8)
    picture[:, 2, 1] = 1
    assert np.array_equal(regions.flood(picture, 0, 0), [[1, 1, 0, 0]] * 2)


def test_bounding_box() -> None:
    mask = np.zeros(SHAPE, bool)
    assert regions.bounding_box(mask) is None
    mask[2, 5] = mask[7, 3] = True
    assert regions.bounding_box(mask) == (2, 3, 8, 6)


@pytest.mark.parametrize("at", [(1, 2), (-2, -1), (11, 15), (-9, 40)])
def test_an_object_is_scaled_mirrored_and_cut_off(at: tuple[int, int]) -> None:
    shape = np.array([[1, 1, 0], [1, 0, 0]], bool)
    mask = regions.placed(shape, 2, True, at, SHAPE)
    expected = np.zeros((60, 80), bool)
    expected[20 + at[0] : 24 + at[0], 20 + at[1] : 26 + at[1]] = np.kron(
        shape[:, ::-1], np.ones((2, 2))
    )
    assert np.array_equal(mask, expected[20:33, 20:37])


def test_an_object_keeps_a_pixel_however_small() -> None:
    assert regions.placed(np.ones((4, 4), bool), 0.01, False, (3, 3), SHAPE).sum() == 1


@given(masks)
@settings(deadline=None, max_examples=20)
def test_outline_has_a_side_at_an_edge(mask: np.ndarray) -> None:
    padded, edge = np.pad(mask, 1), regions.outline(mask)
    for r, c in PLACES:
        sides = padded[r, c + 1], padded[r + 2, c + 1], padded[r + 1, c], padded[r + 1, c + 2]
        assert edge[r, c] == (mask[r, c] and not all(sides))


def test_surrounding_is_what_adjoins_most() -> None:
    ids = np.array([[1, 1, 2, 2], [1, 5, 5, 3], [3, 3, 3, 3]])
    assert regions.surrounding(ids, ids == 5) == 3
    assert regions.surrounding(ids, ids == 5, among=ids < 3) == 1
    assert regions.surrounding(ids, ids == 5, among=ids > 5) is None
    assert regions.surrounding(ids, ids > 9) is None


@given(masks, masks)
@settings(deadline=None, max_examples=20)
def test_the_nearest_outside_is_the_nearest_of_those_preferred(
    mask: np.ndarray, preferred: np.ndarray
) -> None:
    found = regions.nearest_outside(mask, preferred)
    if mask.all():
        assert found is None
        return
    assert found is not None
    sides = regions._grown(mask) & ~mask
    source = ~mask & preferred if (sides & preferred).any() else ~mask
    near = np.zeros(SHAPE, bool)
    if box := regions._grown_box(mask):
        near[box] = True
    there = [at for at in PLACES if source[at] and near[at]]
    for at, place in zip(zip(*np.nonzero(mask), strict=True), found, strict=True):
        nearest = divmod(int(place), SHAPE[1])
        assert nearest in there
        assert math.dist(at, nearest) == min(math.dist(at, other) for other in there)
