from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pix2pixhd.data import transforms
from pix2pixhd.data.transforms import CropAndFlip, Size

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
