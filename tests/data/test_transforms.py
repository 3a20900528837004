from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_fill_holes
from torch.nn.functional import max_pool2d

from pix2pixhd.data import transforms
from pix2pixhd.data.transforms import Colours, CropAndFlip, Size, Warp

SIDE = st.integers(1, 60)
MODES = ("resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none")


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("resize_and_crop", (480, 360), (32, 32)),
        ("crop", (480, 360), (32, 32)),
        ("crop", (20, 360), (20, 32)),
        ("crop", (480, 10), (32, 10)),
        ("scale_width", (480, 360), (64, 48)),
        ("scale_width", (2048, 1024), (64, 32)),
        ("scale_width", (300, 200), (64, 42)),
        ("scale_width", (10000, 20), (64, 1)),
        ("scale_width_and_crop", (480, 360), (32, 32)),
        ("scale_width_and_crop", (480, 120), (32, 16)),
        ("none", (481, 361), (481, 361)),
    ],
)
def test_sizes(mode: str, size: Size, expected: Size) -> None:
    assert transforms.output_size(size, mode, load_size=64, fine_size=32) == expected
    drawn = draw(np.random.default_rng(0), size, mode)
    assert applied(drawn, np.zeros(size[::-1], np.int32)).shape == expected[::-1]


def applied(drawn: CropAndFlip, ids: np.ndarray) -> np.ndarray:
    """A map of int32 [H,W] as it comes out."""
    resized = transforms.resize(Image.fromarray(ids), drawn.resized, Image.Resampling.NEAREST)
    return transforms.crop_and_flip(np.asarray(resized)[None], drawn, np.dtype(np.int32))[0].numpy()


def draw(rng: np.random.Generator, size: Size, mode: str, flip: bool = True) -> CropAndFlip:
    resized = transforms.resized_size(size, mode, load_size=64)
    cropped = transforms.output_size(size, mode, load_size=64, fine_size=32)
    return transforms.draw_crop_and_flip(rng, resized, cropped, flip=flip)


@pytest.mark.parametrize("one", MODES)
@pytest.mark.parametrize("other", MODES)
def test_resize_keys_are_equal_where_the_sizes_are(one: str, other: str) -> None:
    """A cache takes the one for the other then."""
    sizes = [(480, 360), (20, 360), (64, 64)]

    def resized(mode: str, load_size: int) -> list[Size]:
        return [transforms.resized_size(size, mode, load_size) for size in sizes]

    for load_size in (64, 65):
        same_key = transforms.resize_key(one, 64) == transforms.resize_key(other, load_size)
        assert same_key == (resized(one, 64) == resized(other, load_size))


def test_all_places_are_drawn_and_half_of_the_maps_flipped() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw(rng, (34, 33), "crop") for _ in range(2000)]
    places = [d.box[:2] for d in drawn]
    counts = [places.count((x, y)) for x in range(3) for y in range(2)]
    assert sum(counts) == 2000
    assert min(counts) > 250
    assert 900 < sum(d.flip for d in drawn) < 1100
    assert not any(draw(rng, (34, 33), "crop", flip=False).flip for _ in range(50))


@settings(deadline=None)
@given(width=SIDE, height=SIDE, to_width=SIDE, to_height=SIDE)
def test_identifiers_take_pillows_source_pixel(
    width: int, height: int, to_width: int, to_height: int
) -> None:
    """Where Pillow takes its pixels from is told by maps of columns and rows in its bytes."""
    columns, rows = np.meshgrid(np.arange(width, dtype=np.uint8), np.arange(height, dtype=np.uint8))
    nearest = Image.Resampling.NEAREST
    x, y = (
        np.asarray(Image.fromarray(m).resize((to_width, to_height), nearest)).astype(np.int32)
        for m in (columns, rows)
    )
    for dtype, first in ((np.int32, 1_000_000), (np.uint16, 300)):
        ids = Image.fromarray((first + rows.astype(np.int32) * 1000 + columns).astype(dtype))
        result = transforms.resize_ids(ids, (to_width, to_height))
        np.testing.assert_array_equal(result, first + y * 1000 + x)
        assert result.dtype == dtype


@settings(deadline=None)
@given(size=st.tuples(SIDE, SIDE), mode=st.sampled_from(MODES), seed=st.integers(0, 2**32))
def test_maps_of_a_sample_stay_aligned(size: Size, mode: str, seed: int) -> None:
    drawn = draw(np.random.default_rng(seed), size, mode)
    place = np.arange(size[0] * size[1], dtype=np.int32).reshape(size[1], size[0])
    one, other = (applied(drawn, ids) for ids in (place, place * 2))
    np.testing.assert_array_equal(other, one * 2)


def test_crop_and_flip_take_the_pixels_drawn() -> None:
    place = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    drawn = CropAndFlip((4, 3), (1, 1, 3, 3), flip=True)
    result = transforms.crop_and_flip(place, drawn, place.dtype)
    np.testing.assert_array_equal(result, place[:, 1:3, 1:3][..., ::-1])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_a_crop_has_memory_of_its_own(flip: bool, axes: tuple[int, int, int]) -> None:
    """Else a sample would keep a file of the cache open."""
    place = np.arange(64, dtype=np.uint8).reshape(4, 4, 4).transpose(axes)
    drawn = CropAndFlip((4, 4), (0, 0, 4, 4), flip)
    kept = transforms.crop_and_flip(place, drawn, place.dtype)
    assert kept.is_contiguous()
    assert not np.shares_memory(kept.numpy(), place)


def turned(size: Size, cropped: Size, seed: int, flip: bool = False) -> Warp:
    return transforms.draw_warp(
        np.random.default_rng(seed), CropAndFlip(size, (0, 0, *cropped), flip)
    )


def corner_steps(warp: Warp, size: Size) -> np.ndarray:
    """Pixels of the map, [across, down], that a step to the right in the crop is."""
    grid = warp.grid[0].numpy()
    return (grid[0, -1] - grid[0, 0]) / (grid.shape[1] - 1) * size / 2


@settings(deadline=None)
@given(size=st.tuples(SIDE, SIDE), crop=st.tuples(SIDE, SIDE), seed=st.integers(0, 2**32))
def test_nothing_need_be_filled_in_and_no_pixel_is_lost(size: Size, crop: Size, seed: int) -> None:
    crop = min(crop[0], size[0]), min(crop[1], size[1])
    warp = turned(size, crop, seed)
    assert warp.nearest.shape == crop[::-1]
    assert warp.grid.abs().max() < 1
    seen = np.zeros(size[::-1], bool)
    seen.flat[warp.nearest] = True
    assert np.array_equal(binary_fill_holes(seen), seen)


@pytest.mark.parametrize("flip", [False, True])
def test_angles_enlargements_and_places_drawn(flip: bool) -> None:
    size, crop = (120, 60), (30, 30)
    warps = [turned(size, crop, seed, flip) for seed in range(300)]
    steps = np.stack([corner_steps(warp, size) for warp in warps]) * (-1 if flip else 1)
    angles = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    assert -5 <= angles.min() < -4.5 < 4.5 < angles.max() <= 5
    radians = np.radians(np.abs(angles))
    zooms = 1 / np.hypot(*steps.T) / (np.cos(radians) + np.sin(radians))
    np.testing.assert_array_less((0.999, -1.201), (zooms.min(), -zooms.max()))
    assert zooms.max() - zooms.min() > 0.19
    centres = np.stack([warp.grid[0, 14:16, 14:16].mean((0, 1)).numpy() for warp in warps])
    assert (np.ptp(centres, axis=0) > 2 * (1 - np.divide(crop, size)) * 0.95).all()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_a_turned_photograph_shows_the_places_that_identifiers_show(
    dtype: type, flip: bool
) -> None:
    size = (90, 50)
    places = np.stack(np.meshgrid(np.arange(90), np.arange(50)))
    warp = turned(size, (64, 40), 3, flip)
    kept = np.dtype(np.float32 if np.dtype(dtype).kind == "f" else dtype)
    photo = transforms.warp(places.astype(dtype), warp, kept, smooth=True)
    ids = transforms.warp(places.astype(np.int32), warp, np.dtype(np.int32), smooth=False)
    assert photo.numpy().dtype == kept
    assert photo.shape == ids.shape == (2, 40, 64)
    # Half a pixel, rounding, and what a bicubic curve strays from a straight line.
    assert (photo.float() - ids).abs().max() < (0.6 if kept.kind == "f" else 1.01)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_turned_photograph_does_not_wrap_around(dtype: type, white: int) -> None:
    """Bicubic curves leave the range beside an edge."""
    squares = (np.indices((1, 40, 40)).sum(0) // 6 % 2 * white).astype(dtype)
    warp = turned((40, 40), (40, 40), 1)
    smooth, nearest = (
        transforms.warp(squares, warp, squares.dtype, smooth=smooth).double()
        for smooth in (True, False)
    )
    far_from_edges = -max_pool2d(-nearest, 3, 1) == max_pool2d(nearest, 3, 1)
    difference = (smooth - nearest)[:, 1:-1, 1:-1].abs()
    assert difference[far_from_edges].max() < 0.2 * white


@pytest.mark.parametrize(
    ("dtype", "black", "white"), [("uint8", 0, 255), ("uint16", 0, 65535), ("float32", -1, 1)]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_colours_follow_their_factors(dtype: str, black: int, white: int, channels: int) -> None:
    levels = np.random.default_rng(0).random((1, channels, 8, 8))
    of_type = (levels * (white - black) + black).astype(dtype)
    levels = (of_type.astype(np.float64) - black) * 0.8
    if channels == 3:
        levels = levels.mean(1, keepdims=True) + (levels - levels.mean(1, keepdims=True)) * 1.2
    expected = levels.mean() + (levels - levels.mean()) * 1.1 + black
    result = transforms.recoloured(torch.from_numpy(of_type), Colours(0.8, 1.1, 1.2))
    rounding = 1e-6 if dtype == "float32" else 0.51
    np.testing.assert_allclose(result.double(), expected.clip(black, white), atol=rounding)
    assert result.numpy().dtype == dtype
    same = transforms.recoloured(torch.from_numpy(of_type), Colours(1, 1, 1))
    np.testing.assert_allclose(same.numpy(), of_type, atol=1e-6)
    bright = transforms.recoloured(torch.from_numpy(of_type), Colours(1.2, 1.2, 1.2)).double()
    assert bright.min() >= black and bright.max() <= white


def test_factors_are_drawn_one_by_one() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([transforms.draw_colours(rng) for _ in range(300)])
    assert (drawn.min(0) >= 0.8).all() and (drawn.min(0) < 0.82).all()
    assert (drawn.max(0) <= 1.2).all() and (drawn.max(0) > 1.18).all()
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.2
